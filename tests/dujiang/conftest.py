"""The command line as its users meet it: a process of its own, with its own environment."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 60

Cli = Callable[..., "Said"]


@dataclass(frozen=True)
class Said:
    """What a command said, and its status."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        """JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def _run(*arguments: str | Path, stdin: bytes = b"", cwd: Path = ROOT, **settings: str) -> Said:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
    environment |= {f"DUJIANG_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "dujiang", *map(str, arguments)],
        input=stdin,
        cwd=cwd,
        env=environment,
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def dujiang(tmp_path: Path) -> Cli:
    """Run a command; keyword arguments are DUJIANG_ variables. It would start services of its own in a temporary folder."""

    def run(*arguments: str | Path, **settings: Any) -> Said:
        return _run(*arguments, **{"data_dir": str(tmp_path / "data"), **settings})

    return run


@pytest.fixture
def on_stage(stage: Any, dujiang: Cli) -> Cli:
    """The same against the stage's Kafka and PostgreSQL."""

    def run(*arguments: str | Path, **settings: Any) -> Said:
        addresses = {
            "kafka__bootstrap": stage.bootstrap,
            "database__dsn": stage.dsn,
            "kafka__group_prefix": stage.group_prefix,
        }
        return dujiang(*arguments, **(addresses | settings))

    return run
