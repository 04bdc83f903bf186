"""Where an event's way is written down: receipts, history, quarantine, ledger, deliveries. Functions on a cursor."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import Cursor

from engine.database import named
from engine.entity import derived_ids
from gateway.publisher import Acked
from gateway.receipts import hash_of
from gateway.trace.view import HISTORY, Fate, Found, Quarantined, Read, Receipt, Stored, Taken
from schemas.cloudevents import json_format
from schemas.filters import attributes_of
from schemas.platform import TRANSITION_REJECTED
from schemas.subscriptions import PUSHED
from sinks.history.rows import identity_of

SUBSCRIPTIONS_MAX: Final = 100  # of one owner; so many there can be
ATTEMPTS_MAX: Final = 100  # of one event at one subscription
DERIVED_MAX: Final = 8  # events that a step derives from one


def find(cursor: Cursor[Any], source: str, event_id: str, *, owner: str, is_publisher: bool) -> Found:
    """Everything about this event that `owner` may ask for: the publisher's part only if it is one."""
    receipt, stored = _receipt(cursor, source, event_id), _stored(cursor, source, event_id)
    known = Found(receipt, stored)
    quarantined = _quarantined(cursor, source, event_id, known.place)
    place = Found(receipt, stored, quarantined).place
    reads = _reads(cursor, place) if is_publisher and place else []
    return Found(
        receipt,
        stored,
        quarantined,
        reads,
        _rejections(cursor, place, source, event_id, reads) if place else {},
        _fates(cursor, source, event_id) if is_publisher else (),
        _taken(cursor, _subscriptions(cursor, owner), source, event_id, place),
    )


def _receipt(cursor: Cursor[Any], source: str, event_id: str) -> Receipt | None:
    cursor.execute(
        "SELECT settled_at, topic, partition, record_offset FROM receipt WHERE identity = %s::uuid",
        (hash_of(source, event_id),),
    )
    row = cursor.fetchone()
    return None if row is None else Receipt(row[0], None if row[1] is None else Acked(*row[1:]))


