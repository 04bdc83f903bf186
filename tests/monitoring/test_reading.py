"""The copies that lists and counts read: as the rules say, whole after every pass, and asked for by indexes alone."""

import json
import math
import random
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from benchmarks import seeded
from benchmarks.pages import QUESTIONS
from dujiang.embedded.ports import free_port
from engine.ports import Entity
from gateway.console import queries
from gateway.console.queries import HourCount, ProjectFilter
from gateway.console.queries import rows as fetching
from monitoring.dashboards import DASHBOARDS
from monitoring.dashboards.declared import asked
from monitoring.metrics import ReadingMetrics
from schemas.projects import Project, State
from sinks.status import StatusStore
from sinks.status.projects import PROJECTS
from sinks.status.reading import PASSES, PIECE_ROWS, keep_fresh, refresh, refresh_some
from streams import projects
from tests.conftest import Stage
from tests.console.bureau import event
from tests.monitoring import seed

pytestmark = pytest.mark.services
CLAIMS = ("at_risk", "overdue", "silent", "underspent")
MANY = 20_000
HELD_MAX = 2_000  # rows that one question may fetch from a table of MANY; an index read alone costs little a row
ALERTS, CALLS, SUBSCRIPTIONS = 10_000, 3_000, 3_000
LARGE = (
    "project_status", "project_reading", "project_due", "event_history", "event_reading", "work",
    "subscription_attempt", "subscription_dead_letter", "subscription_delivery", "subscription_position",
    "subscription_reading", "call_hour",
)  # fmt: skip
# The clock decides what a call or an alert is, and tables of thousands are read in milliseconds: each once, as a whole. Of
# episodes, those that fire, and a week's.
HELD_ROWS_MAX = {
    **dict.fromkeys(LARGE, HELD_MAX),
    "alert_status": ALERTS,
    "alert_episode": ALERTS,
    "call_status": CALLS,
    "subscription": SUBSCRIPTIONS,
}


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, options="-c timezone=UTC") as connection:
        yield connection


def _save(cursor: psycopg.Cursor[Any], made: dict[str, Project]) -> None:
    StatusStore(PROJECTS).save(cursor, [(key, Entity(project)) for key, project in made.items()])


def _now(cursor: psycopg.Cursor[Any]) -> datetime:
    row = cursor.execute("SELECT now()").fetchone()
    assert row is not None
    found: datetime = row[0]
    return found


def test_copy_says_what_the_rules_say_after_every_change(owner: psycopg.Connection[Any]) -> None:
    draw = random.Random(4)  # noqa: S311 - a sample, the same each time
    made: dict[str, Project] = {}
    for _ in range(3):
        with owner.transaction(), owner.cursor() as cursor:
            now = _now(cursor)
            changed = {f"P-{draw.randrange(300)}": seed.drawn(draw, now) for _ in range(200)}
            made |= changed
            _save(cursor, changed)
            assert refresh(cursor)
            rows = cursor.execute("SELECT project_id, is_at_risk, is_overdue, is_silent, is_underspent FROM v_listed_project")
            said = {key: [name for name, holds in zip(CLAIMS, flags, strict=True) if holds] for key, *flags in rows}
            assert said == {key: projects.overlays(project, now) for key, project in made.items()}
            counted = dict(cursor.execute("SELECT state, sum(projects)::int FROM v_project_count GROUP BY 1").fetchall())
            assert counted == Counter(project.state for project in made.values())
            money = cursor.execute("SELECT sum(contracts)::int, sum(contracted)::int, sum(paid)::int FROM v_project_count")
            contracts = [project for project in made.values() if project.contract_amount]
            assert money.fetchone() == (
                len(contracts),
                sum(project.contract_amount for project in contracts),
                sum(project.disbursed for project in contracts),
            )
            years = cursor.execute("SELECT year, paid::int, accepted::int, accepted_projects FROM v_project_year").fetchall()
            assert _summed(years) == _by_year(made.values())
            board = {column.state: column for column in queries.board(cursor)}
            ruled = Counter((p.state, claim) for p in made.values() for claim in projects.overlays(p, now))
            assert {(state, c): getattr(board[state], c) for state, c in ruled} == ruled
            milestones = "SELECT project_id, milestone_id, due_on, status, days_left FROM {} ORDER BY 1, 2, 3, 4"
            due = cursor.execute(milestones.format("v_due_milestone")).fetchall()
            assert due == cursor.execute(milestones.format("v_milestone WHERE is_outstanding")).fetchall()
            assert due


def _summed(rows: list[Any]) -> dict[int, tuple[int, ...]]:
    """Of all calls."""
    years: dict[int, tuple[int, ...]] = {}
    for year, *figures in rows:
        years[year] = tuple(map(sum, zip(years.get(year, (0, 0, 0)), figures, strict=True)))
    return {year: figures for year, figures in years.items() if any(figures)}


