"""The Bureau's cases: the same events through a replay, and through Kafka and the workers, give the expected states."""

from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dujiang.cli.output import line
from dujiang.replay import replay
from dujiang.wiring import STEPS, STORES
from engine import timers
from schemas.registry import Registry

CASES = [
    ("projects", "calm", "2026-06-01T00:00:00+00:00"),
    ("projects", "rough", "2024-06-01T00:00:00+00:00"),
    ("alerts", "calm", "2026-03-15T00:00:00+00:00"),
    ("alerts", "rough", "2026-03-15T00:00:00+00:00"),
]


def _refuse(number: int, why: str) -> None:
    pytest.fail(f"line {number}: {why}")


@pytest.mark.parametrize(("subject", "case", "as_of"), CASES)
def test_replay_prints_what_the_case_expects(shared: Path, registry: Registry, subject: str, case: str, as_of: str) -> None:
    folder = shared / "cases" / subject / case
    events = (folder / "events.jsonl").read_bytes().splitlines()
    rows = replay(STEPS[subject], events, registry, datetime.fromisoformat(as_of), _refuse)
    assert [line(row) for row in rows] == (folder / "expected.jsonl").read_text().splitlines()


@pytest.mark.services
@pytest.mark.parametrize(("subject", "case", "as_of"), CASES)
def test_the_workers_leave_the_same_states(shared: Path, stage: Any, subject: str, case: str, as_of: str) -> None:
    folder = shared / "cases" / subject / case
    stage.start(subject)
    stage.send((folder / "events.jsonl").read_bytes().splitlines())
    stage.drained(subject)
    instant = datetime.fromisoformat(as_of)
    _advance(stage, subject, instant)
    with psycopg.connect(stage.dsn, options="-c timezone=UTC") as connection, connection.cursor() as cursor:
        stored = list(STORES[subject].scan(cursor))
    reports = [line(STEPS[subject].report(key, entity, instant)) for key, entity in stored]
    assert reports == (folder / "expected.jsonl").read_text().splitlines()
    # The timers have really fired: nothing is left for the reader to advance.
    due = STEPS[subject].due_at
    assert not [key for key, entity in stored if (at := due(entity.state)) is not None and at <= instant]
    assert stage.account(subject).unaccounted == 0


def _advance(stage: Any, subject: str, instant: datetime) -> None:
    """Fire all timers due by the instant, and those that their firing sets."""
    step = STEPS[subject]
    while True:
        with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
            due = timers.take_due(cursor, step.name, step.topic, None, instant, datetime.now().astimezone(), stage.registry)
        if not due:
            return
        stage.publisher.publish(due)
        stage.drained(subject)
