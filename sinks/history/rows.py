"""Event to history row: a line of COPY text for few, a binary tuple for many. Pure."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from struct import Struct

from engine.database import copy_instant, copy_text, copy_texts
from engine.ports import Row

# What many rows of a batch have in common comes first, so that it is made once.
COLUMNS = (
    "topic",
    "partition",
    "event_type",
    "event_source",
    "identity",
    "record_offset",
    "event_time",
    "recorded_at",
    "event_id",
    "subject",
    "event",
)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's, from which it counts microseconds
_EPOCH_MS = int(_EPOCH.timestamp()) * 1_000
_EARLIEST_MS = int(datetime.min.replace(tzinfo=UTC).timestamp()) * 1_000  # no reader in Python has an instant before it
_int4 = Struct(">i").pack
# Length and value of identity, offset, two instants; the length of the id.
_fixed = Struct(">i16siqiqiqi").pack


def identity_of(source: str, event_id: str) -> str:
    """128 bits of (source, id), in a UUID's form."""
    return digest_of(source, event_id).hex()


def digest_of(source: str, event_id: str) -> bytes:
    """The same, as they are."""
    return blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def line_of(digest: bytes, row: Row) -> str:
    """The fields of COLUMNS as COPY text."""
    fact = row.fact
    event_type, source, event_id, key = copy_texts(row.wire_type, fact.source, fact.id, fact.key)
    recorded_at = _EPOCH + timedelta(milliseconds=_recorded_ms(row))
    return (
        f"{row.topic}\t{row.partition}\t{event_type}\t{source}\t{digest.hex()}\t{row.offset}"
        f"\t{copy_instant(fact.time)}\t{copy_instant(recorded_at)}\t{event_id}\t{key}\t{copy_text(row.value.decode())}"
    )


def tuple_of(digest: bytes, row: Row) -> bytes:
    """The fields of COLUMNS as COPY's binary format has them."""
    fact, value = row.fact, row.value
    since = fact.time - _EPOCH
    event_time = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    event_id, key = fact.id.encode(), fact.key.encode()
    return b"".join(
        (
            _beginning(row.topic, row.partition, row.wire_type, fact.source),
            _fixed(16, digest, 8, row.offset, 8, event_time, 8, 1_000 * _recorded_ms(row), len(event_id)),
            event_id,
            _int4(len(key)),
            key,
            _int4(len(value)),
            value,
        )
    )


@lru_cache(maxsize=10_000)
def _beginning(topic: str, partition: int, wire_type: str, source: str) -> bytes:
    """How many fields there are, and the first four."""
    texts = [text.encode() for text in (topic, wire_type, source)]
    of_topic, *of_others = [_int4(len(text)) + text for text in texts]
    return b"".join((Struct(">h").pack(len(COLUMNS)), of_topic, _int4(4), _int4(partition), *of_others))


def _recorded_ms(row: Row) -> int:
    """Since PostgreSQL's epoch. A producer may say any time."""
    return max(row.timestamp_ms, _EARLIEST_MS) - _EPOCH_MS
