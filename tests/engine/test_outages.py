"""Kafka or PostgreSQL away for a while: everything resumes by itself, and nothing was a record's fault."""

import time
from typing import Any

import pytest

from tests.engine import oracle, traffic
from tests.engine.workers import Worker

pytestmark = [pytest.mark.services, pytest.mark.slow]
AWAY_S = 20


@pytest.mark.parametrize(("name", "how"), [("postgres", "stop"), ("kafka", "kill")])
def test_twenty_seconds_without_a_service_lose_nothing(stage: Any, name: str, how: str) -> None:
    server = getattr(stage.services, name)
    first, second = traffic.projects(21, 60_000).portions(2)
    stage.publisher.publish(first)
    worker = Worker(stage, "projects", "history", batch__records_max="1000")
    stage.until(lambda: stage.rows("SELECT 1 FROM ledger WHERE step = 'projects' AND next_offset > start_offset") != [])
    getattr(server, how)()
    time.sleep(AWAY_S / 2)
    assert not worker.is_ready()
    assert worker.ready()["condition"] in ("degraded", "starting"), worker.ready()
    assert worker.page("/health/live")[0] == 200
    time.sleep(AWAY_S / 2)
    server.start()
    stage.publisher.publish(second)
    stage.drained("projects", "history", seconds_max=90)
    stage.until(worker.is_ready, describe=lambda: str(worker.ready()))
    assert stage.rows("SELECT count(*) FROM quarantine") == [(0,)]
    oracle.assert_exact(stage)


def test_a_worker_started_without_a_database_begins_once_there_is_one(stage: Any) -> None:
    stage.publisher.publish(traffic.projects(22, 1_000).messages)
    stage.services.postgres.stop()
    worker = Worker(stage, "projects")
    stage.until(lambda: worker.ready()["condition"] == "degraded", describe=lambda: str(worker.ready()))
    assert not worker.is_ready()
    stage.services.postgres.start()
    stage.drained("projects")
    stage.until(worker.is_ready, describe=lambda: str(worker.ready()))
    oracle.assert_exact(stage, history=False)


@pytest.mark.parametrize("name", ["postgres", "kafka"])
def test_a_worker_without_a_service_still_stops_when_it_is_told_to(stage: Any, name: str) -> None:
    stage.publisher.publish(traffic.projects(23, 30_000).messages)
    worker = Worker(stage, "projects", batch__records_max="500")
    stage.until(lambda: stage.rows("SELECT 1 FROM ledger WHERE next_offset > start_offset") != [])
    getattr(stage.services, name).kill()
    time.sleep(1)
    began = time.monotonic()
    worker.process.terminate()
    worker.process.wait(40)
    assert time.monotonic() - began < 20
    getattr(stage.services, name).start()
    stage.start("projects")
    stage.drained("projects")
    oracle.assert_exact(stage, history=False)
