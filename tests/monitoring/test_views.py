"""The reading views say what the rules say, and the reading role sees nothing else."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec import structs
from psycopg import sql

from dujiang.database import engine_of
from dujiang.tables import metadata
from engine.ports import Entity
from monitoring.dashboards import quality
from monitoring.dashboards.declared import Sql
from schemas.alerts import SEVERITIES, Alert, Condition, Episode, Handling, Suppression
from schemas.calls import Call
from schemas.projects import Milestone, MilestoneStatus, Project, State
from schemas.subscriptions import Reader
from sinks.status import StatusStore
from sinks.status.alerts import ALERTS
from sinks.status.calls import CALLS
from sinks.status.projects import PROJECTS
from streams import alerts, calls, projects
from tests.monitoring import seed
from tests.monitoring.grafana import read, sql_of

pytestmark = pytest.mark.services
VIEWS = tuple(
    view
    for migration in (
        "0003_reading_views",
        "0008_reading_subscriptions",
        "0012_silences_works",
        "0013_reading_copy",
        "0014_reading_events",
        "0021_backfills_are_works",
        "0022_reading_partners",
        "0024_scorecards",
        "0026_refusals",
        "0027_episodes_and_years",
        "0028_readers_and_repeats",
        "0029_refused_and_found",
        "0032_applications_by_hour",
    )
    for view in import_module(f"migrations.versions.{migration}").VIEWS
    if view != "v_application"  # taken away by 0032
)


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, options="-c timezone=UTC") as connection:
        yield connection


@pytest.fixture
def now(owner: psycopg.Connection[Any]) -> datetime:
    """What now() says in the whole transaction."""
    row = owner.execute("SELECT now()").fetchone()
    assert row is not None
    found: datetime = row[0]
    return found


def test_overlays_of_projects_are_those_of_the_rule(owner: psycopg.Connection[Any], now: datetime) -> None:
    draw = random.Random(1)  # noqa: S311 - a sample, the same each time
    made = {f"P-{number}": seed.drawn(draw, now) for number in range(500)}
    with owner.cursor() as cursor:
        StatusStore(PROJECTS).save(cursor, [(key, Entity(project)) for key, project in made.items()])
    names = ("at_risk", "overdue", "silent", "underspent")
    rows = owner.execute("SELECT project_id, is_at_risk, is_overdue, is_silent, is_underspent FROM v_project").fetchall()
    said = {key: [name for name, holds in zip(names, flags, strict=True) if holds] for key, *flags in rows}
    ruled = {key: projects.overlays(project, now) for key, project in made.items()}
    assert said == ruled
    assert {name for claims in ruled.values() for name in claims} == set(names)  # the sample shows each


def test_phase_of_a_call_is_that_of_the_rule(owner: psycopg.Connection[Any], now: datetime) -> None:
    draw = random.Random(2)  # noqa: S311 - a sample, the same each time
    instants = [None, *(now + timedelta(days=days) for days in (-30, -1, 0, 1, 14, 15, 60))]
    made = {
        f"C-{number}": Call(
            opens_at=draw.choice(instants),
            closes_at=draw.choice(instants),
            is_cancelled=draw.random() < 0.1,
            source_status=draw.choice(["", "forthcoming", "open", "closed"]),
            told_at=draw.choice([None, now, now, now]),
        )
        for number in range(500)
    }
    with owner.cursor() as cursor:
        StatusStore(CALLS).save(cursor, [(key, Entity(call)) for key, call in made.items()])
    said = dict(owner.execute("SELECT call_id, phase FROM v_call").fetchall())
    assert said == {key: calls.phase_at(call, now) for key, call in made.items()}
    assert len(set(said.values())) == 6


def test_alerts_that_nobody_took_are_those_of_the_rule(owner: psycopg.Connection[Any], now: datetime) -> None:
    draw = random.Random(3)  # noqa: S311 - a sample, the same each time
    made = {}
    for number in range(500):
        seen = now - timedelta(minutes=draw.choice([0, 15, 16, 60, 61, 1440, 1441]))
        episode = Episode(
            draw.choice(list(Condition)),
            draw.choice(list(Handling)),
            draw.choice(SEVERITIES),
            "t",
            seen,
            seen,
            attention_at=draw.choice([None, seen, seen]),
        )
        silenced_until = draw.choice([None, None, now + timedelta(hours=1), now - timedelta(minutes=16)])
        if silenced_until is not None:
            episode = structs.replace(episode, suppression=Suppression.SILENCED, silenced_until=silenced_until)
        made[f"m/{number}"] = Alert(1, draw.choice([None, episode, episode]))
    with owner.cursor() as cursor:
        StatusStore(ALERTS).save(cursor, [(key, Entity(alert)) for key, alert in made.items()])
    late = {key for (key,) in owner.execute("SELECT alert_key FROM v_alert WHERE is_acknowledged_late").fetchall()}
    told = {key: alerts.advance(alert, now, key).state for key, alert in made.items()}
    assert late == {key for key, alert in told.items() if alerts.overlays(alert, now)}
    quiet = {key for (key,) in owner.execute("SELECT alert_key FROM v_alert WHERE suppression = 'silenced'").fetchall()}
    assert quiet == {key for key, alert in told.items() if alert.episode and alert.episode.silenced_until}
    assert late


def test_who_may_read_what_is_what_the_rule_gives(owner: psycopg.Connection[Any], now: datetime) -> None:
    draw = random.Random(5)  # noqa: S311 - a sample, the same each time
    types = ("a.b.v1", "a.c.v1", "d.v1")
    offered = ["subscribe:a.*", "subscribe:a.b.v1", "subscribe:*", "clearance:internal", "clearance:restricted", "publish:*"]
    ruled = {}
    for number in range(200):
        scopes, granted = draw.sample(offered, draw.randint(0, 4)), draw.choice([[], draw.sample(offered, 3)])
        asked, basis = draw.sample(types, draw.randint(0, 3)), draw.choice(["law", None])
        owner.execute(
            "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
            " VALUES (%s, '', %s, '{}', 1, 1, 1, 'tests')",
            (f"p-{number}", scopes),
        )
        owner.execute(
            "INSERT INTO subscription (subscription_id, owner, protocol, types, filters, protocolsettings, config, start_at,"
            " purpose, legal_basis, approver, granted, state, state_reason, state_by, state_since, created_at, changed_at)"
            " VALUES (gen_random_uuid(), %s, 'PULL', %s, '[]', '{}', '{}', 'now', 'p', %s, 'a', %s, 'enabled', '', '', %s, %s,"
            " %s)",
            (f"p-{number}", asked, basis, granted, now, now, now),
        )
        reader = Reader((scopes,), is_stated=basis is not None).narrowed(granted)
        if any(scope.startswith("subscribe:") for scope in scopes):
            beyond = ", ".join(sorted(one for one in asked if not reader.may_receive(one)))
            ruled[f"p-{number}"] = (reader.clearance, beyond)
    rows = owner.execute("SELECT partner, reads_up_to, beyond FROM v_reader").fetchall()
    assert {partner: tuple(rest) for partner, *rest in rows} == ruled
    assert {clearance for clearance, _ in ruled.values()} == {"public", "internal", "restricted"}
    assert len({beyond for _, beyond in ruled.values()}) > 3


def test_the_ledger_balances_where_every_offset_is_booked(owner: psycopg.Connection[Any], now: datetime) -> None:
    with owner.cursor() as cursor:
        seed.sow(cursor, now)
    balanced = "SELECT passed, applied, duplicate, superseded, rejected, quarantined, gap, waiting, unaccounted FROM v_ledger"
    assert owner.execute(balanced).fetchall() == [(12, 7, 1, 1, 1, 1, 1, 0, 0)]
    owner.execute("UPDATE ledger SET next_offset = next_offset + 2 WHERE partition = 1")
    assert owner.execute("SELECT unaccounted FROM v_ledger").fetchall() == [(2,)]


def test_a_step_s_quarantine_has_what_another_met_first(owner: psycopg.Connection[Any], now: datetime) -> None:
    with owner.cursor() as cursor:
        seed.sow(cursor, now)
    owner.execute("INSERT INTO ledger VALUES ('history', 'research.project.event', 0, 0, 9), ('calls', 'other', 0, 0, 9)")
    for panel, found in ((quality.CAUSES, 1), (quality.RECORDS, 2)):
        [query] = panel.queries
        assert isinstance(query, Sql)
        for step, rows in (("projects", found), ("history", found), ("calls", 0)):
            assert len(read(owner, sql_of(query, quality.DASHBOARD, step=step))) == rows, (panel.title, step)


def test_the_reader_reads_every_view_and_no_table(services: Any, database: str) -> None:
    with psycopg.connect(_as_admin(services, database), autocommit=True) as connection:
        connection.execute("SET ROLE dujiang_reader")
        for view in VIEWS:
            connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(view)))
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert len(tables) > 10
        for (table,) in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(table)))


def test_migrations_make_what_the_tables_declare(database: str) -> None:
    engine = engine_of(database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_no_view_shows_the_bytes_of_a_record_or_an_event(owner: psycopg.Connection[Any]) -> None:
    rows = owner.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_name = ANY(%s)", (list(VIEWS),)
    ).fetchall()
    assert {view for view, _, _ in rows} == set(VIEWS)
    assert [row for row in rows if row[2] in ("bytea", "jsonb", "json") or row[1] in ("event", "value", "headers")] == []


def _as_admin(services: Any, database: str) -> str:
    return str(services.postgres.admin_dsn).rpartition("/")[0] + "/" + database.rpartition("/")[2]


def test_instants_are_utc(owner: psycopg.Connection[Any], now: datetime) -> None:
    """A date begins at 00:00 UTC whatever the reader's time zone is."""
    today = now.astimezone(UTC).date()
    project = Project(state=State.EXECUTING, milestones=(Milestone("M", today, MilestoneStatus.PLANNED),))
    with owner.cursor() as cursor:
        StatusStore(PROJECTS).save(cursor, [("P", Entity(project))])
    for zone in ("Asia/Shanghai", "America/Los_Angeles", "UTC"):
        owner.execute(sql.SQL("SET LOCAL timezone = {}").format(sql.Literal(zone)))
        assert owner.execute("SELECT is_overdue, overdue_days FROM v_project").fetchall() == [(True, 0)]
        assert owner.execute("SELECT days_left FROM v_milestone").fetchall() == [(0,)]
