"""Deliveries in PostgreSQL: numbered before they are sent, settled after; what was given up, and what is to be sent again.

Functions on a cursor, in bulk: a deliverer puts the work of many subscriptions into one transaction. Guarantee: a number is
given once (compare-and-set on `last_number`) and its row stays until its outcome is stored, so a crash repeats, never loses.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from psycopg import Cursor

from engine import works
from engine.database import NULL, copy_instant, copy_rows, copy_text, copy_texts, named
from engine.subscriptions import snapshots
from schemas.subscriptions import PUSHED, Place
from schemas.subscriptions.snapshot import SEAM

Outcome = Literal["acknowledged", "failed", "dead_lettered", "withheld"]
REPLAY: Final = "delivery_replay"  # the kind of work
REPLAY_MAX: Final = 10_000  # deliveries an order
TRACE_ROWS_MAX: Final = 1_000
FORGOTTEN_MAX: Final = 5_000


class Planned(NamedTuple):
    """One number and its record."""

    number: int
    place: Place
    offset: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a subscription read: `last_number` and `positions` are after it, `known_number` is what it began from."""

    subscription_id: UUID
    known_number: int
    last_number: int
    positions: dict[Place, int]
    planned: Sequence[Planned]
    withheld_right: int = 0
    withheld_classification: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to. `retry_at` only for `failed`; `body` and `message` only for `dead_lettered`."""

    subscription_id: UUID
    number: int
    place: Place
    offset: int
    event_id: str
    event_source: str
    event_type: str
    attempt: int
    failures: int
    started_at: datetime
    first_at: datetime
    duration_ms: int
    outcome: Outcome
    reason: str | None
    status: int | None
    retry_at: datetime | None = None
    body: bytes | None = None
    message: str = ""


class EndpointHealth(NamedTuple):
    """What outlives a restart of how an endpoint fares."""

    subscription_id: UUID
    failures: int
    failing_since: datetime | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A delivery taken up again. `is_repeat`: it was settled once, and somebody wants it once more."""

    planned: Planned
    attempts: int
    failures: int
    first_at: datetime | None
    retry_at: datetime | None
    body: bytes | None
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a subscription's deliveries stand."""

    last_number: int
    granted_per_min: int | None
    health: EndpointHealth
    positions: dict[Place, int] = field(default_factory=dict)


def plan(cursor: Cursor[Any], plans: Sequence[Plan]) -> set[UUID]:
    """Number deliveries and move positions; returns the subscriptions for which it held.

    The others are gone, or somebody else numbered meanwhile: nothing of theirs is stored, they begin anew from `progress`.
    """
    cursor.execute(
        "UPDATE subscription_progress p SET last_number = v.last, withheld_right = p.withheld_right + v.by_right,"
        " withheld_classification = p.withheld_classification + v.by_class, moved_at = now()"
        " FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])"
        " AS v(id, known, last, by_right, by_class)"
        " WHERE p.subscription_id = v.id AND p.last_number = v.known RETURNING p.subscription_id",
        (
            [one.subscription_id for one in plans],
            [one.known_number for one in plans],
            [one.last_number for one in plans],
            [one.withheld_right for one in plans],
            [one.withheld_classification for one in plans],
        ),
    )
    held = {row[0] for row in cursor.fetchall()}
    moves = [
        (one.subscription_id, *place, offset)
        for one in plans
        if one.subscription_id in held
        for place, offset in one.positions.items()
    ]
    if moves:
        ids, topics, partitions, offsets = (list(column) for column in zip(*moves, strict=True))
        cursor.execute(
            "INSERT INTO subscription_position (subscription_id, topic, partition, start_offset, next_offset)"
            " SELECT id, topic, partition, 0, next_offset"
            " FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::bigint[]) AS v(id, topic, partition, next_offset)"
            " ON CONFLICT (subscription_id, topic, partition)"
            " DO UPDATE SET next_offset = excluded.next_offset, moved_at = now()",
            (ids, topics, partitions, offsets),
        )
    lines = [
        f"{one.subscription_id}\t{number}\t{topic}\t{partition}\t{offset}"
        for one in plans
        if one.subscription_id in held
        for number, (topic, partition), offset in one.planned
    ]
    if lines:
        columns = ("subscription_id", "number", "topic", "partition", "record_offset")
        copy_rows(cursor, "subscription_delivery", columns, lines)
    return held


