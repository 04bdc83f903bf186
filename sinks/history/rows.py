"""Event to history row, as COPY text. Pure."""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b

from engine.database import copy_instant, copy_texts, copy_utf8
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


def line_of(identity: str, row: Row) -> bytes:
    """The fields of COLUMNS, without a line end."""
    fact = row.fact
    event_type, source, event_id, key = copy_texts(row.wire_type, fact.source, fact.id, fact.key)
    head = (
        f"{identity}\t{row.topic}\t{row.partition}\t{row.offset}\t{event_type}\t{source}\t{event_id}\t{key}"
        f"\t{copy_instant(fact.time)}\t{_recorded_at(row.timestamp_ms)}\t"
    )
    return head.encode() + copy_utf8(row.value)


@lru_cache(maxsize=1_000)
def _recorded_at(timestamp_ms: int) -> str:
    """Records of one batch share their milliseconds."""
    return copy_instant(datetime.fromtimestamp(timestamp_ms / 1000, UTC))
