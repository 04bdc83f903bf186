"""A worker's end, and what it says of itself."""

import time
from typing import Any

import pytest

from tests.engine import oracle, traffic
from tests.engine.workers import Worker

pytestmark = [pytest.mark.services, pytest.mark.slow]


def test_a_busy_worker_told_to_stop_ends_in_ten_seconds_and_loses_nothing(stage: Any) -> None:
    stage.publisher.publish(traffic.projects(41, 40_000).messages)
    worker = Worker(stage, "projects", "history", batch__records_max="500")
    stage.until(lambda: stage.rows("SELECT 1 FROM ledger WHERE step = 'projects' AND next_offset > start_offset") != [])
    began = time.monotonic()
    worker.process.terminate()
    assert worker.process.wait(30) == 0
    assert time.monotonic() - began < 10
    assert stage.account("projects").lag > 0
    Worker(stage, "projects", "history")
    stage.drained("projects", "history")
    oracle.assert_exact(stage)


def test_health_and_metrics_tell_what_is_true(stage: Any) -> None:
    stage.publisher.publish(traffic.projects(42, 2_000).messages)
    worker = Worker(stage, "projects")
    stage.until(lambda: worker.page("/health/live")[0] == 200)
    stage.drained("projects")
    stage.until(worker.is_ready, describe=lambda: str(worker.ready()))
    assert worker.ready()["condition"] == "running"
    assert stage.account("projects").published == 2_000
    outcomes = ("applied", "duplicate", "superseded", "rejected", "parked", "quarantined")
    samples = [f'dujiang_events_total{{outcome="{name}",step="projects",topic="research.project.event"}}' for name in outcomes]
    stage.until(lambda: sum(map(worker.metric, samples)) == 2_000)  # counted a moment after the commit that the account shows
    lag = 'dujiang_lag_records{partition="0",step="projects",topic="research.project.event"}'
    stage.until(lambda: worker.metric(lag) == 0)  # looked at once a second
    assert worker.page("/metrics")[1].startswith("# HELP")
