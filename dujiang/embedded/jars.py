"""The jars of Apache Kafka: fetched once, then used from the cache without network.

`classpath.json` in the cache lists every jar with size and SHA-256 and is written when all are there; each start checks
the jars against it, so a half or damaged one is noticed and fetched again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from dujiang.embedded.files import locked, write_whole

KAFKA_VERSION = "4.4.0"
COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    # Kafka 4.4 logs through slf4j-api 1.7.36 and brings log4j-core 2.25.5: the binding for slf4j 1 of that very version
    # (log4j-slf4j2-impl is for slf4j 2 and would leave the broker without a log).
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
)
DOWNLOAD_LOCK_TIMEOUT_S = 600.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jar:
    path: str  # below the cache's `repository`
    size_bytes: int
    sha256: str


def class_path(cache: Path, *, progress: Progress) -> tuple[Path, ...]:
    """Every jar, whole. Fetches what is missing; two processes at once fetch once, the second waits for the first."""
    folder = cache / f"kafka-{KAFKA_VERSION}"
    jars = _read_record(folder)
    if not jars or _damaged(folder, jars):
        lock = folder / "download.lock"
        wait_note = "Kafka's jars are being fetched by another process; waiting"
        with locked(lock, timeout_s=DOWNLOAD_LOCK_TIMEOUT_S, waiting=lambda: progress(wait_note)):
            jars = _repair(folder, progress)
    return tuple(_repository(folder) / jar.path for jar in jars)


def _repair(folder: Path, progress: Progress) -> list[Jar]:
    jars = _read_record(folder)
    damaged = _damaged(folder, jars)
    if jars and not damaged:  # the process that had the lock before us did it
        return jars
    for path in damaged:
        progress(f"Kafka's jar {path.name} in the cache is damaged or missing; fetching it again")
        path.unlink(missing_ok=True)
    from dujiang.embedded.maven import fetch_jars  # needs jgo, which a start from the cache must not

    repository = _repository(folder)
    jars = [_jar(repository, path) for path in fetch_jars(repository, COORDINATES, progress=progress)]
    _write_record(folder, jars)
    return jars


def _repository(folder: Path) -> Path:
    return folder / "repository"


def _damaged(folder: Path, jars: list[Jar]) -> list[Path]:
    paths = [(_repository(folder) / jar.path, jar) for jar in jars]
    return [path for path, jar in paths if not _is_whole(path, jar)]


def _is_whole(path: Path, jar: Jar) -> bool:
    return path.is_file() and path.stat().st_size == jar.size_bytes and _sha256(path) == jar.sha256


def _jar(repository: Path, path: Path) -> Jar:
    return Jar(path.relative_to(repository).as_posix(), path.stat().st_size, _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_record(folder: Path) -> list[Jar]:
    """The recorded jars; none where there is no record, or one of other coordinates or another form."""
    try:
        record = json.loads((folder / "classpath.json").read_text(encoding="utf-8"))
        return [Jar(**jar) for jar in record["jars"]] if record["coordinates"] == list(COORDINATES) else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write_record(folder: Path, jars: list[Jar]) -> None:
    record = {"coordinates": list(COORDINATES), "jars": [asdict(jar) for jar in jars]}
    write_whole(folder / "classpath.json", json.dumps(record, indent=1))