def _stored(cursor: Cursor[Any], source: str, event_id: str) -> Stored | None:
    cursor.execute(
        "SELECT topic, partition, record_offset, recorded_at, event_type, event FROM event_history WHERE identity = %s::uuid",
        (identity_of(source, event_id),),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    return Stored(Acked(*row[:3]), row[3], row[4], attributes_of(json_format.decode(row[5].encode())))


def _quarantined(cursor: Cursor[Any], source: str, event_id: str, place: Acked | None) -> Quarantined | None:
    """Of the place; without one the last record that bore this source and id, which may have come by Kafka."""
    columns = "topic, partition, record_offset, step, first_failed_at, event_type, reason, pointer, message, state"
    if place is not None:
        cursor.execute(
            f"SELECT {columns} FROM quarantine WHERE topic = %s AND partition = %s AND record_offset = %s",  # noqa: S608
            place,
        )
    else:
        cursor.execute(
            f"SELECT {columns} FROM quarantine WHERE event_id = %s AND event_source = %s ORDER BY id DESC LIMIT 1",  # noqa: S608
            (event_id, source),
        )
    row = cursor.fetchone()
    return None if row is None else Quarantined(Acked(*row[:3]), *row[3:])


def _reads(cursor: Cursor[Any], place: Acked) -> list[Read]:
    cursor.execute(
        "SELECT step, start_offset, next_offset FROM ledger WHERE topic = %s AND partition = %s ORDER BY step", place[:2]
    )
    return [Read(*row) for row in cursor.fetchall()]


def _rejections(cursor: Cursor[Any], place: Acked, source: str, event_id: str, reads: Sequence[Read]) -> dict[str, str]:
    """Why steps refused it, by their derived events, whose ids are made of the cause and its place."""
    steps = [read.step for read in reads if read.step != HISTORY]
    ids = derived_ids(*place, source, event_id, DERIVED_MAX)
    identities = [identity_of(f"/streams/{step}", derived) for step in steps for derived in ids]
    cursor.execute(
        "SELECT event FROM event_history WHERE identity = ANY(%s::uuid[]) AND position(%s in event_type) > 0",
        (identities, f".{TRANSITION_REJECTED}.v"),
    )
    told = [msgspec.json.decode(row[0])["data"] for row in cursor.fetchall()]
    return {one["step"]: one["reason"] for one in told if (one["event_source"], one["event_id"]) == (source, event_id)}


def _fates(cursor: Cursor[Any], source: str, event_id: str) -> list[Fate]:
    """One row a subscription, without a word of whose. By way of the subscriptions, since the trace is indexed by them."""
    cursor.execute(
        "SELECT bool_or(a.outcome = 'acknowledged'), (array_agg(a.outcome ORDER BY a.id DESC))[1] FROM subscription s"
        " JOIN subscription_attempt a ON a.subscription_id = s.subscription_id AND a.event_id = %s"
        " WHERE s.protocol = ANY(%s) AND a.event_source = %s GROUP BY s.subscription_id",
        (event_id, list(PUSHED), source),
    )
    return [Fate(*row) for row in cursor.fetchall()]


def _subscriptions(cursor: Cursor[Any], owner: str) -> list[tuple[UUID, bool, tuple[str, ...]]]:
    cursor.execute(
        "SELECT subscription_id, purpose IS NOT NULL, granted FROM subscription WHERE owner = %s AND protocol = ANY(%s)"
        " ORDER BY created_at, subscription_id LIMIT %s",
        (owner, list(PUSHED), SUBSCRIPTIONS_MAX),
    )
    return [(row[0], row[1], tuple(row[2])) for row in cursor.fetchall()]


def _taken(
    cursor: Cursor[Any],
    subscriptions: Sequence[tuple[UUID, bool, tuple[str, ...]]],
    source: str,
    event_id: str,
    place: Acked | None,
) -> list[Taken]:
    """Of all subscriptions at once: a partner may have a hundred."""
    ids = [subscription_id for subscription_id, *_ in subscriptions]
    attempts = _attempts(cursor, ids, source, event_id) if ids else {}
    books = _books(cursor, ids, place) if ids and place is not None else {}
    found = []
    for subscription_id, is_stated, granted in subscriptions:
        rows = attempts.get(subscription_id, [])
        start, following, outstanding, letter = books.get(subscription_id, (None, None, None, None))
        number = outstanding or max((row["number"] for row in rows if row["number"] is not None), default=None)
        shown = [{name: row[name] for name in _SHOWN} for row in rows]
        found.append(
            Taken(
                subscription_id,
                is_stated,
                start,
                following,
                number,
                outstanding is not None,
                attempts=shown,
                letter=letter,
                granted=granted,
            )
        )
    return found


def _attempts(cursor: Cursor[Any], ids: Sequence[UUID], source: str, event_id: str) -> dict[UUID, list[dict[str, Any]]]:
    """In their order, the first ATTEMPTS_MAX of each subscription."""
    cursor.execute(
        "SELECT a.subscription_id, a.number, a.attempt, a.started_at, a.duration_ms, a.outcome, a.reason, a.status, a.retry_at"
        " FROM unnest(%s::uuid[]) s (id), LATERAL (SELECT * FROM subscription_attempt"
        " WHERE subscription_id = s.id AND event_id = %s AND event_source = %s ORDER BY id LIMIT %s) a ORDER BY a.id",
        (list(ids), event_id, source, ATTEMPTS_MAX),
    )
    found: dict[UUID, list[dict[str, Any]]] = {}
    for row in named(cursor):
        found.setdefault(row["subscription_id"], []).append(row)
    return found


def _books(cursor: Cursor[Any], ids: Sequence[UUID], place: Acked) -> dict[UUID, tuple[Any, ...]]:
    """Where each began and is, the number under which the record waits, the state of its dead letter."""
    cursor.execute(
        "SELECT s.id, p.start_offset, p.next_offset,"
        " (SELECT d.number FROM subscription_delivery d WHERE d.subscription_id = s.id AND d.topic = r.topic"
        " AND d.partition = r.partition AND d.record_offset = r.record_offset ORDER BY d.number LIMIT 1),"
        " (SELECT l.state FROM subscription_dead_letter l WHERE l.subscription_id = s.id AND l.topic = r.topic"
        " AND l.partition = r.partition AND l.record_offset = r.record_offset)"
        " FROM unnest(%s::uuid[]) s (id)"
        " CROSS JOIN (SELECT %s AS topic, %s::int AS partition, %s::bigint AS record_offset) r"
        " LEFT JOIN subscription_position p"
        " ON p.subscription_id = s.id AND p.topic = r.topic AND p.partition = r.partition",
        (list(ids), *place),
    )
    return {row[0]: row[1:] for row in cursor.fetchall()}


_SHOWN: Final = ("attempt", "started_at", "duration_ms", "outcome", "reason", "status", "retry_at")
