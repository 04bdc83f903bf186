"""The stage of the engine's tests: it also knows where every log stood when the test began."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine import failpoints


@pytest.fixture
def stage(stage: Any) -> Iterator[Any]:
    stage.begins = stage.ends()
    yield stage
    failpoints.disarm()
    # A server that a test stopped must not be missing in the next one.
    stage.services.kafka.start()
    stage.services.postgres.start()
