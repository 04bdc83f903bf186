"""Quix Streams with its PostgreSQL sink, in a virtual environment of its own: it pins an older confluent-kafka.

`quix.lock` holds every package by version and digest; `make lock` does not touch it, since figures of different versions do not
compare. A new one: change `quix.in`, then the command that heads the lock.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import ROOT, say
from benchmarks.peers.jvm import clean_environment
from benchmarks.peers.peer import WORKERS, Peer, Place, Program, UnavailableError
from dujiang.embedded.files import build_folder

VERSION = "3.28.1"
LOCK = Path(__file__).parent / "quix.lock"
INSTALL_TIMEOUT_S = 600
COMMIT_EVERY = 5_000


def _prepare(cache: Path) -> None:
    folder = _home(cache)
    if not folder.exists():
        say(f"installing Quix Streams {VERSION} into an environment of its own (first run only)")
        build_folder(folder, _install)


def _home(cache: Path) -> Path:
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    return cache / "peers" / f"quix-{digest}-py{sys.version_info.major}{sys.version_info.minor}"


def _python(home: Path) -> str:
    return str(home / "bin" / "python")


def _install(home: Path) -> None:
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [_python(home), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)],
    ):
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False, env=clean_environment()
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"Quix Streams was not installed within {INSTALL_TIMEOUT_S} s") from error
        if result.returncode:
            raise UnavailableError(f"Quix Streams could not be installed:\n{result.stderr[-1_000:]}")


def _programs(place: Place) -> list[Program]:
    database = place.database()
    settings = {
        "bootstrap": place.load.at.bootstrap,
        "group": place.group,
        "topic": place.load.topic,
        "commit_every": COMMIT_EVERY,
        "state_dir": str(place.folder / "state"),
        "sink": {
            "host": database.host,
            "port": database.port,
            "dbname": database.name,
            "user": database.user,
            "password": database.password,
            "schema_name": database.schema,
        },
    }
    file = place.folder / "quix.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(settings))
    app = ROOT / "benchmarks" / "peers" / "quix_app.py"
    return [Program([_python(_home(place.cache)), str(app), str(file)])] * WORKERS


QUIX = Peer(
    "quix",
    f"Quix Streams {VERSION}, {WORKERS} processes, PostgreSQLSink, upsert on the key, commit_every {COMMIT_EVERY}",
    "no rule, no validation, no ledger (at least once), no quarantine (an error ends it), no derived events; a column that is"
    " null in a batch's first row is lost for the whole batch, so rows end wrong",
    _programs,
    events_max=240_000,
    prepare=_prepare,
)
