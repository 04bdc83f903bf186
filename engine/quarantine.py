"""Quarantine: records that can never work as they are, kept with all that is needed to repair and replay them.

A work queue, not a grave: list by cause, repair, judge by today's contract, publish into the same topic again. The repaired
event is a new record with its own outcome; the old row says when, by whom and why it was settled.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace
from psycopg import Cursor
from psycopg.types.json import Jsonb

from engine.kafka import Message
from engine.records import Record, Refused, decode
from schemas.registry import Registry

MESSAGE_CHARS_MAX = 2_000
REPLAY_MAX = 1_000_000  # records a run; the next one takes the rest
_COLUMNS = (
    "topic, partition, record_offset, record_time, record_key, headers, value, event_id, event_type, event_source, contract,"
    " step, code_version, reason, pointer, message"
)


def insert(cursor: Cursor[Any], step: str, code_version: str, refused: Sequence[Refused], registry: Registry) -> None:
    """Keep records; one that another step already refused stays once and counts one more attempt."""
    cursor.executemany(
        f"INSERT INTO quarantine ({_COLUMNS}) VALUES"  # noqa: S608 - fixed names
        " (%s, %s, %s, to_timestamp(%s / 1000.0), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (topic, partition, record_offset)"
        " DO UPDATE SET attempts = quarantine.attempts + 1, last_failed_at = now()",
        [_row(step, code_version, item, registry) for item in refused],
    )


def _row(step: str, code_version: str, item: Refused, registry: Registry) -> tuple[Any, ...]:
    record, fault, event = item
    headers = [[_clean(name), None if value is None else b64encode(value).decode()] for name, value in record.headers or ()]
    wire_type = _clean(event.type) if event else None
    contract = registry.contracts.get(wire_type or "")
    return (
        *record.place,
        record.offset,
        record.timestamp_ms,
        record.key,
        Jsonb(headers),
        record.value,
        _clean(event.id) if event else None,
        wire_type,
        _clean(event.source) if event else None,
        f"{contract.name}.v{contract.major}" if contract else None,
        step,
        code_version,
        fault.reason,
        _clean(fault.pointer),
        _clean(fault.message)[:MESSAGE_CHARS_MAX],
    )


def _clean(text: str) -> str:
    """What PostgreSQL can hold: the bytes themselves stand in `value`."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "�")


class Kept(NamedTuple):
    """A row of the quarantine, with its record as it came."""

    id: int
    record: Record
    reason: str
    pointer: str
    message: str
    state: str


def get(cursor: Cursor[Any], row_id: int) -> Kept | None:
    """One row, locked until the transaction ends; None when there is no such id."""
    cursor.execute(
        "SELECT id, topic, partition, record_offset, extract(epoch FROM record_time) * 1000, record_key, headers, value,"
        " reason, pointer, message, state FROM quarantine WHERE id = %s FOR UPDATE",
        (row_id,),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    headers = [(name, None if value is None else b64decode(value)) for name, value in row[6]]
    record = Record(row[1], row[2], row[3], int(row[4] or 0), row[5], headers, row[7])
    return Kept(row[0], record, row[8], row[9], row[10], row[11])


def repaired(kept: Kept, value: bytes | None, registry: Registry) -> Message | Refused:
    """The record with a repaired value (None: as it was), judged by today's contract: a message to publish, or why not yet."""
    headers = kept.record.headers
    if value is not None:
        headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    record = replace(kept.record, value=kept.record.value if value is None else value, headers=headers)
    judged = decode(record, registry)
    if isinstance(judged, Refused):
        return judged
    sent = [(name, value or b"") for name, value in headers or ()]
    return Message(record.topic, judged.fact.key.encode(), record.value, sent)


def settle(cursor: Cursor[Any], row_id: int, state: str, by: str, why: str) -> None:
    """Close a row as `replayed` or `parked`, with name and reason on record."""
    cursor.execute(
        "UPDATE quarantine SET state = %s, settled_at = now(), settled_by = %s, settled_why = %s WHERE id = %s",
        (state, by, why, row_id),
    )


def waiting(cursor: Cursor[Any], reason: str, source: str | None) -> list[int]:
    """The records that wait for a reason, the oldest first; `source`: only from this one."""
    cursor.execute(
        "SELECT id FROM quarantine WHERE state = 'waiting' AND reason = %s AND (%s::text IS NULL OR event_source = %s)"
        " ORDER BY id LIMIT %s",
        (reason, source, source, REPLAY_MAX),
    )
    return [row[0] for row in cursor.fetchall()]


def replay(
    cursor: Cursor[Any],
    row_ids: Sequence[int],
    registry: Registry,
    publish: Callable[[Sequence[Message]], None],
    by: str,
    why: str,
) -> int:
    """Publish again, as they came, those that today's contracts take and nobody settled meanwhile. Returns how many.

    The caller commits. A crash between the acks and the commit publishes them once more, as duplicates to whoever reads them.
    """
    messages, settled = [], []
    for row_id in row_ids:
        kept = get(cursor, row_id)
        if kept is None or kept.state != "waiting":
            continue
        judged = repaired(kept, None, registry)
        if isinstance(judged, Message):
            messages.append(judged)
            settled.append(row_id)
    for row_id in settled:
        settle(cursor, row_id, "replayed", by, why)
    if messages:
        publish(messages)
    return len(messages)
