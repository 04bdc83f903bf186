"""What we deliver, at an endpoint made of other people's packages: Standard Webhooks and the CloudEvents SDK for JavaScript."""

import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from engine.subscriptions import secrets
from schemas.cloudevents import json_format
from sinks.webhooks.signing import made_key, sign, signer_of
from tests.conftest import ROOT
from tests.sinks.webhooks.conftest import Post

EXAMPLE = ROOT / "clients" / "examples" / "receive.mjs"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ANSWER_S = 20

Packages = Callable[[Path], None]


@pytest.fixture
def packages(npm: Callable[[str, str], Path]) -> Packages:
    """Puts both packages where Node looks for those of a script: beside it."""
    found = {"cloudevents": npm("cloudevents", "10.0.0"), "standardwebhooks": npm("standardwebhooks", "1.1.1")}

    def beside(folder: Path) -> None:
        (folder / "node_modules").mkdir()
        for name, package in found.items():
            (folder / "node_modules" / name).symlink_to(package / "node_modules" / name)

    return beside


class Receiver:
    """The example as a process; `lines` are what it printed."""

    def __init__(self, folder: Path, packages: Packages, secret: str) -> None:
        folder.mkdir()
        packages(folder)
        script = folder / "receive.mjs"
        shutil.copy(EXAMPLE, script)
        environment = {"PATH": os.environ["PATH"], "SECRET": secret, "PORT": "0"}
        self._process = subprocess.Popen(["node", script], env=environment, stdout=subprocess.PIPE, text=True)
        self.lines: Queue[dict[str, Any]] = Queue()
        Thread(target=self._read, daemon=True).start()
        self.port = int(self.lines.get(timeout=ANSWER_S)["port"])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.put(json.loads(line))

    def take(self, count: int) -> list[dict[str, Any]]:
        return [self.lines.get(timeout=ANSWER_S) for _ in range(count)]

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        request = urllib.request.Request(self.url, body, headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - loopback
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def receiver(tmp_path: Path, packages: Packages) -> Iterator[Callable[[str], Receiver]]:
    made: list[Receiver] = []

    def start(secret: str) -> Receiver:
        made.append(Receiver(tmp_path / f"js-{len(made)}", packages, secret))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.mark.services
@pytest.mark.parametrize("kind", ["v1", "v1a"])
def test_what_the_deliverer_sends_is_verified_and_read(post: Post, receiver: Callable[[str], Receiver], kind: str) -> None:
    key = made_key("v1a" if kind == "v1a" else "v1")
    endpoint = receiver(key.shown)
    post.endpoints.append(SimpleNamespace(port=endpoint.port, close=lambda: None))  # type: ignore[arg-type]
    # The secret that every subscription of these tests has signs beside it, as while one is rotated.
    other = base64.b64decode(SECRET.removeprefix("whsec_"))
    subscription = post.subscribe(endpoint.url, other, is_validated=False)
    now = datetime.now(UTC)
    post.in_transaction(
        lambda cursor: secrets.add(
            cursor, subscription, "v1a" if kind == "v1a" else "v1", key.secret, key.public, now, now + timedelta(hours=1)
        )
    )
    post.deliverer()
    post.until(lambda: post.stage.rows("SELECT state FROM subscription")[0][0] == "enabled")
    ids = post.publish(5)
    told = endpoint.take(5)
    assert sorted(one["event"]["id"] for one in told) == ids
    assert len({one["id"] for one in told}) == 5
    event = told[0]["event"]
    assert (event["source"], event["data"]["title"]) == ("/partners/a", "关键技术")
    assert int(event["deliverynumber"]) in range(1, 6)


CASES = [
    {"subject": "工程-1", "data": {"title": "静音水泵 🛠", "budget": 5e5, "nothing": None, "list": [1, "二"]}},
    {"subject": "P-1", "partnerext": "a b%20c", "sequence": "0007", "data": "text that looks like {json}"},
    {"subject": "P-2", "time": "2026-03-02T08:00:00.123Z", "dataclassification": "internal", "data": [1, 2]},
]


@pytest.mark.parametrize("case", CASES, ids=["chinese", "extensions", "time"])
def test_an_event_comes_back_from_the_sdk_as_it_was(receiver: Callable[[str], Receiver], case: dict[str, Any]) -> None:
    """Ours, signed and read there, written by the SDK and read here again."""
    endpoint = receiver(SECRET)
    head = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/partners/a",
        "type": "gov.stiib.x.v1",
        "time": "2026-03-02T08:00:00Z",
    }
    event = json_format.decode(json.dumps(head | {"datacontenttype": "application/json"} | case).encode())
    body = json_format.encode(event)
    headers = sign([signer_of(SECRET)], "msg_1", int(datetime.now(UTC).timestamp()), body)
    headers["Content-Type"] = "application/cloudevents+json"
    assert endpoint.post(body, headers) == 204
    [told] = endpoint.take(1)
    back = json_format.decode(json.dumps(told["event"]).encode())
    assert back == event


def test_what_is_not_ours_is_refused(receiver: Callable[[str], Receiver]) -> None:
    endpoint = receiver(SECRET)
    body = b'{"specversion":"1.0","id":"1","source":"/a","type":"t"}'
    now_s = int(datetime.now(UTC).timestamp())
    good = sign([signer_of(SECRET)], "msg_1", now_s, body) | {"Content-Type": "application/cloudevents+json"}
    old = sign([signer_of(SECRET)], "msg_1", now_s - 400, body) | {"Content-Type": "application/cloudevents+json"}
    assert [
        endpoint.post(body, good),
        endpoint.post(body + b" ", good),
        endpoint.post(body, good | {"webhook-id": "msg_2"}),
        endpoint.post(body, old),
        endpoint.post(body, {"Content-Type": "application/cloudevents+json"}),
    ] == [204, 401, 401, 401, 401]