def settle(cursor: Cursor[Any], settlements: Sequence[Settlement]) -> None:
    """Store what attempts came to, and the trace of each. Of subscriptions that are gone nothing is stored."""
    # The lock holds a deletion off until the transaction ends; without it COPY would fail on what is just being deleted.
    cursor.execute(
        "SELECT subscription_id FROM subscription WHERE subscription_id = ANY(%s::uuid[]) FOR KEY SHARE",
        (_array({one.subscription_id for one in settlements}),),
    )
    alive = {row[0] for row in cursor.fetchall()}
    settlements = [one for one in settlements if one.subscription_id in alive]
    if not settlements:
        return
    copy_rows(cursor, "subscription_attempt", _TRACE, [_traced(one) for one in settlements])
    again = [one for one in settlements if one.outcome == "failed"]
    if again:
        cursor.execute(
            "UPDATE subscription_delivery d SET attempts = v.attempts, failures = v.failures, first_at = v.first_at,"
            " retry_at = v.retry_at FROM unnest(%s::uuid[], %s::bigint[], %s::int[], %s::int[], %s::timestamptz[],"
            " %s::timestamptz[]) AS v(id, number, attempts, failures, first_at, retry_at)"
            " WHERE d.subscription_id = v.id AND d.number = v.number",
            (
                [one.subscription_id for one in again],
                [one.number for one in again],
                [one.attempt for one in again],
                [one.failures for one in again],
                [one.first_at for one in again],
                [one.retry_at for one in again],
            ),
        )
    for one in settlements:
        if one.outcome == "dead_lettered":
            _bury(cursor, one)
    done = [one for one in settlements if one.outcome != "failed"]
    if done:
        cursor.execute(
            "WITH gone AS (DELETE FROM subscription_delivery d USING unnest(%s::uuid[], %s::bigint[]) AS v(id, number)"
            " WHERE d.subscription_id = v.id AND d.number = v.number RETURNING d.work_id)"
            " UPDATE work SET done = work.done + g.count"
            " FROM (SELECT work_id, count(*) FROM gone WHERE work_id IS NOT NULL GROUP BY work_id) g WHERE work.id = g.work_id",
            (_array(one.subscription_id for one in done), _array(one.number for one in done)),
        )
    for one in done:
        if one.place == SEAM:
            is_given_up = one.outcome == "dead_lettered"
            snapshots.end_backfill(cursor, one.subscription_id, "failed" if is_given_up else "done")


_TRACE: Final = (
    "subscription_id",
    "number",
    "topic",
    "partition",
    "record_offset",
    "event_id",
    "event_source",
    "event_type",
    "attempt",
    "started_at",
    "duration_ms",
    "outcome",
    "reason",
    "status",
    "retry_at",
)


def _traced(one: Settlement) -> str:
    texts = copy_texts(one.event_id, one.event_source, one.event_type)
    return (
        f"{one.subscription_id}\t{one.number}\t{one.place.topic}\t{one.place.partition}\t{one.offset}\t"
        + "\t".join(texts)
        + f"\t{one.attempt}\t{copy_instant(one.started_at)}\t{one.duration_ms}\t{one.outcome}\t{copy_text(one.reason)}"
        f"\t{NULL if one.status is None else one.status}\t{copy_instant(one.retry_at)}"
    )


def _array(values: Iterable[UUID | int]) -> str:
    """An array's text: a tenth of what psycopg needs for a list."""
    return "{" + ",".join(map(str, values)) + "}"


