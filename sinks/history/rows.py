"""Event to history row, as COPY text. Pure."""

from datetime import UTC, datetime
from hashlib import blake2b

from engine.database import copy_instant, copy_text
from engine.ports import Row

COLUMNS = (
    "identity",
    "topic",
    "partition",
    "record_offset",
    "event_type",
    "event_source",
    "event_id",
    "subject",
    "event_time",
    "recorded_at",
    "event",
)


def identity_of(source: str, event_id: str) -> str:
    """128 bits of (source, id), in a UUID's form."""
    return blake2b(f"{source}\0{event_id}".encode(), digest_size=16).hexdigest()


def line_of(identity: str, row: Row) -> str:
    """The fields of COLUMNS."""
    fact = row.fact
    return "\t".join(
        (
            identity,
            row.topic,
            str(row.partition),
            str(row.offset),
            copy_text(row.wire_type),
            copy_text(fact.source),
            copy_text(fact.id),
            copy_text(fact.key),
            copy_instant(fact.time),
            copy_instant(datetime.fromtimestamp(row.timestamp_ms / 1000, UTC)),
            copy_text(row.value),
        )
    )
