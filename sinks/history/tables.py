"""Tables of the event history. Append only."""

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import UUID

from engine.tables import metadata

EVENT_HISTORY = Table(
    "event_history",
    metadata,
    Column("identity", UUID, primary_key=True, comment="128-bit hash of (source, id): the event's identity"),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("event_source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, comment="the broker's record time"),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("event", Text, nullable=False, comment="structured CloudEvent JSON, byte for byte where it came so"),
    Index(None, "subject", "event_time"),
    # Readers ask for the last hours; rows come nearly in this order, so a block range index does, at next to no cost a row.
    Index(None, "recorded_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    # For the copy that counts read (sinks/status/reading.py).
    Index(None, "stored_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    comment="every event once, from all topics",
)

EVENT_REPEAT = Table(
    "event_repeat",
    metadata,
    Column("topic", Text, nullable=False),
    Column("event_source", Text, nullable=False),
    Column("events", Integer, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index(None, "stored_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    comment="how many repeats of events the history met, a row for each source in a batch; kept for days",
)
