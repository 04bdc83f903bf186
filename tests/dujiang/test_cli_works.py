"""Long work at the terminal: listed as the console lists it, and asked to stop from another one."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from dujiang.publish import AT_ONCE_MAX
from dujiang.user import user_name
from engine.clock import FakeClock, SystemClock
from engine.subscriptions import register, snapshots
from engine.timers import FIRED_AT_ONCE_MAX
from engine.works import EVERY_S, WorkStopped, working
from schemas.subscriptions import Status, Subscription

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


def test_file_of_more_than_a_batch_is_long_work_and_a_small_one_is_none(stage: Any, on_stage: Cli, tmp_path: Path) -> None:
    event = {"specversion": "1.0", "source": "/partners/a", "type": "gov.stiib.research.review.started.v1"}
    event |= {"time": "2026-01-01T00:00:00Z", "data": {}}
    file = tmp_path / "many.jsonl"
    lines = [json.dumps(event | {"id": f"e{number}", "subject": f"P-{number}"}) + "\n" for number in range(AT_ONCE_MAX + 1)]
    file.write_text("".join(lines[:-1]))
    assert on_stage("publish", file).out == f"published {AT_ONCE_MAX}, refused 0\n"
    assert stage.rows("SELECT count(*) FROM work") == [(0,)]
    file.write_text("".join(lines) + "no event\n")
    said = on_stage("publish", file)
    assert (said.status, said.out) == (1, f"published {AT_ONCE_MAX + 1}, refused 1\n")
    assert stage.rows("SELECT kind, title, done, total, state FROM work") == [
        ("publish", "many.jsonl", AT_ONCE_MAX + 2, AT_ONCE_MAX + 2, "done")
    ]


def test_firing_many_timers_is_long_work(stage: Any, on_stage: Cli) -> None:
    count = FIRED_AT_ONCE_MAX + 1
    stage.execute(
        "INSERT INTO timer (step, key, partition, due_at)"
        " SELECT 'projects', 'P-' || n, 0, '2026-01-01T00:00:00Z' FROM generate_series(1, %s) n",
        count,
    )
    said = on_stage("timers", "advance", "--as-of", "2026-02-01T00:00:00Z", "--step", "projects")
    assert (said.status, said.out) == (0, f"fired {count} timers\n"), said.err
    assert stage.rows("SELECT kind, title, done, total, state FROM work") == [
        ("timers_advance", "2026-02-01T00:00:00Z projects", count, count, "done")
    ]


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


def test_cancelled_backfill_pauses_its_subscription(stage: Any, on_stage: Cli) -> None:
    reader, now = UUID(int=8), datetime.now(UTC)
    with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
        enabled = Status("enabled", "created", "partner", now, validated_at=now)
        register.add(cursor, Subscription(reader, "agency", "PULL", enabled, now, now), {})
        snapshots.note_backfill(cursor, reader, 400, 1000)
    said = on_stage("works", "cancel", "1")
    assert (said.status, said.out) == (0, f"work 1 (backfill {reader}) is cancelled; its subscription is paused\n")
    assert stage.rows("SELECT state, done, total, cancel_asked_by FROM work") == [("cancelled", 400, 1000, user_name())]
    assert stage.rows("SELECT state, state_reason, state_by FROM subscription") == [
        ("paused", "snapshot_cancelled", "operator")
    ]
    assert stage.rows("SELECT done_by, action, kind, subject FROM console_deed") == [(user_name(), "cancel", "work", "1")]
    again = on_stage("works", "cancel", "1")
    assert again.status == 1
    assert "work 1 is over: cancelled since" in again.err
