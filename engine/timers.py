"""Timers: a row with a due instant per key; when it is due an event goes into the entity's own log.

A row may be earlier than the true instant, never later: an alert that is repeated every minute would else rewrite its row every
minute. An early one fires, the rule says that nothing was due, and the row is set anew. Repeats do no harm.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from psycopg import Cursor

from engine.database import copy_instant, copy_text, upsert_rows
from engine.kafka import Message
from schemas.cloudevents import kafka_binding
from schemas.contract import Fact, instant_text
from schemas.platform import TIMER_FIRED
from schemas.registry import Registry

SOURCE = "/engine/timers"
FIRED_AT_ONCE_MAX = 2_000
# A worker killed between marking and publishing leaves a marked row; it is taken again after this.
REPUBLISH_AFTER = timedelta(seconds=30)
# One round trip through the log and a repeat fit in; what is late then needs a person.
OVERDUE_AFTER = timedelta(minutes=1)


def save(cursor: Cursor[Any], step: str, due: Mapping[str, tuple[int, datetime | None]]) -> None:
    """Set (partition, instant) per key; None deletes."""
    lines = [
        "\t".join((copy_text(step), copy_text(key), str(partition), copy_instant(instant), "\\N"))
        for key, (partition, instant) in due.items()
        if instant is not None
    ]
    upsert_rows(cursor, "timer", ("step", "key"), ("step", "key", "partition", "due_at", "published_at"), lines)
    ended = [key for key, (_, instant) in due.items() if instant is None]
    if ended:
        cursor.execute("DELETE FROM timer WHERE step = %s AND key = ANY(%s)", (step, ended))


def take_due(
    cursor: Cursor[Any],
    step: str,
    topic: str,
    partitions: Sequence[int] | None,
    as_of: datetime,
    now: datetime,
    registry: Registry,
) -> list[Message]:
    """Mark what is due at or before `as_of` as published and return its events, earliest first. None: all partitions."""
    cursor.execute(
        "UPDATE timer SET published_at = %(now)s FROM (SELECT key FROM timer WHERE step = %(step)s AND due_at <= %(as_of)s"
        " AND (%(all)s OR partition = ANY(%(partitions)s)) AND (published_at IS NULL OR published_at < %(stale)s)"
        " ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS due WHERE timer.step = %(step)s AND timer.key = due.key"
        " RETURNING timer.key, timer.due_at",
        {
            "now": now,
            "step": step,
            "as_of": as_of,
            "all": partitions is None,
            "partitions": list(partitions or ()),
            "stale": now - REPUBLISH_AFTER,
            "limit": FIRED_AT_ONCE_MAX,
        },
    )
    return [message(step, topic, key, due, registry) for key, due in sorted(cursor.fetchall(), key=lambda row: row[1])]


def due(cursor: Cursor[Any], steps: Sequence[str], as_of: datetime) -> int:
    """How many timers of these steps are due at or before `as_of`, with those that were published and have not taken effect."""
    cursor.execute("SELECT count(*) FROM timer WHERE step = ANY(%s) AND due_at <= %s", (list(steps), as_of))
    row = cursor.fetchone()
    assert row is not None  # an aggregate always answers  # noqa: S101
    return int(row[0])


def overdue(cursor: Cursor[Any], step: str, now: datetime) -> int:
    """How many timers of a step, in all partitions, should have taken effect by now and have not."""
    cursor.execute("SELECT count(*) FROM timer WHERE step = %s AND due_at < %s", (step, now - OVERDUE_AFTER))
    row = cursor.fetchone()
    assert row is not None  # an aggregate always answers  # noqa: S101
    return int(row[0])


def message(step: str, topic: str, key: str, due: datetime, registry: Registry) -> Message:
    """The timer's event: same key and instant, same id."""
    text = instant_text(due)
    fact = Fact(TIMER_FIRED, _timer_id(step, key, text), SOURCE, key, due, {"step": step})
    record = kafka_binding.encode_structured(registry.event(fact), key)
    return Message(topic, key.encode(), record.value, record.headers)


def _timer_id(step: str, key: str, due: str) -> str:
    return blake2b(f"{step}\0{key}\0{due}".encode(), digest_size=16).hexdigest()
