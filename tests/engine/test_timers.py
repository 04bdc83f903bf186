"""Timers are events of the entity's own log: fired once, again after a death, never lost, replayed with the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from dujiang.wiring import STEPS
from engine import timers
from engine.clock import FakeClock
from engine.database import Database
from schemas.projects import State
from tests.engine import oracle, traffic
from tests.engine.workers import command

pytestmark = pytest.mark.services
STEP = STEPS["projects"]
KEY = "TIMED-1"
START = datetime(2024, 3, 1, tzinfo=UTC)
END = datetime(2025, 3, 1, tzinfo=UTC)
DAY_S = 86_400


def _contracted(key: str = KEY) -> list[Any]:
    data = '{"contract_no":"N","amount":9,"start":"2024-03-01","end":"2025-03-01","milestones":[]}'
    names = ("research.application.submitted", "research.review.started", "research.project.approved")
    events = [
        traffic.event(key, f"{key}-{n}", name, _DATA.get(name, "{}"), START - timedelta(days=90 - n))
        for n, name in enumerate(names)
    ]
    return [*events, traffic.event(key, f"{key}-c", "research.project.contracted", data, START - timedelta(days=30))]


_DATA = {"research.application.submitted": '{"call_id":"C","title":"T","lead":"L","budget":1}'}


def _fired(stage: Any) -> list[tuple[Any, ...]]:
    found = stage.rows(
        "SELECT event_time FROM event_history WHERE event_type = 'gov.stiib.platform.timer.fired.v1' ORDER BY event_time"
    )
    return [row[0] for row in found]


def _state(stage: Any) -> State | None:
    state: State | None = oracle.stored(stage, "projects")[KEY].state.state
    return state


def test_a_timer_fires_once_when_its_instant_comes_and_stands_in_the_log(stage: Any) -> None:
    clock = FakeClock(START - timedelta(days=10))
    stage.start("projects", clock=clock, timers_enabled=True)
    stage.start("history")
    stage.publisher.publish(_contracted())
    stage.drained("projects", "history")
    assert stage.rows("SELECT key, due_at, published_at FROM timer") == [(KEY, START, None)]
    clock.advance(9 * DAY_S)
    clock.advance(1 * DAY_S)
    stage.until(lambda: _state(stage) is State.EXECUTING)
    assert stage.rows("SELECT due_at, published_at FROM timer") == [(END, None)]
    clock.advance(60)
    stage.drained("projects", "history")
    assert _fired(stage) == [START]
    clock.advance(400 * DAY_S)
    stage.until(lambda: _state(stage) is State.ACCEPTANCE_PENDING)
    stage.until(lambda: stage.rows("SELECT 1 FROM timer") == [])
    stage.drained("projects", "history")
    assert _fired(stage) == [START, END]
    oracle.assert_exact(stage)


def test_a_timer_that_was_marked_but_not_published_is_published_later(stage: Any) -> None:
    """A worker dies between the two."""
    stage.start("projects", "history")
    stage.publisher.publish(_contracted())
    stage.drained("projects", "history")
    database = Database(stage.dsn, "test")
    with database.transaction() as cursor:
        lost = timers.take_due(cursor, "projects", STEP.topic, None, START, START, stage.registry)
    assert len(lost) == 1
    stage.stop()
    clock = FakeClock(START)
    stage.start("projects", clock=clock, timers_enabled=True)
    stage.start("history")
    clock.advance(timers.REPUBLISH_AFTER.total_seconds() / 2)
    stage.drained("projects")
    with database.transaction() as cursor:
        assert timers.take_due(cursor, "projects", STEP.topic, None, START, clock.now(), stage.registry) == []
    clock.advance(timers.REPUBLISH_AFTER.total_seconds())
    stage.until(lambda: _state(stage) is State.EXECUTING or clock.advance(1) is not None)
    database.close()
    stage.drained("projects", "history")
    assert _fired(stage) == [START]
    oracle.assert_exact(stage)


def test_a_timer_published_twice_moves_the_project_once(stage: Any) -> None:
    stage.start("projects", "history")
    stage.publisher.publish(_contracted())
    twice = timers.message("projects", STEP.topic, KEY, START, stage.registry)
    stage.publisher.publish([twice, twice])
    stage.drained("projects", "history")
    assert _state(stage) is State.EXECUTING
    assert _fired(stage) == [START]
    account = stage.account("projects")
    assert (account.applied, account.superseded) == (5, 1)
    oracle.assert_exact(stage)


def test_a_timer_row_that_is_early_is_set_anew(stage: Any) -> None:
    stage.start("projects", "history")
    extended = traffic.event(KEY, "ext", "research.project.extended", '{"new_end":"2025-12-01"}', START + timedelta(days=5))
    stage.publisher.publish([*_contracted(), traffic.event(KEY, "s", "research.project.started", "{}", START)])
    stage.drained("projects")
    stage.publisher.publish([extended])
    stage.drained("projects")
    assert stage.rows("SELECT due_at FROM timer") == [(START,)] or stage.rows("SELECT due_at FROM timer") == [(END,)]
    for instant in (START, END):
        stage.publisher.publish([timers.message("projects", STEP.topic, KEY, instant, stage.registry)])
        stage.drained("projects", "history")
    assert _state(stage) is State.EXECUTING
    assert stage.rows("SELECT due_at, published_at FROM timer") == [(datetime(2025, 12, 1, tzinfo=UTC), None)]
    oracle.assert_exact(stage)


def test_timers_of_partitions_that_are_not_ours_are_not_taken(stage: Any) -> None:
    stage.start("projects")
    stage.publisher.publish([message for n in range(20) for message in _contracted(f"TIMED-{n}")])
    stage.drained("projects")
    partitions = sorted({row[0] for row in stage.rows("SELECT partition FROM timer")})
    assert len(partitions) > 2
    database = Database(stage.dsn, "test")
    with database.transaction() as cursor:
        due = timers.take_due(cursor, "projects", STEP.topic, partitions[:1], START, START, stage.registry)
    database.close()
    left = stage.rows("SELECT count(*) FROM timer WHERE published_at IS NULL")[0][0]
    assert len(due) == 20 - left
    assert stage.rows("SELECT DISTINCT partition FROM timer WHERE published_at IS NOT NULL") == [(partitions[0],)]


def test_the_command_fires_what_is_due_for_an_instant(stage: Any) -> None:
    stage.start("projects", "history")
    stage.publisher.publish(_contracted())
    stage.drained("projects", "history")
    done = command(stage, "timers", "advance", "--as-of", "2024-06-01T00:00:00Z")
    assert done.stdout == "fired 1 timers\n"
    stage.drained("projects", "history")
    assert _state(stage) is State.EXECUTING


def test_a_timer_counts_as_overdue_a_minute_after_its_instant(database: str) -> None:
    now = START
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        for key, due in (("late", now - timedelta(seconds=61)), ("due", now - timedelta(seconds=59)), ("early", now)):
            timers.save(cursor, "projects", {key: (0, due)})
        timers.save(cursor, "calls", {"of another step": (0, now - timedelta(days=1))})
        assert timers.overdue(cursor, "projects", now) == 1
