"""Quix Streams with its PostgreSQL sink, in a virtual environment of its own: it pins an older confluent-kafka."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import ROOT, say
from benchmarks.peers.jvm import clean_environment
from benchmarks.peers.peer import Peer, Place, Program, UnavailableError
from dujiang.embedded.files import build_folder

VERSION = "3.28.1"
PACKAGES = (f"quixstreams=={VERSION}", "confluent-kafka==2.12.2", "psycopg2-binary==2.9.13")
INSTALL_TIMEOUT_S = 600
COMMIT_EVERY = 5_000


def _prepare(cache: Path) -> None:
    folder = _home(cache)
    if not folder.exists():
        say(f"installing {', '.join(PACKAGES)} into an environment of their own (first run only)")
        build_folder(folder, _install)


def _home(cache: Path) -> Path:
    return cache / "peers" / f"quix-{VERSION}-py{sys.version_info.major}{sys.version_info.minor}"


def _python(home: Path) -> str:
    return str(home / "bin" / "python")


def _install(home: Path) -> None:
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [_python(home), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
    ):
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False, env=clean_environment()
        )
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
    return [Program([_python(_home(place.cache)), str(app), str(file)])]


QUIX = Peer(
    "quix",
    f"Quix Streams {VERSION}, PostgreSQLSink, upsert on the key, commit_every {COMMIT_EVERY}",
    "no rule; at least once; no validation, no quarantine (an error ends it); a column that is null in a batch's first row is"
    " lost for the whole batch, so rows end wrong",
    _programs,
    events_max=240_000,
    prepare=_prepare,
)
