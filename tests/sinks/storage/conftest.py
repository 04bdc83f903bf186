"""Fixtures: a store that checks signatures, and the post office of the webhooks' tests."""

from collections.abc import Iterator

import pytest

from tests.sinks.storage.store import Store
from tests.sinks.webhooks.conftest import post  # noqa: F401 - a fixture


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.close()
