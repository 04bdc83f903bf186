"""Workers that come and go while a log drains."""

import signal
import time
from typing import Any

import pytest

from tests.engine import oracle, traffic
from tests.engine.workers import Worker

pytestmark = [pytest.mark.services, pytest.mark.slow]
SLOW = {"batch__records_max": "200"}


def _owners(stage: Any) -> int:
    """Connections of writers that have stored something: one a worker."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
    return int(stage.rows(query, "dujiang projects writer")[0][0])


@pytest.mark.parametrize("how", ["joins", "leaves", "dies"])
def test_a_worker_that_joins_leaves_or_dies_in_a_drain_loses_nothing(stage: Any, how: str) -> None:
    first, second = traffic.projects(31, 40_000).portions(2)
    stage.publisher.publish(first)
    Worker(stage, "projects", "history", **SLOW)
    other = Worker(stage, "projects", "history", **SLOW) if how != "joins" else None
    stage.until(lambda: _owners(stage) == (1 if other is None else 2))
    if other is None:
        time.sleep(1)
        Worker(stage, "projects", "history", **SLOW)
        stage.publisher.publish(second)
        stage.until(lambda: _owners(stage) == 2)
    else:
        other.process.send_signal(signal.SIGTERM if how == "leaves" else signal.SIGKILL)
        stage.publisher.publish(second)
        assert other.process.wait(20) == (0 if how == "leaves" else -9)
    stage.drained("projects", "history")
    oracle.assert_exact(stage)


def test_a_second_worker_that_joins_and_leaves_six_times_loses_nothing(stage: Any) -> None:
    stage.start("projects", "history")
    for portion in traffic.projects(32, 60_000).portions(6):
        stage.publisher.publish(portion)
        runners = stage.start("projects", "history")
        stage.until(lambda runners=runners: all(r.status.condition == "running" for r in runners))
        time.sleep(0.7)
        for thread, stop, runner in stage._running:
            if runner in runners:
                stop.set()
                thread.join(20)
                assert runner.status.condition == "stopped"
    stage.drained("projects", "history")
    oracle.assert_exact(stage)