def _bury(cursor: Cursor[Any], one: Settlement) -> None:
    """A letter that dies again is the same letter."""
    cursor.execute(
        "INSERT INTO subscription_dead_letter (subscription_id, number, topic, partition, record_offset, event_id,"
        " event_source, event_type, body, attempts, reason, status, message, first_failed_at, last_failed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (subscription_id, topic, partition, record_offset) DO UPDATE SET number = excluded.number,"
        " attempts = subscription_dead_letter.attempts + excluded.attempts, reason = excluded.reason,"
        " status = excluded.status, message = excluded.message, last_failed_at = excluded.last_failed_at,"
        " state = 'waiting', settled_at = NULL, settled_by = NULL",
        (
            one.subscription_id,
            one.number,
            *one.place,
            one.offset,
            one.event_id,
            one.event_source,
            one.event_type,
            one.body,
            one.attempt,
            one.reason,
            one.status,
            one.message,
            one.first_at,
            one.started_at,
        ),
    )


def note_ends(cursor: Cursor[Any], ends: Mapping[Place, int]) -> None:
    """Where the log ends now: how far each subscription is behind it is asked where no log can be (v_subscription)."""
    cursor.execute(
        "INSERT INTO log_end (topic, partition, end_offset)"
        " SELECT topic, partition, place FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS new (topic, partition, place)"
        " ON CONFLICT (topic, partition) DO UPDATE SET end_offset = excluded.end_offset, noted_at = now()",
        ([place.topic for place in ends], [place.partition for place in ends], list(ends.values())),
    )


def note_health(cursor: Cursor[Any], healths: Sequence[EndpointHealth]) -> None:
    """How endpoints fare; of those that changed."""
    cursor.execute(
        "UPDATE subscription_progress p SET failures_in_row = v.failures, failing_since = v.since, retry_at = v.retry_at"
        " FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[], %s::timestamptz[]) AS v(id, failures, since, retry_at)"
        " WHERE p.subscription_id = v.id",
        [list(column) for column in zip(*healths, strict=True)],
    )


def grant(cursor: Cursor[Any], subscription_id: UUID, per_min: int | None) -> None:
    """What the handshake allowed; whatever the endpoint did before is forgotten."""
    cursor.execute(
        "UPDATE subscription_progress SET granted_per_min = %s, failures_in_row = 0, failing_since = NULL, retry_at = NULL"
        " WHERE subscription_id = %s",
        (per_min, subscription_id),
    )


