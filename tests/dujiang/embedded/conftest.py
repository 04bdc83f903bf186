"""What the tests of the embedded services share: the user's own cache of jars, and silence."""

from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs
import pytest

from dujiang.embedded.postgres import PostgresServer, start_postgres
from dujiang.embedded.services import Services, up


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache of ordinary use, so that the jars are fetched once a machine and not once a test run."""
    return platformdirs.user_cache_path("dujiang")


@pytest.fixture
def lines() -> list[str]:
    """What a start said."""
    return []


@pytest.fixture
def start(cache: Path, lines: list[str]) -> Iterator[Callable[..., Services]]:
    """Start the services of a folder; whatever a test leaves running is stopped."""
    started: list[Services] = []

    def start(data_dir: Path, **options: object) -> Services:
        started.append(up(data_dir, cache, progress=lines.append, **options))
        return started[-1]

    yield start
    for services in started:
        services.stop()


@pytest.fixture
def start_pg() -> Iterator[Callable[..., PostgresServer]]:
    """Start PostgreSQL alone, for what concerns it alone; stopped after the test."""
    started: list[PostgresServer] = []

    def start_pg(home: Path, **options: int) -> PostgresServer:
        started.append(start_postgres(home, progress=lambda _: None, **options))
        return started[-1]

    yield start_pg
    for server in started:
        server.stop()