def _by_year(made: Iterable[Project]) -> dict[int, tuple[int, ...]]:
    """Paid, contracts of what was accepted, and how many these are: as the projects say."""
    paid, accepted, count = Counter[int](), Counter[int](), Counter[int]()
    for project in made:
        paid.update(dict(project.paid_by_year))
        if project.accepted_at:
            accepted[project.accepted_at.year] += project.contract_amount
            count[project.accepted_at.year] += 1
    found = {year: (paid[year], accepted[year], count[year]) for year in paid.keys() | accepted.keys()}
    return {year: figures for year, figures in found.items() if any(figures)}


def test_what_was_under_way_during_a_pass_is_in_the_next(database: str, owner: psycopg.Connection[Any]) -> None:
    with psycopg.connect(database) as slow, slow.cursor() as writer:
        _save(writer, {"P-slow": Project(state=State.APPLIED)})
        with owner.transaction(), owner.cursor() as cursor:
            assert refresh(cursor) == 0
        slow.commit()
    with owner.transaction(), owner.cursor() as cursor:
        cursor.execute("UPDATE reading_pass SET started_at = started_at + interval '1 hour'")  # however long it takes
        assert refresh(cursor) == 1
        assert refresh(cursor) == 0


def test_a_pass_rests_as_often_as_it_took(owner: psycopg.Connection[Any]) -> None:
    rests = (
        "SELECT name, extract(epoch FROM rests_until - finished_at) / extract(epoch FROM finished_at - started_at)"
        " FROM reading_pass"
    )
    with owner.cursor() as cursor:
        _save(cursor, {"P-1": Project(state=State.APPLIED)})
        assert [refresh_some(cursor, name, rest=1_000) for name in PASSES] == [1, 0]
        _save(cursor, {"P-2": Project(state=State.APPLIED)})
        assert refresh_some(cursor, "project", rest=1_000) == 0
        for name, times in cursor.execute(rests).fetchall():
            assert 900 < times < 2_000, name  # it took a little more than `finished_at` says
        assert refresh(cursor) == 1


def test_many_that_changed_are_copied_in_pieces_and_the_pass_ends_with_the_last(owner: psycopg.Connection[Any]) -> None:
    draw = random.Random(6)  # noqa: S311
    true_at = "SELECT started_at FROM reading_pass WHERE name = 'project'"
    with owner.transaction(), owner.cursor() as cursor:
        _save(cursor, {f"P-{n}": seed.drawn(draw, _now(cursor)) for n in range(2 * PIECE_ROWS + 1)})
    done = []
    for _ in range(3):
        with owner.transaction(), owner.cursor() as cursor:
            before = cursor.execute(true_at).fetchone()
            done.append(refresh_some(cursor, "project", rest=0))
            assert (cursor.execute(true_at).fetchone() != before) is (len(done) == 3)
            if len(done) == 1:  # one that is listed, and one that is not
                _save(cursor, {"P-0": Project(state=State.CLOSED), "P-late": Project(state=State.APPLIED)})
    assert done == [PIECE_ROWS, PIECE_ROWS, 1]
    with owner.transaction(), owner.cursor() as cursor:
        assert refresh(cursor) >= 1
        assert _copied(cursor) == _stored(cursor)


def test_a_list_that_a_crash_emptied_is_made_again(owner: psycopg.Connection[Any]) -> None:
    draw = random.Random(7)  # noqa: S311
    with owner.transaction(), owner.cursor() as cursor:
        _save(cursor, {f"P-{n}": seed.drawn(draw, _now(cursor)) for n in range(PIECE_ROWS + 1)})
    with owner.transaction(), owner.cursor() as cursor:
        assert refresh_some(cursor, "project", rest=0) == PIECE_ROWS
    with owner.transaction(), owner.cursor() as cursor:
        cursor.execute("TRUNCATE project_reading_listed")  # as the server does to an unlogged table
        assert [refresh_some(cursor, "project", rest=0) for _ in range(2)] == [0, 1]
        assert _copied(cursor) == _stored(cursor)


def _stored(cursor: psycopg.Cursor[Any]) -> list[Any]:
    return cursor.execute("SELECT project_id, state FROM project_status ORDER BY 1").fetchall()


def _copied(cursor: psycopg.Cursor[Any]) -> list[Any]:
    return cursor.execute("SELECT project_id, state FROM v_listed_project ORDER BY 1").fetchall()


