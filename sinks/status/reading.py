"""The copies that lists, counts and search read: their tables, and the thread that keeps them up to date.

The work is functions in PostgreSQL (migrations 0027, 0030, 0032), so that every process that may write can ask for it; a lock
there lets one at a time do it. Who has changed is listed, then copied in pieces; after each the pass rests REST times as long
as that took, in all REST_S_MAX at most. So readers cost the writers a small and even share: a backlog makes the copy older, not
the platform slower. `reading_pass` says how old it is.
"""

from collections.abc import Sequence
from functools import partial
from threading import Event
from typing import Any, Final

import structlog
from psycopg import Cursor
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Index, Integer, Numeric, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.database import Database
from engine.looks import keep_looking
from engine.tables import metadata
from monitoring.metrics import ReadingMetrics

EVERY_S: Final = 1.0
REST: Final = 120.0
REST_S_MAX: Final = 600.0
PIECE_ROWS: Final = 2_000
AWAY_S: Final = 10.0
PASSES: Final = ("project", "history")

PROJECT_READING = Table(
    "project_reading",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("state", Text),
    Column("title", Text, nullable=False),
    Column("lead", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("contract_no", Text, nullable=False),
    Column("contract_amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("disbursed", BigInteger, nullable=False),
    Column("start_on", Date),
    Column("end_on", Date),
    Column("moved_at", DateTime(timezone=True), nullable=False, comment="its last change; -infinity: none yet"),
    Column("overdue_from", DateTime(timezone=True), comment="after this it is overdue"),
    Column("silent_from", DateTime(timezone=True), comment="after this it is silent"),
    Column("is_underspent", Boolean, nullable=False),
    Column("parked_events", Integer, nullable=False),
    Column(
        "outstanding", JSONB, nullable=False, comment="milestones of an active project that are planned or returned, by day"
    ),
    Column("words", Text, nullable=False, comment="id, title, lead and contract in lower case, for search"),
    Column("paid_by_year", JSONB, nullable=False, server_default="[]"),
    Column("accepted_at", DateTime(timezone=True)),
    Index(
        "ix_project_reading_overdue",
        "overdue_from",
        "project_id",
        postgresql_include=["state"],
        postgresql_where=text("overdue_from IS NOT NULL"),
    ),
    Index(
        "ix_project_reading_silent",
        "silent_from",
        "project_id",
        postgresql_include=["state"],
        postgresql_where=text("silent_from IS NOT NULL"),
    ),
    Index(
        "ix_project_reading_underspent",
        "moved_at",
        "project_id",
        postgresql_include=["state"],
        postgresql_where=text("is_underspent"),
    ),
    Index("ix_project_reading_ended", "end_on", "project_id", postgresql_where=text("state = 'acceptance_pending'")),
    Index("ix_project_reading_parked", "project_id", postgresql_where=text("parked_events > 0")),
    Index("ix_project_reading_state", "state", "moved_at", "project_id"),
    Index("ix_project_reading_moved", "moved_at", "project_id"),
    comment="a copy of project_status for lists and counts, some seconds old (reading_pass)",
)
PROJECT_WORDS = Table(
    "project_words",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("call_id", Text, nullable=False),
    # Bytes are compared, whatever language the database sorts by.
    Column("words", Text(collation="C"), nullable=False, comment="id, title, lead and contract in lower case, for search"),
    comment="what is searched of projects, as of the copy",
)

PROJECT_DUE = Table(
    "project_due",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("milestone_id", Text, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False, comment="00:00 UTC of the day"),
    Column("status", Text, nullable=False),
    Column("state", Text, nullable=False, comment="of the project"),
    Column("is_first", Boolean, nullable=False, comment="the first of its project on that day"),
    Index("ix_project_due_project", "project_id"),
    Index("ix_project_due_day", "due_on", "project_id"),
    Index("ix_project_due_risk", "due_at", "project_id", postgresql_where=text("state = 'executing'")),
    comment="outstanding milestones of active projects, as of the copy",
)
PROJECT_SUMMARY = Table(
    "project_summary",
    metadata,
    Column("state", Text, primary_key=True, comment="empty: none yet"),
    Column("call_id", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("start_year", Integer, primary_key=True, comment="0: no contract", autoincrement=False),
    Column("projects", BigInteger, nullable=False),
    Column("contracts", BigInteger, nullable=False, comment="projects with an amount"),
    Column("underspent", BigInteger, nullable=False),
    Column("contracted", Numeric, nullable=False),
    Column("paid", Numeric, nullable=False, comment="of the contracts"),
    comment="how many projects and how much money stand where, as of the copy",
)
PROJECT_YEAR = Table(
    "project_year",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("paid", Numeric, nullable=False),
    Column("accepted", Numeric, nullable=False, comment="contracts of what was accepted"),
    Column("accepted_projects", BigInteger, nullable=False),
    comment="what was paid and accepted in each year, as of the copy",
)
ALERT_EPISODE = Table(
    "alert_episode",
    metadata,
    Column("alert_key", Text, primary_key=True),
    Column("episode", Integer, primary_key=True, comment="from 1", autoincrement=False),
    Column("title", Text, nullable=False),
    Column("severity", Text, nullable=False, comment="the highest"),
    Column("condition", Text, nullable=False),
    Column("handling", Text, nullable=False),
    Column("closed_reason", Text, nullable=False, comment="empty: not closed"),
    Column("raised_at", DateTime(timezone=True), nullable=False, comment="as the monitor has it"),
    Column("opened_at", DateTime(timezone=True), nullable=False, comment="the monitor's first word of it"),
    Column("taken_at", DateTime(timezone=True), comment="the first act of a person"),
    Column("over_at", DateTime(timezone=True), nullable=False, comment="infinity: not yet"),
    Column("last_seen", DateTime(timezone=True), nullable=False),
    Column("repeats", Integer, nullable=False, comment="when it was last told of"),
    Column("reopened", Integer, nullable=False),
    Index(None, "opened_at"),
    Index(None, "over_at"),
    comment="alerts from firing to resolved, each time; a copy, some seconds old (reading_pass), kept for 400 days",
    postgresql_with={"fillfactor": "60"},
)
EVENT_READING = Table(
    "event_reading",
    metadata,
    Column("identity", UUID, primary_key=True, comment="as in event_history"),
    Column("kind", Text, nullable=False, comment="extension, rejection, finding"),
    Column("subject", Text, nullable=False),
    Column("event_source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), comment="the broker's time; null where the copy is older than this column"),
    Column("told", JSONB, comment="data of a rejection or finding"),
    Index("ix_event_reading_extension", "event_time", postgresql_where=text("kind = 'extension'")),
    Index("ix_event_reading_told", "kind", "recorded_at", postgresql_where=text("kind IN ('rejection', 'finding')")),
    comment="events that are listed, copied from event_history, some seconds old (reading_pass)",
)
CALL_HOUR = Table(
    "call_hour",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True, comment="its beginning"),
    Column("applications", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False, comment="of these, those that no pass reads again"),
    comment="applications by the hour in which they were submitted; a copy, some seconds old (reading_pass)",
    postgresql_with={"fillfactor": "60"},
)
PROJECT_READING_LISTED = Table(
    "project_reading_listed",
    metadata,
    Column("project_id", Text, nullable=False),
    comment="projects whose copy the present pass has still to look at; lost in a crash",
    prefixes=["UNLOGGED"],
)
SOURCE_HOUR = Table(
    "source_hour",
    metadata,
    # Bytes are compared, so that what stands below a source is a range.
    Column("event_source", Text(collation="C"), primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True, comment="its beginning"),
    Column("outcome", Text, primary_key=True, comment="taken, duplicate, rejected, quarantined"),
    Column("reason", Text, primary_key=True, comment="of what was rejected or quarantined"),
    Column("late_s", Integer, primary_key=True, comment="of what was taken: less late than this", autoincrement=False),
    Column("events", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False, server_default="0", comment="of these, those that no pass reads again"),
    Index("ix_source_hour_hour", "hour"),
    comment="what came of each source, by the hour; a copy for scorecards, some seconds old (reading_pass)",
    postgresql_with={"fillfactor": "60"},
)
SOURCE_HEARD = Table(
    "source_heard",
    metadata,
    Column("event_source", Text(collation="C"), primary_key=True),
    Column("last_recorded_at", DateTime(timezone=True), nullable=False, comment="the broker's time"),
    comment="every source that ever published, and when last, some seconds old (reading_pass)",
)
READING_PASS = Table(
    "reading_pass",
    metadata,
    Column("name", Text, primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False, comment="what was committed by then is in the copy"),
    Column("finished_at", DateTime(timezone=True), nullable=False),
    Column("read_to", DateTime(timezone=True), nullable=False, comment="the next pass reads rows written since"),
    Column("listed", Integer, nullable=False, server_default="0", comment="rows that the present pass looks at"),
    Column("listed_at", DateTime(timezone=True), nullable=False, server_default="-infinity"),
    Column(
        "listed_to", DateTime(timezone=True), nullable=False, server_default="-infinity", comment="read_to, once it is done"
    ),
    Column("rests_until", DateTime(timezone=True), nullable=False, server_default="-infinity"),
    comment="how old each copy for readers is",
)

log = structlog.get_logger("reading")


def refresh(cursor: Cursor[Any], passes: Sequence[str] = PASSES) -> int:
    """Bring the copies up to date, at once and as a whole; how many rows differed. Nothing where somebody else does it."""
    return sum(_called(cursor, f"SELECT refresh_{name}_reading()") for name in passes)


def refresh_some(cursor: Cursor[Any], name: str, rest: float = REST) -> int:
    """A piece of one pass; how many rows differed. Nothing where it rests: `rest` times as long as the piece before took."""
    piece = f", {PIECE_ROWS}" if name == "project" else ""
    return _called(cursor, f"SELECT refresh_{name}_reading({rest}, {REST_S_MAX}{piece})")


def _called(cursor: Cursor[Any], query: str) -> int:
    cursor.execute(query.encode())
    row = cursor.fetchone()
    return (row[0] if row else None) or 0


def keep_fresh(dsn: str, stopping: Event, metrics: ReadingMetrics) -> None:
    """Until `stopping`. A transaction for each copy, so that one does not wait for what is wrong with the other."""
    database = Database(dsn, "dujiang reading copy")

    def bring_up_to_date(name: str) -> None:
        with database.transaction() as cursor:
            # Before the pass: one that fails must not keep from being seen how old the copy has become.
            if _look(cursor, name, metrics):
                # A million projects at once take longer than a worker's statements may; cut off, it would never be done.
                cursor.execute("SET LOCAL statement_timeout = 0")
                refresh_some(cursor, name)

    passes = {name: partial(bring_up_to_date, name) for name in PASSES}
    if not stopping.wait(EVERY_S):
        keep_looking(passes, stopping, _tell, every_s=EVERY_S, away_s=AWAY_S)
    database.close()


def _tell(copy: str, fault: Exception) -> None:
    log.warning("reading_copy_failed", copy=copy, fault=str(fault))


def _look(cursor: Cursor[Any], name: str, metrics: ReadingMetrics) -> bool:
    """Show how old the copy is, whichever process made its last pass. Whether it has rested, as far as one look tells.

    A copy from after the present has not: the server's clock was set back.
    """
    cursor.execute(
        "SELECT CASE WHEN isfinite(finished_at) THEN extract(epoch FROM started_at)::float8 ELSE 0 END,"
        " CASE WHEN isfinite(finished_at) THEN extract(epoch FROM finished_at - started_at)::float8 ELSE 0 END,"
        " clock_timestamp() >= rests_until OR clock_timestamp() < greatest(read_to, finished_at, listed_at)"
        " FROM reading_pass WHERE name = %s",
        (name,),
    )
    started_s, took_s, has_rested = cursor.fetchone() or (0.0, 0.0, True)
    metrics.timestamp_seconds.labels(name).set(started_s)
    metrics.pass_seconds.labels(name).set(took_s)
    return bool(has_rested)
