"""Long work: seen while it goes on, asked to stop between two steps, and never left as if it went on."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from engine.clock import FakeClock
from engine.works import EVERY_S, Step, Work, WorkStopped, ask_cancel, working

pytestmark = pytest.mark.services
NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as made:
        yield made


def _rows(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT kind, title, started_by, done, total, state FROM v_work ORDER BY id").fetchall()


def test_work_is_seen_on_its_way_and_at_its_end(database: str, connection: psycopg.Connection[Any]) -> None:
    clock, told = FakeClock(NOW), list[Step]()
    with working(database, clock, "ingest", "a.csv", "li", total=10, tell=told.append) as work:
        work.reached(1)  # too early to be told
        assert _rows(connection) == [("ingest", "a.csv", "li", 0, 10, "running")]
        clock.advance(EVERY_S)
        work.reached(4)
        assert _rows(connection) == [("ingest", "a.csv", "li", 4, 10, "running")]
        work.reached(9)
    assert _rows(connection) == [("ingest", "a.csv", "li", 9, 10, "done")]
    assert [step.done for step in told] == [4, 9]


def _stops(work: Work, done: int) -> WorkStopped:
    with pytest.raises(WorkStopped) as stopped:
        work.reached(done)
    return stopped.value


def test_cancel_asked_for_ends_it_after_the_step_and_says_by_whom(database: str, connection: psycopg.Connection[Any]) -> None:
    clock = FakeClock(NOW)
    with suppress(WorkStopped), working(database, clock, "ingest", "a.csv", "li", total=10) as work:
        with connection.cursor() as cursor:
            assert ask_cancel(cursor, 1, "wang", NOW)
            assert ask_cancel(cursor, 1, "zhao", NOW)
        clock.advance(EVERY_S)
        stopped = _stops(work, 5)
        assert (stopped.by, stopped.done, stopped.total) == ("wang", 5, 10)
        raise stopped
    assert _rows(connection) == [("ingest", "a.csv", "li", 5, 10, "cancelled")]
    with connection.cursor() as cursor:
        assert not ask_cancel(cursor, 1, "wang", NOW)


def test_interrupt_holds_at_the_next_step(database: str, connection: psycopg.Connection[Any]) -> None:
    with suppress(WorkStopped), working(database, FakeClock(NOW), "ingest", "a.csv", "li") as work:
        work.interrupt()
        stopped = _stops(work, 3)
        assert stopped.by == ""
        raise stopped
    assert _rows(connection) == [("ingest", "a.csv", "li", 3, None, "cancelled")]


def test_what_fails_is_shown_as_failed_and_what_falls_silent_as_lost(
    database: str, connection: psycopg.Connection[Any]
) -> None:
    with pytest.raises(ZeroDivisionError), working(database, FakeClock(NOW), "ingest", "a.csv", "li"):
        raise ZeroDivisionError
    connection.execute("INSERT INTO work (kind, title, started_by, beat_at) VALUES ('x', 'y', 'z', now() - interval '3 min')")
    assert [row[-1] for row in _rows(connection)] == ["failed", "lost"]