def progress(cursor: Cursor[Any], subscription_id: UUID) -> Progress | None:
    """None: there is no such subscription."""
    cursor.execute(
        "SELECT last_number, granted_per_min, failures_in_row, failing_since, retry_at FROM subscription_progress"
        " WHERE subscription_id = %s",
        (subscription_id,),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute(
        "SELECT topic, partition, next_offset FROM subscription_position WHERE subscription_id = %s", (subscription_id,)
    )
    positions = {Place(topic, partition): offset for topic, partition, offset in cursor.fetchall()}
    return Progress(row[0], row[1], EndpointHealth(subscription_id, *row[2:]), positions)


def outstanding(cursor: Cursor[Any], subscription_id: UUID, held: Sequence[int], limit: int) -> list[Outstanding]:
    """What is not settled, in the order of numbers, but those `held` already."""
    cursor.execute(
        "SELECT number, topic, partition, record_offset, attempts, failures, first_at, retry_at, body,"
        " work_id IS NOT NULL OR EXISTS (SELECT FROM subscription_attempt a WHERE a.subscription_id = d.subscription_id"
        " AND a.number = d.number AND a.outcome <> 'failed')"
        " FROM subscription_delivery d WHERE subscription_id = %s AND number <> ALL(%s) ORDER BY number LIMIT %s",
        (subscription_id, list(held), limit),
    )
    return [
        Outstanding(
            Planned(number, Place(topic, partition), offset),
            attempts,
            failures,
            first,
            retry,
            None if body is None else bytes(body),
            is_repeat,
        )
        for number, topic, partition, offset, attempts, failures, first, retry, body, is_repeat in cursor.fetchall()
    ]


def is_outstanding(cursor: Cursor[Any], subscription_id: UUID, number: int) -> bool:
    """False once it is settled, or its replay was cancelled."""
    cursor.execute("SELECT FROM subscription_delivery WHERE subscription_id = %s AND number = %s", (subscription_id, number))
    return cursor.rowcount == 1


def follow_replays(cursor: Cursor[Any]) -> dict[UUID, list[int]]:
    """Say of each replay that it goes on, or how it ended; of one that was asked to stop, drop what is not sent again yet.
    Returns the numbers dropped of each subscription.

    For the deliverer, at each look: a replay without it shows no sign of life, as any work without its process.
    """
    cursor.execute(
        "UPDATE work w SET beat_at = now(), state = now_is.state,"
        " ended_at = CASE WHEN now_is.state <> 'running' THEN now() END"
        " FROM (SELECT id, CASE WHEN cancel_asked_by IS NOT NULL THEN 'cancelled'"
        " WHEN EXISTS (SELECT FROM subscription_delivery d WHERE d.work_id = work.id) THEN 'running'"
        " WHEN done < total THEN 'cancelled'"  # the rest went with its subscription
        " ELSE 'done' END AS state FROM work WHERE kind = %s AND state = 'running') now_is"
        " WHERE w.id = now_is.id RETURNING w.id, w.state",
        (REPLAY,),
    )
    cancelled = [work_id for work_id, state in cursor.fetchall() if state == "cancelled"]
    dropped: dict[UUID, list[int]] = {}
    if cancelled:
        cursor.execute(
            "DELETE FROM subscription_delivery WHERE work_id = ANY(%s) RETURNING subscription_id, number", (cancelled,)
        )
        for subscription_id, number in cursor.fetchall():
            dropped.setdefault(subscription_id, []).append(number)
    return dropped


def forget_attempts(cursor: Cursor[Any], before: datetime) -> int:
    """The trace is kept for a while; returns how many rows went, FORGOTTEN_MAX at most: deliveries wait for this."""
    cursor.execute(
        "DELETE FROM subscription_attempt WHERE id IN"
        " (SELECT id FROM subscription_attempt WHERE started_at < %s ORDER BY started_at LIMIT %s)",
        (before, FORGOTTEN_MAX),
    )
    return cursor.rowcount


# --- for partners and operators -------------------------------------------------------------------------------------------


def fares(cursor: Cursor[Any]) -> list[dict[str, Any]]:
    """How every subscription that is delivered to does."""
    return _rows(
        cursor,
        "SELECT s.subscription_id AS subscription, s.owner, s.protocol, s.state, s.state_reason AS reason, p.last_number,"
        " (SELECT count(*) FROM subscription_delivery d WHERE d.subscription_id = s.subscription_id) AS waiting,"
        " (SELECT count(*) FROM subscription_dead_letter l WHERE l.subscription_id = s.subscription_id"
        " AND l.state = 'waiting') AS dead_letters, p.withheld_right + p.withheld_classification AS withheld,"
        " p.failing_since, p.retry_at FROM subscription s JOIN subscription_progress p USING (subscription_id)"
        " WHERE s.protocol = ANY(%s) ORDER BY s.owner, s.created_at",
        (list(PUSHED),),
    )


def dead_letters(cursor: Cursor[Any], subscription_id: UUID, after_id: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """What was given up and waits for a decision, oldest first, without the bodies."""
    return _rows(
        cursor,
        "SELECT id, number, event_id, event_source, event_type, topic, partition, record_offset, attempts, reason, status,"
        " message, first_failed_at, last_failed_at FROM subscription_dead_letter"
        " WHERE subscription_id = %s AND id > %s AND state = 'waiting' ORDER BY id LIMIT %s",
        (subscription_id, after_id, min(limit, TRACE_ROWS_MAX)),
    )


def redrive(
    cursor: Cursor[Any], subscription_id: UUID, ids: Sequence[int] | None, by: str, now: datetime, limit: int = REPLAY_MAX
) -> int:
    """Send dead letters again under their old numbers; None: all that wait. Returns how many."""
    cursor.execute(
        "WITH taken AS (UPDATE subscription_dead_letter SET state = 'redriven', settled_at = %(now)s, settled_by = %(by)s"
        " WHERE id IN (SELECT id FROM subscription_dead_letter WHERE subscription_id = %(subscription)s"
        " AND state = 'waiting' AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s)) ORDER BY id LIMIT %(limit)s FOR UPDATE)"
        " RETURNING subscription_id, number, topic, partition, record_offset, body)"
        " INSERT INTO subscription_delivery (subscription_id, number, topic, partition, record_offset, body)"
        " SELECT * FROM taken ON CONFLICT DO NOTHING",
        {"now": now, "by": by, "subscription": subscription_id, "ids": None if ids is None else list(ids), "limit": limit},
    )
    return _ordered(cursor, subscription_id)


def discard(cursor: Cursor[Any], subscription_id: UUID, ids: Sequence[int], by: str, now: datetime) -> int:
    """Dead letters that nobody wants any more; they stay in the table as discarded. Returns how many."""
    cursor.execute(
        "UPDATE subscription_dead_letter SET state = 'discarded', settled_at = %s, settled_by = %s"
        " WHERE subscription_id = %s AND id = ANY(%s) AND state = 'waiting'",
        (now, by, subscription_id, list(ids)),
    )
    return cursor.rowcount


def replay(cursor: Cursor[Any], subscription_id: UUID, first: int, last: int, by: str, limit: int = REPLAY_MAX) -> int:
    """Send again what was acknowledged, numbers `first` to `last`, as far as the trace goes back. Returns how many.

    It is long work (engine/works.py), which the deliverer does: `follow_replays`. Of nothing there is none.
    """
    work_id = works.add(cursor, REPLAY, f"{subscription_id} {first}-{last}", by, 0)
    cursor.execute(
        "INSERT INTO subscription_delivery (subscription_id, number, topic, partition, record_offset, work_id)"
        " SELECT DISTINCT ON (number) subscription_id, number, topic, partition, record_offset, %s::bigint"
        " FROM subscription_attempt"
        " WHERE subscription_id = %s AND number BETWEEN %s AND %s AND outcome = 'acknowledged' ORDER BY number LIMIT %s"
        " ON CONFLICT DO NOTHING",
        (work_id, subscription_id, first, last, limit),
    )
    count = _ordered(cursor, subscription_id)
    if count:
        cursor.execute("UPDATE work SET total = %s WHERE id = %s", (count, work_id))
    else:
        cursor.execute("DELETE FROM work WHERE id = %s", (work_id,))
    return count


def redriven(cursor: Cursor[Any], subscription_ids: Iterable[UUID]) -> dict[UUID, int]:
    """How often each was ordered to send something again: a deliverer looks whether that has changed."""
    cursor.execute(
        "SELECT subscription_id, redriven FROM subscription_progress WHERE subscription_id = ANY(%s::uuid[])",
        (_array(subscription_ids),),
    )
    return dict(cursor.fetchall())


def _ordered(cursor: Cursor[Any], subscription_id: UUID) -> int:
    count = cursor.rowcount
    if count:
        cursor.execute(
            "UPDATE subscription_progress SET redriven = redriven + 1 WHERE subscription_id = %s", (subscription_id,)
        )
    return count


def attempts_of(
    cursor: Cursor[Any], subscription_id: UUID, *, event_id: str | None = None, after_id: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """The trace: every attempt, of one event or of all, in their order."""
    return _rows(
        cursor,
        "SELECT id, number, event_id, event_source, event_type, attempt, started_at, duration_ms, outcome, reason, status,"
        " retry_at FROM subscription_attempt WHERE subscription_id = %s AND (%s::text IS NULL OR event_id = %s) AND id > %s"
        " ORDER BY id LIMIT %s",
        (subscription_id, event_id, event_id, after_id, min(limit, TRACE_ROWS_MAX)),
    )


def _rows(cursor: Cursor[Any], query: Any, values: Sequence[Any]) -> list[dict[str, Any]]:
    cursor.execute(query, values)
    return named(cursor)
