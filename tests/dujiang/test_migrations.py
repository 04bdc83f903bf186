"""The migrations end where the declared tables begin, and lead back."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from dujiang.database import _config, engine_of, migrate
from dujiang.tables import metadata
from dujiang.wiring import STORES

pytestmark = pytest.mark.services


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    engine = engine_of(database)
    with engine.connect() as made:
        yield made
    engine.dispose()


def test_migrated_database_is_the_declared_one(connection: Connection) -> None:
    assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_states_are_looked_at_by_small_samples(connection: Connection) -> None:
    """The metadata cannot say it. Looked at by large ones, a table holds up commits once a minute; see migration 0033."""
    large = text(
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relname = ANY(:tables) AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 10"
    )
    tables = [store.table for store in STORES.values()]
    assert connection.execute(large, {"tables": tables}).all() == []


def test_partners_and_receipts_can_be_taken_back_and_made_again(database: str, connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0001")
    connection.commit()
    names = text("SELECT tablename FROM pg_tables WHERE tablename IN ('partner', 'partner_token', 'receipt')")
    assert connection.execute(names).all() == []
    connection.commit()
    migrate(database)
    assert len(connection.execute(names).all()) == 3


def test_years_of_what_was_paid_before_come_from_the_history(database: str, connection: Connection) -> None:
    """Refused and parked payments are in the history, too; a project whose sum is another keeps its years to itself."""
    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0026")
    for project, disbursed in (("P-1", 700), ("P-2", 999)):
        _project(connection, project, disbursed, [["research.funds.disbursed", "early", "/a", project, "2026-05-01"]])
        for event_id, day, amount in (
            ("e-1", "2025-12-31", 300),
            ("e-2", "2026-01-01", 400),
            ("no", "2026-02-01", 9),
            ("early", "2026-05-01", 5),
        ):
            _event(connection, "research.funds.disbursed", project, event_id, day, {"amount": amount})
        refused = {"event_source": "/a", "event_id": "no"}
        _event(connection, "platform.transition.rejected", project, f"r-{project}", "2026-02-01", refused)
        _event(connection, "research.project.statechanged", project, f"s-{project}", "2026-03-01", {"state": "accepted"})
    for number, (condition, ended) in enumerate((("firing", None), ("firing", None), ("resolved", "2026-04-02T00:00:00Z")), 1):
        told = {"episodes": max(1, number - 1), "condition": condition, "handling": "open", "closed_reason": None}
        told |= {"severity": "high", "title": "pump", "raised_at": "2026-04-01T00:00:00Z", "ended_at": ended}
        _event(
            connection,
            "infra.alert.changed",
            "am/1",
            f"c-{number}",
            f"2026-04-0{number}",
            told | {"last_seen": "2026-04-01T00:00:00Z"},
        )
    connection.commit()
    migrate(database)
    kept = connection.execute(
        text("SELECT paid_by_year, accepted_at::date::text FROM project_status ORDER BY project_id")
    ).all()
    assert kept == [([[2025, 300], [2026, 400]], "2026-03-01"), ([], "2026-03-01")]
    episodes = connection.execute(
        text("SELECT episode, condition, isfinite(over_at) FROM alert_episode ORDER BY episode")
    ).all()
    assert episodes == [(1, "expired", True), (2, "resolved", True)]


def test_what_three_passes_copied_one_goes_on_with_and_gives_back(database: str, connection: Connection) -> None:
    """Nothing is lost or counted twice, though each of the three ended elsewhere."""
    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0029")
    assert _passes(connection) == ["episode", "event", "project", "source"]
    connection.execute(text("UPDATE reading_pass SET read_to = now() - interval '2 hours'"))
    for number in range(3):
        if number:
            connection.execute(text(f"SELECT refresh_{('source', 'event')[number - 1]}_reading()"))
        _event(connection, "research.application.submitted", f"P-{number}", f"e-{number}", "2026-05-01", {"call_id": "C-1"})
        connection.execute(
            text(
                "UPDATE event_history SET topic = 'research.project.event', recorded_at = now(),"
                " stored_at = CASE event_id WHEN 'e-0' THEN now() - interval '1 hour' ELSE now() END"
            )
        )
        connection.commit()
    counted = text("SELECT (SELECT sum(events)::int FROM source_hour), (SELECT sum(applications)::int FROM call_hour)")
    migrate(database)
    for _ in range(2):
        assert connection.execute(counted).all() == [(3, 3)]
        connection.execute(text("SELECT refresh_history_reading()"))
    assert _passes(connection) == ["history", "project"]
    connection.commit()
    counted = text(
        "SELECT (SELECT sum(events)::int FROM source_hour), (SELECT count(*) FROM event_reading WHERE kind = 'application')"
    )
    command.downgrade(config, "0029")
    for name in ("event", "source", "episode"):
        connection.execute(text(f"SELECT refresh_{name}_reading()"))
    assert connection.execute(counted).all() == [(3, 3)]
    connection.commit()
    migrate(database)


def _passes(connection: Connection) -> list[str]:
    return list(connection.execute(text("SELECT name FROM reading_pass ORDER BY name")).scalars())


def _project(connection: Connection, project: str, disbursed: int, parked: list[Any]) -> None:
    connection.execute(
        text(
            "INSERT INTO project_status (project_id, state, title, lead, call_id, contract_no, contract_amount, currency,"
            " disbursed, milestones, is_extended, is_retried, register_name, source_status, parked, changed_by, applied,"
            " duplicates, superseded, rejected, seen) VALUES (:project, 'accepted', '', '', '', '', 1000, 'CNY', :disbursed,"
            " '[]', false, false, '', '', :parked, '', 0, 0, 0, '[]', '')"
        ),
        {"project": project, "disbursed": disbursed, "parked": json.dumps(parked)},
    )


def _event(connection: Connection, name: str, subject: str, event_id: str, day: str, data: dict[str, Any]) -> None:
    connection.execute(
        text(
            "INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject,"
            " event_time, recorded_at, event) VALUES (:identity, 't', 0, 0, :type, '/a', :id, :subject, :time, :time, :event)"
        ),
        {
            "identity": uuid4(),
            "type": f"gov.stiib.{name}.v1",
            "id": event_id,
            "subject": subject,
            "time": f"{day}T00:00:00Z",
            "event": json.dumps({"data": data}),
        },
    )
