"""Workers that die: at random instants, and between each two of the steps of a batch."""

import time
from contextlib import suppress
from random import Random
from typing import Any

import psycopg
import pytest

from engine import failpoints
from tests.engine import oracle, traffic

SEED = 20260301
KILLS = 20
EVENTS = 200_000
QUICK = {"kafka__session_timeout_ms": "1500", "retry__first_s": "0.1"}

pytestmark = [pytest.mark.services, pytest.mark.slow]


def test_twenty_kills_in_200_000_events_lose_nothing_and_count_nothing_twice(stage: Any) -> None:
    random = Random(SEED)  # noqa: S311 - not a secret
    print(f"seed {SEED}")
    portions = traffic.projects(SEED, EVENTS).portions(KILLS)
    with psycopg.connect(stage.dsn, autocommit=True) as connection:
        for number, portion in enumerate(portions):
            stage.publisher.publish(portion)
            passed = _passed(connection)
            process = stage.worker("projects", "history", batch__records_max="2000", **QUICK)
            if random.random() < 0.8:  # the others may die before they have done anything
                stage.until(lambda connection=connection, passed=passed: _passed(connection) > passed)
            delay_s = random.uniform(0, 0.7)
            time.sleep(delay_s)
            process.kill()
            process.wait()
            print(f"kill {number + 1} after {delay_s:.3f} s at {_passed(connection)}")
    assert stage.account("projects").lag > 0  # there was something to do to the end
    stage.worker("projects", "history", **QUICK)
    stage.drained("projects", "history", seconds_max=120)
    oracle.assert_exact(stage)


@pytest.mark.parametrize("name", failpoints.NAMES)
def test_a_death_at_a_fail_point_leaves_no_trace(stage: Any, name: str) -> None:
    stage.publisher.publish(traffic.projects(7, 4_000).messages)
    process = stage.worker("projects", "history", failpoint=f"{name}:5", batch__records_max="300", **QUICK)
    assert process.wait(30) == -9
    assert stage.account("projects").lag > 0
    stage.worker("projects", "history", **QUICK)
    stage.drained("projects", "history")
    oracle.assert_exact(stage)


def _passed(connection: psycopg.Connection[Any]) -> int:
    """Offsets that the ledger has left behind."""
    with suppress(TypeError):
        row = connection.execute("SELECT sum(next_offset - start_offset) FROM ledger WHERE step = 'projects'").fetchone()
        return int(row[0]) if row else 0
    return 0
