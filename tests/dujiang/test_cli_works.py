"""Long work at the terminal: listed as the console lists it, and asked to stop from another one."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from dujiang.user import user_name
from engine.clock import FakeClock, SystemClock
from engine.works import EVERY_S, WorkStopped, working

pytestmark = pytest.mark.services

Cli = Callable[..., Any]


def test_works_are_listed_the_latest_first(stage: Any, on_stage: Cli) -> None:
    assert on_stage("works", "list").err.strip().endswith("no long work yet; `dujiang ingest` begins one")
    with working(stage.dsn, SystemClock(), "ingest", "gtr [a].csv", "li", total=30) as work:
        work.reached(27)
    with working(stage.dsn, SystemClock(), "quarantine_replay", "type_unknown", "wang", total=9):
        latest, first = on_stage("works", "list", "--json").rows
    took_s = first.pop("took_s")
    assert took_s >= 0
    assert first.pop("started_at")
    assert first == {
        "id": 1,
        "kind": "ingest",
        "title": "gtr [a].csv",
        "state": "done",
        "done": 27,
        "total": 30,
        "started_by": "li",
        "cancel_asked_by": None,
    }
    assert (latest["id"], latest["state"], latest["started_by"]) == (2, "running", "wang")
    table = on_stage("works", "list", "--limit", "2").out
    assert "27 of about 27, 100%" in table
    assert "gtr [a].csv" in table
    assert [row["id"] for row in on_stage("works", "list", "--limit", "1", "--json").rows] == [2]


def test_cancel_ends_a_work_after_its_step_and_is_on_record(stage: Any, on_stage: Cli) -> None:
    clock = FakeClock(datetime(2026, 6, 1, tzinfo=UTC))
    with suppress(WorkStopped), working(stage.dsn, clock, "ingest", "gtr a.csv", "li") as work:
        said = on_stage("works", "cancel", "1")
        assert (said.status, said.out) == (0, "work 1 (ingest gtr a.csv) is asked to stop; it stops after its step\n")
        clock.advance(EVERY_S)
        work.reached(4)
        work.reached(5)
    assert stage.rows("SELECT state, done, cancel_asked_by FROM work") == [("cancelled", 4, user_name())]
    deeds = stage.rows("SELECT done_by, action, kind, subject FROM console_deed")
    assert deeds == [(user_name(), "cancel", "work", "1")]


def test_cancel_of_what_is_over_or_never_was_is_refused_and_leaves_no_deed(stage: Any, on_stage: Cli) -> None:
    with working(stage.dsn, SystemClock(), "ingest", "gtr a.csv", "li"):
        pass
    over, unknown = on_stage("works", "cancel", "1"), on_stage("works", "cancel", "7")
    assert (over.status, unknown.status) == (1, 1)
    assert "work 1 is over: done since 2" in over.err
    assert "no work 7; `dujiang works list` shows all" in unknown.err
    assert stage.rows("SELECT count(*) FROM console_deed") == [(0,)]


def test_cancel_of_a_work_without_a_sign_of_life_says_so(stage: Any, on_stage: Cli) -> None:
    with working(stage.dsn, SystemClock(), "ingest", "gtr a.csv", "li"):
        stage.execute("UPDATE work SET beat_at = now() - interval '3 min'")
        assert on_stage("works", "list", "--json").rows[0]["state"] == "lost"
        assert "it has given no sign of life lately" in on_stage("works", "cancel", "1").out