def test_a_clock_that_was_set_back_loses_nothing(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        cursor.execute(
            "UPDATE reading_pass SET (started_at, finished_at, read_to) = (SELECT t, t, t FROM"
            " (SELECT now() + interval '1 hour' AS t) AS later)"
        )
    with owner.transaction(), owner.cursor() as cursor:
        _save(cursor, {"P-1": Project(state=State.APPLIED)})
        assert refresh_some(cursor, "project", rest=20) == 1


def test_a_pass_in_pieces_goes_on_where_the_clock_was_set_back(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        _save(cursor, {f"P-{n}": Project(state=State.APPLIED) for n in range(2 * PIECE_ROWS + 1)})
        refresh(cursor)
        cursor.execute(
            "UPDATE reading_pass SET (started_at, finished_at, read_to, listed_at) = (SELECT t, t, t, t FROM"
            " (SELECT now() + interval '1 hour' AS t) AS later)"
        )
        cursor.execute("UPDATE project_status SET title = 'anew', written_at = now() - interval '1 minute'")
    done = []
    for _ in range(3):
        with owner.transaction(), owner.cursor() as cursor:
            done.append(refresh_some(cursor, "project", rest=0))
    assert done == [PIECE_ROWS, PIECE_ROWS, 1]
    with owner.transaction(), owner.cursor() as cursor:
        ended = cursor.execute("SELECT read_to <= now(), started_at <= now() FROM reading_pass WHERE name = 'project'")
        assert ended.fetchone() == (True, True)


def test_what_an_index_or_a_text_cannot_hold_keeps_nothing_out(owner: psycopg.Connection[Any]) -> None:
    applied = "gov.stiib.research.application.submitted.v1"
    history = (
        "INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject,"
        " event_time, recorded_at, event) VALUES (gen_random_uuid(), 't', 0, 0, %s, '/a', 'e', %s, now(), now(), %s)"
    )
    with owner.transaction(), owner.cursor() as cursor:
        draw = random.Random(4)  # noqa: S311 - a sample, the same each time
        long = "".join(chr(draw.randrange(0x4E00, 0x9000)) for _ in range(20_000))  # nothing to compress
        _save(cursor, {long[:512]: Project(state=State.APPLIED, call_id=long), "P-1": seed.drawn(draw, _now(cursor))})
        texts = (("P-nul", r'"a\u0000b"'), ("P-long", f'"{long}"'), ("P-1", '"C-1"'), ("P-line", r'"C-1\n"'))
        for subject, data in texts:
            cursor.execute(history, (applied, subject, f'{{"data":{{"call_id":{data}}}}}'))
        assert refresh(cursor) == 5
        kept = cursor.execute("SELECT left(call_id, 9), length(call_id), applications FROM v_call_hour").fetchall()
        assert sorted(kept) == [("C-1", 3, 1), ("C-1\n", 4, 1), (long[:9], 512, 1)]


def test_rejections_and_findings_are_listed_as_they_were_told(owner: psycopg.Connection[Any]) -> None:
    history = (
        "INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject,"
        " event_time, recorded_at, event) VALUES (gen_random_uuid(), 't', 0, 0, %s, '/streams/p', 'e', %s, now(), now(), %s)"
    )
    rejected, reported = "gov.stiib.platform.transition.rejected.v1", "gov.stiib.platform.finding.reported.v1"
    told = {"step": "projects", "event_type": "t", "event_id": "i", "event_source": "/a", "reason": "order", "state": None}
    finding = {"rule": "r", "severity": "warning", "message": "状态", "pointer": "/data/x", "value": 5}
    with owner.transaction(), owner.cursor() as cursor:
        for kind, subject, data in ((rejected, "P-1", told), (rejected, "P-nul", "a\0b"), (reported, "P-2", finding)):
            cursor.execute(history, (kind, subject, json.dumps({"data": data})))
        cursor.execute(history, ("gov.stiib.research.review.started.v1", "P-3", "{}"))
        for _ in range(2):  # a second pass adds nothing
            refresh(cursor)
            for listed, whole in (("v_listed_rejection", "v_rejection"), ("v_listed_finding", "v_finding")):
                query = "SELECT to_jsonb(v) FROM {} v WHERE subject <> 'P-nul'"
                rows = cursor.execute(query.format(listed)).fetchall()
                assert (rows, len(rows)) == (cursor.execute(query.format(whole)).fetchall(), 1)
            assert cursor.execute("SELECT reason FROM v_listed_rejection WHERE subject = 'P-nul'").fetchall() == [(None,)]


def test_the_list_shows_overdue_then_at_risk_then_what_moved_last(owner: psycopg.Connection[Any]) -> None:
    draw = random.Random(5)  # noqa: S311
    with owner.transaction(), owner.cursor() as cursor:
        now = _now(cursor)
        _save(cursor, {f"P-{n}": seed.drawn(draw, now) for n in range(40)})
        refresh(cursor)
        found = queries.projects(cursor, ProjectFilter())
        ranks = [0 if row.is_overdue else 1 if row.is_at_risk else 2 for row in found.rows]
        assert (ranks, set(ranks), len(found.rows)) == (sorted(ranks), {0, 1, 2}, 40)
        days = [row.overdue_days for row in found.rows if row.is_overdue]
        assert days == sorted(days, reverse=True)  # type: ignore[type-var]
        for claim in queries.CLAIMS:
            rows = queries.projects(cursor, ProjectFilter(claim=claim)).rows
            assert len({row.project_id for row in rows}) == len(rows)
            assert {row.project_id for row in rows} == {row.project_id for row in found.rows if _holds(row, claim)}
            worded = queries.projects(cursor, ProjectFilter(claim=claim, words="P-")).rows
            assert {row.project_id for row in worded} == {row.project_id for row in rows}


def _holds(row: queries.ProjectRow, claim: str) -> bool:
    return row.state in queries.CLAIMS[claim] if claim == "undecided" else bool(getattr(row, f"is_{claim}"))


def test_few_and_many_that_have_the_words_are_listed_alike(
    owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(6)  # noqa: S311
    with owner.transaction(), owner.cursor() as cursor:
        now = _now(cursor)
        _save(cursor, {f"P-{n}": seed.drawn(draw, now) for n in range(40)})
        refresh(cursor)
        for claim in ("", *queries.CLAIMS):
            for state in ("", "executing"):
                wanted = ProjectFilter(state, claim, "p-1")
                few = queries.projects(cursor, wanted).rows
                with monkeypatch.context() as patched:
                    patched.setattr(sys.modules["gateway.console.queries.projects"], "FEW_MAX", 0)
                    many = queries.projects(cursor, wanted).rows
                assert {row.project_id for row in few} == {row.project_id for row in many}
                if not claim and not state:
                    assert len(few) == 11


def test_words_follow_the_title(owner: psycopg.Connection[Any]) -> None:
    def found(cursor: psycopg.Cursor[Any], words: str) -> list[str]:
        listed = [row.project_id for row in queries.projects(cursor, ProjectFilter(words=words)).rows]
        searched = [one.key for one in queries.find_words(cursor, words) if one.kind == "project"]
        assert not searched or searched == listed
        return listed

    draw = random.Random(7)  # noqa: S311
    for title, answers in (("水泵 Quiet Pumps", (["P-1"], [])), ("Weir", ([], ["P-1"]))):
        with owner.transaction(), owner.cursor() as cursor:
            _save(cursor, {"P-1": replace(seed.drawn(draw, _now(cursor)), title=title)})
            refresh(cursor)
            assert (found(cursor, "泵 quiet"), found(cursor, "weir")) == answers


def test_applications_and_extensions_come_along(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        seed.sow(cursor, _now(cursor))
        calls = cursor.execute("SELECT call_id, sum(applications) FROM v_call_hour GROUP BY 1 ORDER BY 1")
        assert calls.fetchall() == [("C-now", 2), ("C-old", 4)]
        assert cursor.execute("SELECT project_id FROM v_extension ORDER BY 1").fetchall() == [("P-1",), ("P-2",)]


def _came(cursor: psycopg.Cursor[Any], event_id: str, at: datetime, late_s: int = 0) -> None:
    """An event of the institute that was recorded at `at`."""
    cursor.execute(
        "INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject,"
        " event_time, recorded_at, event) VALUES (gen_random_uuid(), 'research.project.event', 0, 0, 'x', '/partners/a/b', %s,"
        " 'P-1', %s, %s, '{}')",
        (event_id, at - timedelta(seconds=late_s), at),
    )


def test_hours_of_a_source_are_counted_whatever_was_counted_before(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        now = _now(cursor)
        for number, late_s in enumerate((0, 40, 40, 5_000_000)):
            _came(cursor, f"e-{number}", now, late_s)
        cursor.execute(
            "INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject,"
            " event_time, recorded_at, event) VALUES (gen_random_uuid(), 'platform.transition.rejected', 0, 0,"
            " 'gov.stiib.platform.transition.rejected.v1', '/streams/projects', 'r', 'P-1', now(), now(), %s)",
            (json.dumps({"data": {"event_source": "/partners/a/b", "reason": "order"}}),),
        )
        cursor.execute("INSERT INTO event_repeat VALUES ('research.project.event', '/partners/a/b', 3)")
        cursor.execute("INSERT INTO event_repeat VALUES ('research.project.event', '/partners/ab', 9)")  # another partner's
        cursor.execute(seeded.QUARANTINE_SQL, {"count": 1})
        cursor.execute("UPDATE quarantine SET event_source = '/partners/a'")
        assert refresh(cursor, passes=("history",)) == 8
        found = queries.tallies(cursor, "/partners/a")
        assert {(one.outcome, one.reason, one.late_s): one.events for one in found} == {
            ("taken", "", 1): 1,
            ("taken", "", 60): 2,
            ("taken", "", 31_536_000): 1,
            ("rejected", "order", 0): 1,
            ("duplicate", "", 0): 3,
            ("quarantined", "type_unknown", 0): 1,
        }
        parted = queries.tallies(cursor, "/partners/a", ["/partners/a/b"])
        assert [one.outcome for one in parted] == ["quarantined"]
        assert refresh(cursor, passes=("history",)) == 0
        hour = now.replace(minute=0, second=0, microsecond=0)
        events = {(one.hour, one.what): one.number for one in queries.events_by_hour(cursor)}
        assert events == {(hour, "taken"): 4, (hour, "rejected"): 1, (hour, "quarantined"): 1}
        assert queries.causes_by_hour(cursor) == [HourCount(hour, "type_unknown", 1)]
    with owner.transaction(), owner.cursor() as cursor:
        # Recorded days ago and stored now, as after an outage: it counts in its hour. What is too old goes.
        _came(cursor, "late", now - timedelta(days=2), 40)
        cursor.execute("INSERT INTO source_hour VALUES ('/partners/a', now() - interval '9 days', 'taken', '', 1, 5, 5)")
        refresh(cursor, passes=("history",))
        assert sum(one.events for one in queries.tallies(cursor, "/partners/a") if one.outcome == "taken") == 5
        today = queries.day_tallies(cursor)
        assert sum(one.events for one in today if one.source == "/partners/a/b" and one.outcome == "taken") == 4


_SOURCES = ("/partners/a", "/partners/a/b", "/partners/ab", "/engine/projects", "/streams/calls")
_HELD = """SELECT event_source, hour, outcome, reason, late_s, events, settled FROM source_hour ORDER BY 1, 2, 3, 4, 5"""
_APPLIED_HELD = "SELECT call_id, hour, applications FROM v_call_hour ORDER BY 1, 2"
_APPLIED = """
    SELECT event::json -> 'data' ->> 'call_id', date_trunc('hour', event_time), count(*) FROM event_history
    WHERE event_type LIKE '%.research.application.submitted.v_' GROUP BY 1, 2 ORDER BY 1, 2"""
# As the real one says it, but with an end and a present that the test chooses.
_BEGIN_AT = """
CREATE OR REPLACE FUNCTION begin_reading(
    pass text, rest float8, OUT began timestamptz, OUT read_from timestamptz, OUT up_to timestamptz
) LANGUAGE sql AS $body$
    SELECT current_setting('test.began')::timestamptz, read_to, current_setting('test.up_to')::timestamptz
    FROM reading_pass WHERE name = pass
$body$
"""


def test_passes_at_any_bounds_add_up_to_one_count_of_everything(owner: psycopg.Connection[Any]) -> None:
    draw = random.Random(8)  # noqa: S311
    began = datetime(2026, 6, 10, 8, 30, tzinfo=UTC)
    read_to, expected = began - timedelta(days=9), Counter[tuple[Any, ...]]()
    with owner.transaction(), owner.cursor() as cursor:
        cursor.execute(_BEGIN_AT)
        cursor.execute("SELECT set_config('test.began', %s, false)", (began.isoformat(),))
        cursor.execute("UPDATE reading_pass SET read_to = %s WHERE name = 'history'", (read_to,))
    for number in range(40):
        up_to = read_to + timedelta(minutes=draw.randrange(0, 720))
        with owner.transaction(), owner.cursor() as cursor:
            for _ in range(draw.randrange(30)):
                # Some of them younger than what the pass is sure to have seen all of.
                stored_at = read_to + draw.random() * (up_to - read_to + timedelta(hours=1))
                expected += _anything_came(cursor, draw, stored_at, began)
            cursor.execute("SELECT set_config('test.up_to', %s, false)", (up_to.isoformat(),))
        if number % 3 == 1:  # cut off before its end
            with owner.transaction(force_rollback=True), owner.cursor() as cursor:
                refresh(cursor, passes=("history",))
        for _ in range(1 + number % 2):
            with owner.transaction(), owner.cursor() as cursor:
                refresh(cursor, passes=("history",))
                assert _tallied(cursor) == expected
                assert cursor.execute(_APPLIED_HELD).fetchall() == cursor.execute(_APPLIED.encode()).fetchall()
        read_to = up_to
    with owner.transaction(), owner.cursor() as cursor:
        added = cursor.execute(_HELD).fetchall()
        cursor.execute("UPDATE reading_pass SET read_to = '-infinity' WHERE name = 'history'")
        refresh(cursor, passes=("history",))
        assert cursor.execute(_HELD).fetchall() == added
        assert len(cursor.execute(_APPLIED_HELD).fetchall()) > 50
        assert cursor.execute(_APPLIED_HELD).fetchall() == cursor.execute(_APPLIED.encode()).fetchall()
    assert {outcome for _, _, outcome, *_ in expected} == {"taken", "duplicate", "rejected", "quarantined"}
    assert len({hour for _, hour, *_ in expected}) > 100


def _anything_came(
    cursor: psycopg.Cursor[Any], draw: random.Random, stored_at: datetime, began: datetime
) -> Counter[tuple[Any, ...]]:
    """An event that was taken, sent again, rejected or quarantined, and what a scorecard is to count of it."""
    source, outcome = draw.choice(_SOURCES), draw.choice(("taken", "taken", "duplicate", "rejected", "quarantined"))
    recorded_at = stored_at - timedelta(seconds=draw.choice((-90, 0, 1, 4_000, 90_000, 700_000)) * draw.random())
    late_s = draw.choice((-5, 0, 1, 59, 60, 4_000, 90_000_000))
    events, reason, counted_late_s, at = 1, "", 0, min(recorded_at, stored_at)
    if outcome == "taken":
        _recorded(cursor, source, stored_at, recorded_at, late_s)
        counted_late_s = next((bound for bound in (1, 2, 60, 120, 7_200) if late_s < bound), 31_536_000)
    elif outcome == "rejected":
        reason = draw.choice(("order", "amount"))
        _recorded(cursor, "/engine/projects", stored_at, recorded_at, late_s, rejects=(source, reason))
    elif outcome == "duplicate":
        events, at = draw.randrange(1, 9), stored_at
        cursor.execute("INSERT INTO event_repeat VALUES ('research.project.event', %s, %s, %s)", (source, events, stored_at))
    else:
        reason, at = "data_invalid", stored_at
        cursor.execute(
            "INSERT INTO quarantine (topic, partition, record_offset, headers, event_source, step, code_version, reason,"
            " pointer, message, first_failed_at) SELECT 'research.project.event', 0, count(*), '[]', %s, 'projects', '1',"
            " 'data_invalid', '', '', %s FROM quarantine",
            (source, stored_at),
        )
    is_ours = source.startswith(("/engine/", "/streams/")) and outcome in ("taken", "duplicate")
    hour = at.replace(minute=0, second=0, microsecond=0)
    is_kept = hour >= (began - timedelta(days=8)).replace(minute=0)
    return Counter({(source, hour, outcome, reason, counted_late_s): events} if is_kept and not is_ours else {})


def _recorded(
    cursor: psycopg.Cursor[Any],
    source: str,
    stored_at: datetime,
    recorded_at: datetime,
    late_s: int,
    rejects: tuple[str, str] | None = None,
) -> None:
    kind, data = "gov.stiib.research.application.submitted.v1", {"call_id": "C-1"}
    if rejects:
        kind, data = "gov.stiib.platform.transition.rejected.v1", dict(zip(("event_source", "reason"), rejects, strict=True))
    cursor.execute(
        "INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject,"
        " event_time, recorded_at, stored_at, event)"
        " VALUES (gen_random_uuid(), 'research.project.event', 0, 0, %s, %s, 'e', 'P-1', %s, %s, %s, %s)",
        (kind, source, recorded_at - timedelta(seconds=late_s), recorded_at, stored_at, json.dumps({"data": data})),
    )


def _tallied(cursor: psycopg.Cursor[Any]) -> Counter[tuple[Any, ...]]:
    return Counter({tuple(key): events for *key, events, _ in cursor.execute(_HELD).fetchall()})


def test_a_pass_adds_to_hours_that_it_does_not_read_again(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        now = _now(cursor)
        refresh(cursor, passes=("history",))
        hour = (now - timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
        # What stands in the history of that hour is nothing: counted anew, it would be lost.
        cursor.execute("INSERT INTO source_hour VALUES ('/partners/a/b', %s, 'taken', '', 60, 1000, 1000)", (hour,))
        _came(cursor, "late", now - timedelta(days=2), 40)
        for _ in range(2):
            refresh(cursor, passes=("history",))
            [[events]] = cursor.execute("SELECT events FROM v_source_hour").fetchall()
            assert events == 1_001


def test_what_was_under_way_for_long_is_counted_once_when_it_is_there(database: str, owner: psycopg.Connection[Any]) -> None:
    def counted() -> Any:
        with owner.transaction(), owner.cursor() as cursor:
            refresh(cursor, passes=("history",))
            return cursor.execute("SELECT sum(events)::int FROM source_hour").fetchone()

    with psycopg.connect(database) as slow, slow.cursor() as writer:
        _came(writer, "slow", datetime.now(UTC))
        with owner.transaction(), owner.cursor() as cursor:
            _came(cursor, "quick", datetime.now(UTC))
        # Longer than the moment that a pass leaves to everybody.
        while writer.execute("SELECT clock_timestamp() < now() + interval '1.5 s'").fetchone() == (True,):
            assert counted() == (1,)
        slow.commit()
    assert (counted(), counted()) == ((2,), (2,))


def test_a_clock_that_was_set_back_counts_nothing_twice(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        _came(cursor, "before", _now(cursor))
        refresh(cursor, passes=("history",))
        cursor.execute("UPDATE source_hour SET settled = events")
        cursor.execute("UPDATE reading_pass SET read_to = read_to + interval '1 hour' WHERE name = 'history'")
        _came(cursor, "after", _now(cursor))
        refresh(cursor, passes=("history",))
        assert cursor.execute("SELECT sum(events)::int FROM source_hour").fetchone() == (2,)


def test_alerts_are_counted_when_they_were_raised_and_when_they_ended(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        cursor.execute(seeded.ALERTS_SQL, {"count": 5})
        this = _now(cursor).replace(minute=0, second=0, microsecond=0)
        hour = timedelta(hours=1)
        cursor.execute("UPDATE alert_status SET raised_at = %s, severity = 'high'", (this - 47 * hour,))
        cursor.execute("UPDATE alert_status SET raised_at = %s WHERE alert_key = 'am/1'", (this - 48 * hour,))
        cursor.execute("UPDATE alert_status SET ended_at = %s, severity = NULL WHERE alert_key = 'am/2'", (this - hour,))
        found = {(one.hour, one.what): one.number for one in queries.alerts_by_hour(cursor)}
        assert found == {(this - 47 * hour, "high"): 3, (this - 47 * hour, ""): 1, (this - hour, "ended"): 1}


@pytest.fixture(scope="module")
def many(services: Any) -> Iterator[psycopg.Cursor[Any]]:
    """MANY projects and events, and a planner that shuns whole tables: one that it reads all the same has no index."""
    admin = str(services.postgres.admin_dsn)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE t_many TEMPLATE dujiang_template OWNER dujiang")
    with psycopg.connect(admin.rpartition("/")[0] + "/t_many", autocommit=True) as connection:
        seeded.fill(connection, projects=MANY, alerts=ALERTS, events=MANY, held=100, calls=CALLS, subscriptions=SUBSCRIPTIONS)
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET jit = off")
        yield connection.cursor()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE t_many WITH (FORCE)")


_PANELS = [
    pytest.param(asked(query, dashboard, subject="P-0000777"), id=f"{dashboard.uid} {panel.title.en}")
    for dashboard in DASHBOARDS
    for panel, query in dashboard.questions
] + [
    pytest.param(variable.choices.text, id=f"{dashboard.uid} values of {variable.name}")
    for dashboard in DASHBOARDS
    for variable in dashboard.variables
    if variable.values
]


_WHOLE = ("subscription_delivery", "subscription_position", "subscription_reading")


@pytest.mark.parametrize("text", _PANELS)
def test_every_panel_reads_little_of_a_large_table(many: psycopg.Cursor[Any], text: str) -> None:
    # Who is the furthest behind is known only from all that waits.
    whole = _WHOLE if "ORDER BY behind_s DESC" in text else ()
    _check(many, text, None, whole)


_VALUES = {  # of which seeded.fill makes many
    "monitor": "am",
    "partner": "partner-7",
    "programme": "Programme 7",
    "severity": "critical",
    "step": "projects",
    "topic": "research.project.event",
}
_NARROWED = [
    pytest.param(
        asked(query, dashboard, subject="P-0000777", **{variable.name: _VALUES[variable.name]}),
        id=f"{dashboard.uid} {panel.title.en} by {variable.name}",
    )
    for dashboard in DASHBOARDS
    for panel, query in dashboard.questions
    for variable in dashboard.variables
    if variable.values and f"${{{variable.name}:" in query.text
]


@pytest.mark.parametrize("text", _NARROWED)
def test_every_panel_reads_little_where_it_is_narrowed_too(many: psycopg.Cursor[Any], text: str) -> None:
    # Who is the furthest behind is known only from all that waits; whose call a silent project is stands in its row alone.
    whole = {"ORDER BY behind_s DESC": _WHOLE, "WHERE is_silent AND": ("project_reading",)}
    _check(many, text, None, tuple(table for part, tables in whole.items() if part in text for table in tables))


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_of_the_console_reads_little(
    many: psycopg.Cursor[Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words are looked for in every line of a narrow table: no index of PostgreSQL's own finds parts of words."""
    seen: list[tuple[str, Any]] = []
    rows = fetching.rows

    def noted(cursor: Any, kind: Any, query: str, values: Any = None) -> Any:
        seen.append((query, values))
        return rows(cursor, kind, query, values)

    for module in [module for path, module in sys.modules.items() if path.startswith(queries.__name__)]:
        if getattr(module, "rows", None) is rows:
            monkeypatch.setattr(module, "rows", noted)
    QUESTIONS[name](many)
    assert seen
    # How subscriptions fare is known only from where each stands; of what waits for them, so much is counted at most.
    whole = ("subscription_position", "subscription_delivery") if name.startswith("way:") else ()
    for query, values in seen:
        _check(many, query, values or {}, whole)


def _check(cursor: psycopg.Cursor[Any], text: str, values: dict[str, Any] | None, whole: tuple[str, ...] = ()) -> None:
    """`whole`: tables that it may read once from one end to the other."""
    rows_max = HELD_ROWS_MAX | {table: _count(cursor, table) for table in whole}
    row = cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {text}".encode(), values).fetchone()
    assert row is not None
    too_many = [
        (node["Node Type"], node["Relation Name"], _held(node))
        for node in _nodes(row[0][0]["Plan"])
        if node["Node Type"] != "Index Only Scan" and _held(node) > rows_max.get(node.get("Relation Name", ""), math.inf)
    ]
    assert too_many == [], json.dumps(row[0], indent=1)


def _count(cursor: psycopg.Cursor[Any], table: str) -> int:
    row = cursor.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608 - a name of this file
    assert row is not None
    return int(row[0])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _held(node: dict[str, Any]) -> float:
    """Rows that it fetched, those thrown away included."""
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


def test_the_copy_is_told_how_old_it_is(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        refresh(cursor)
        cursor.execute("UPDATE reading_pass SET started_at = now() - interval '50 s'")
        assert queries.copy_age_s(cursor) == 50


def test_how_old_a_copy_is_is_seen_though_its_passes_fail(database: str, owner: psycopg.Connection[Any]) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        cursor.execute(
            "UPDATE reading_pass SET started_at = to_timestamp(1000), finished_at = to_timestamp(1003) WHERE name = 'project'"
        )
        cursor.execute("UPDATE reading_pass SET started_at = '-infinity', finished_at = '-infinity' WHERE name <> 'project'")
        for name in PASSES:
            cursor.execute(f"ALTER FUNCTION refresh_{name}_reading RENAME TO lost_{name}".encode())
    figures, stopping = CollectorRegistry(), Event()
    keeper = Thread(target=keep_fresh, args=(database, stopping, ReadingMetrics(figures)), daemon=True)
    keeper.start()

    def shown(name: str) -> list[float | None]:
        return [figures.get_sample_value(f"dujiang_reading_copy_{name}_seconds", {"copy": copy}) for copy in PASSES]

    until = time.monotonic() + 30
    while None in shown("timestamp") + shown("pass") and time.monotonic() < until:
        time.sleep(0.05)
    stopping.set()
    keeper.join(20)
    assert (shown("timestamp"), shown("pass")) == ([1_000, 0], [3, 0])


def test_a_pass_that_rests_is_left_alone_but_where_the_clock_was_set_back(
    database: str, owner: psycopg.Connection[Any]
) -> None:
    with owner.transaction(), owner.cursor() as cursor:
        _save(cursor, {"P-1": Project(state=State.APPLIED)})
        cursor.execute("UPDATE reading_pass SET rests_until = now() + interval '1 hour'")
        cursor.execute("UPDATE reading_pass SET finished_at = now() + interval '1 hour' WHERE name = 'history'")
    stopping = Event()
    keeper = Thread(target=keep_fresh, args=(database, stopping, ReadingMetrics(CollectorRegistry())), daemon=True)
    keeper.start()
    began = "SELECT read_to, finished_at <= clock_timestamp() FROM reading_pass WHERE name = 'history'"
    until = time.monotonic() + 30
    while not owner.execute(began).fetchall()[0][1] and time.monotonic() < until:
        owner.rollback()
        time.sleep(0.05)
    stopping.set()
    keeper.join(20)
    with owner.cursor() as cursor:
        assert cursor.execute(began).fetchall()[0][1]
        assert _copied(cursor) == []


def test_a_worker_keeps_the_copy_and_says_how_old_it_is(stage: Stage) -> None:
    port = free_port()
    stage.worker("projects", worker__http_port=str(port))
    data = {"call_id": "C-1", "title": "Weir", "lead": "Institute", "budget": 10}
    stage.send([event("research.application.submitted", "e-1", "P-1", datetime.now(UTC), data)])
    listed = "SELECT project_id, state, title FROM v_listed_project"
    stage.until(lambda: stage.rows(listed) == [("P-1", "applied", "Weir")], 60, lambda: f"listed: {stage.rows(listed)}")

    def said() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def age_s() -> float:
        [true_at] = re.findall(r'^dujiang_reading_copy_timestamp_seconds\{copy="project"\} (\S+)$', said(), re.MULTILINE)
        return time.time() - float(true_at)

    stage.until(lambda: 0 <= age_s() < 10, 60, lambda: f"the copy is said to be {age_s()} s old")  # told before each pass
    up = set(re.findall(r'^dujiang_dependency_up\{dependency="(\w+)"\} 1.0$', said(), re.MULTILINE))
    assert "postgresql" in up  # Kafka is looked at every five seconds
