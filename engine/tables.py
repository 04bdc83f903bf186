"""The engine's own tables: what was done, what could not be, what is to come. Subjects' tables stand in `sinks/`."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _instant(name: str, *, nullable: bool = True, now: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=func.now() if now else None)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


LEDGER = Table(
    "ledger",
    metadata,
    Column("step", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("start_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    _instant("moved_at", nullable=False, now=True),
    postgresql_with={"fillfactor": "50"},
    comment="next offset per step and partition, moved by compare-and-set in the transaction that holds the effects",
)

LEDGER_DAY = Table(
    "ledger_day",
    metadata,
    Column("step", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("day", Date, primary_key=True),
    _count("applied"),
    _count("duplicate"),
    _count("superseded"),
    _count("rejected"),
    _count("quarantined"),
    _count("parked"),
    _count("late_applied"),
    _count("late_rejected"),
    _count("gap"),
    postgresql_with={"fillfactor": "50"},
    comment="what became of every offset, by the day of its record; gap: offsets that hold no record (transaction markers)",
)

QUARANTINE = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    _instant("record_time"),
    Column("record_key", LargeBinary),
    Column("headers", JSONB, nullable=False, comment="[[name, base64 of the value or null], …]"),
    Column("value", LargeBinary, comment="the record's bytes as they came; null for a tombstone"),
    Column("event_id", Text),
    Column("event_type", Text),
    Column("event_source", Text),
    Column("contract", Text, comment="the contract and major version it was judged by"),
    Column("step", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("pointer", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="1"),
    _instant("first_failed_at", nullable=False, now=True),
    _instant("last_failed_at", nullable=False, now=True),
    Column("state", Text, nullable=False, server_default="waiting", comment="waiting, replayed, parked"),
    _instant("settled_at"),
    Column("settled_by", Text),
    Column("settled_why", Text),
    UniqueConstraint("topic", "partition", "record_offset"),
    Index(None, "state", "reason"),
    Index(None, "event_id"),
    # For the copy that scorecards read (sinks/status/reading.py).
    Index(None, "first_failed_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    comment="records that can never work as they are, with all that is needed to repair and replay them",
)

TIMER = Table(
    "timer",
    metadata,
    Column("step", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("partition", Integer, nullable=False),
    _instant("due_at", nullable=False),
    _instant("published_at"),
    Index("ix_timer_due", "step", "partition", "due_at"),
    comment="not later than the key's next due instant; when it fires early the rule says so and it is set anew",
)

BREAKER = Table(
    "breaker",
    metadata,
    Column("step", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    _instant("opened_at"),
    Column("next_offset", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("allowed_until", BigInteger, comment="an operator let records below this offset go to quarantine"),
    Column("allowed_by", Text),
    comment="partitions paused since a flood of bad records looks like our fault rather than theirs",
)

WORK = Table(
    "work",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(
        "kind", Text, nullable=False, comment="ingest, quarantine_replay, publish, timers_advance, delivery_replay, backfill"
    ),
    Column("title", Text, nullable=False),
    Column("started_by", Text, nullable=False),
    _instant("started_at", nullable=False, now=True),
    _instant("beat_at", nullable=False, now=True),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger, comment="null: nobody knows"),
    Column("state", Text, nullable=False, server_default="running", comment="running, done, cancelled, failed"),
    _instant("cancel_asked_at"),
    Column("cancel_asked_by", Text),
    _instant("ended_at"),
    Column("snapshot_of", Uuid, comment="of a backfill: its subscription, which sends its snapshot once"),
    Index(None, "snapshot_of", unique=True, postgresql_where=text("state IN ('running', 'done')")),
    comment="long work: how far it is, and whether somebody asked it to stop",
)

CONNECTOR_FILE = Table(
    "connector_file",
    metadata,
    Column("connector", Text, primary_key=True),
    Column(
        "digest",
        Text,
        primary_key=True,
        comment="sha-256 of the content: the same file under another name is the same file",
    ),
    Column("name", Text, nullable=False),
    Column("rows_done", BigInteger, nullable=False, server_default="0"),
    Column("report", JSONB, nullable=False, server_default="{}"),
    _instant("started_at", nullable=False, now=True),
    _instant("finished_at"),
    comment="file drops: each content once, resumed where a killed run had come to",
)

CONNECTOR_POSITION = Table(
    "connector_position",
    metadata,
    Column("connector", Text, primary_key=True, comment="the partner whose topic it is"),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("start_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False, comment="all below it was published or refused"),
    Column("published", BigInteger, nullable=False, server_default="0"),
    Column("refused", BigInteger, nullable=False, server_default="0"),
    _instant("moved_at", nullable=False, now=True),
    comment="how far we are in partners' own Kafka topics",
)

CONNECTOR_RECORD = Table(
    "connector_record",
    metadata,
    Column("connector", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    _instant("published_at", nullable=False, now=True),
    comment="what a connector last published of each upstream record, so that an unchanged one is not published again",
)
