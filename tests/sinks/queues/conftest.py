"""Fixtures: a real broker, and the post office of the webhooks' tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sinks.queues.broker import Broker
from tests.sinks.webhooks.conftest import post  # noqa: F401 - a fixture

# Debian puts it where only root's PATH leads.
PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Asks for a name and a password."""
    program = shutil.which("mosquitto", path=PATH)
    if program is None:
        pytest.skip("no mosquitto: on Debian `apt-get install mosquitto`")
    made = Broker(program, tmp_path / "broker")
    made.start()
    yield made
    made.close()
