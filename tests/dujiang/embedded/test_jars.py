"""Fetching jars: whole or not at all, checked, once."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dujiang.embedded import jars, maven
from dujiang.embedded.errors import DownloadError, EmbeddedError
from dujiang.embedded.files import try_lock
from dujiang.embedded.jars import KAFKA_VERSION, class_path

POM = (
    "<project><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>{name}</artifactId>"
    "<version>1</version><dependencies>{needs}</dependencies></project>"
)
NEEDS_B = "<dependency><groupId>test</groupId><artifactId>b</artifactId><version>1</version></dependency>"


class Mirror(ThreadingHTTPServer):
    """A Maven repository on the loopback, which can be made to lie and to break off."""

    def __init__(self) -> None:
        self.files = {
            "/test/a/1/a-1.pom": POM.format(name="a", needs=NEEDS_B).encode(),
            "/test/b/1/b-1.pom": POM.format(name="b", needs="").encode(),
            "/test/a/1/a-1.jar": b"jar a",
            "/test/b/1/b-1.jar": b"jar b" * 1000,
        }
        self.asked: list[str] = []
        self.wrong_checksum_of = self.broken_off = ""
        super().__init__(("127.0.0.1", 0), _Answers)


class _Answers(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        name = self.path.removesuffix(".sha1")
        body = self.server.files.get(name)
        if body is None:
            self.send_error(404)
            return
        if self.path.endswith(".sha1"):
            lie = b"lie" if name == self.server.wrong_checksum_of else b""
            body = hashlib.sha1(body + lie).hexdigest().encode()  # noqa: S324 - Maven's checksum
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == self.server.broken_off else body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """The only repository there is: named in jgo's own configuration, with the way to others closed."""
    server = Mirror()
    config = tmp_path / "config"
    config.mkdir()
    (config / "jgo.conf").write_text(f"[repositories]\nmirror = http://127.0.0.1:{server.server_port}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(maven, "RETRY_DELAY_S", 0.0)
    monkeypatch.setattr(jars, "COORDINATES", ("test:a:1",))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def test_jars_come_with_all_they_need_and_the_fetch_says_so(tmp_path: Path, mirror: Mirror) -> None:
    lines: list[str] = []
    assert names(class_path(tmp_path, progress=lines.append)) == ["a-1.jar", "b-1.jar"]
    assert lines[-1] == "Kafka: 2 of 2 jars, 0.0 MB"


def test_second_time_asks_nobody(tmp_path: Path, mirror: Mirror) -> None:
    first = class_path(tmp_path, progress=lambda _: None)
    mirror.asked.clear()
    assert class_path(tmp_path, progress=lambda _: None) == first
    assert mirror.asked == []


@pytest.mark.parametrize("damage", [b"", b"half", b"jar b" * 999 + b"jar x"], ids=["empty", "half", "one byte"])
def test_damaged_jar_is_noticed_and_only_that_one_fetched(tmp_path: Path, mirror: Mirror, damage: bytes) -> None:
    _, damaged = class_path(tmp_path, progress=lambda _: None)
    damaged.write_bytes(damage)
    mirror.asked.clear()
    lines: list[str] = []

    class_path(tmp_path, progress=lines.append)

    assert damaged.read_bytes() == b"jar b" * 1000
    assert [path for path in mirror.asked if path.endswith(".jar")] == ["/test/b/1/b-1.jar"]
    assert lines[0] == "Kafka's jar b-1.jar in the cache is damaged or missing; fetching it again"


def test_wrong_checksum_is_an_error_and_leaves_no_jar(tmp_path: Path, mirror: Mirror) -> None:
    mirror.wrong_checksum_of = "/test/b/1/b-1.jar"
    with pytest.raises(DownloadError, match=r"(?s)SHA-1 is .*start again"):
        class_path(tmp_path, progress=lambda _: None)
    assert list(tmp_path.rglob("b-1.jar")) == []
    assert list(tmp_path.rglob("classpath.json")) == []


def test_transfer_that_breaks_off_is_gone_on_with_at_the_next_start(tmp_path: Path, mirror: Mirror) -> None:
    mirror.broken_off = "/test/b/1/b-1.jar"
    with pytest.raises(DownloadError, match="start again"):
        class_path(tmp_path, progress=lambda _: None)
    mirror.broken_off = ""
    mirror.asked.clear()

    assert names(class_path(tmp_path, progress=lambda _: None)) == ["a-1.jar", "b-1.jar"]
    assert mirror.asked == ["/test/b/1/b-1.jar", "/test/b/1/b-1.jar.sha1"]


def test_no_repository_is_an_error_that_says_what_to_do(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files.clear()
    with pytest.raises(DownloadError, match=r"check the network or the proxy .* then start again"):
        class_path(tmp_path, progress=lambda _: None)


def test_two_at_once_fetch_once(tmp_path: Path, mirror: Mirror) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: class_path(tmp_path, progress=lambda _: None), range(2)))
    assert both[0] == both[1]
    assert len([path for path in mirror.asked if path.endswith(".jar")]) == 2


def test_wait_for_another_fetch_has_an_end(tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "DOWNLOAD_LOCK_TIMEOUT_S", 0.1)
    other = try_lock(tmp_path / f"kafka-{KAFKA_VERSION}" / "download.lock")
    assert other is not None
    lines: list[str] = []
    with other, pytest.raises(EmbeddedError, match="another process has held this lock"):
        class_path(tmp_path, progress=lines.append)
    assert lines == ["Kafka's jars are being fetched by another process; waiting"]


@pytest.mark.services
def test_damaged_real_jar_is_fetched_again(tmp_path: Path, cache: Path) -> None:
    class_path(cache, progress=lambda _: None)
    shutil.copytree(cache / f"kafka-{KAFKA_VERSION}", tmp_path / f"kafka-{KAFKA_VERSION}")
    before = class_path(tmp_path, progress=lambda _: None)
    small = min(before, key=lambda path: path.stat().st_size)
    whole = small.read_bytes()
    small.write_bytes(whole[:100])

    assert class_path(tmp_path, progress=lambda _: None) == before
    assert small.read_bytes() == whole


@pytest.mark.services
def test_kafka_and_its_log_binding_are_of_fitting_versions(cache: Path) -> None:
    found = names(class_path(cache, progress=lambda _: None))
    kafka = [name for name in found if name.startswith("kafka")]
    assert [name for name in kafka if not name.endswith(f"-{KAFKA_VERSION}.jar")] == []
    assert [name for name in found if name.startswith("slf4j-api-1.")] != []
    log4j = {name.rsplit("-", 1)[1] for name in found if name.startswith("log4j-")}
    assert len(log4j) == 1
