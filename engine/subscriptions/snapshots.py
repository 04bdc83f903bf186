"""Snapshots of subscriptions in PostgreSQL: where each ends, what it lists, how far it is sent. Functions on a cursor."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from uuid import UUID

from psycopg import Cursor

from schemas.subscriptions import Place
from schemas.subscriptions.snapshot import Snapshot

BACKFILL: Final = "backfill"  # the kind of work


def begin(cursor: Cursor[Any], subscription_id: UUID, ends: Mapping[Place, int]) -> None:
    """Fix the position of a new subscription's snapshot. Nothing is listed yet."""
    cursor.executemany(
        "INSERT INTO subscription_snapshot (subscription_id, topic, partition, end_offset) VALUES (%s, %s, %s, %s)",
        [(subscription_id, topic, partition, end) for (topic, partition), end in ends.items()],
    )


def note(cursor: Cursor[Any], subscription_id: UUID, place: Place, offsets: Sequence[int]) -> None:
    """What a partition's part lists. Whoever comes first decides: the list never changes once readers may have seen it."""
    cursor.execute(
        "UPDATE subscription_snapshot SET offsets = %s"
        " WHERE subscription_id = %s AND topic = %s AND partition = %s AND offsets IS NULL",
        (list(offsets), subscription_id, *place),
    )


def find(cursor: Cursor[Any], subscription_id: UUID) -> Snapshot:
    """As far as it is made. Of a subscription that began otherwise: an empty one."""
    cursor.execute(
        "SELECT topic, partition, end_offset, offsets FROM subscription_snapshot WHERE subscription_id = %s",
        (subscription_id,),
    )
    rows = cursor.fetchall()
    return Snapshot(
        {Place(topic, partition): end for topic, partition, end, _ in rows},
        # Eight bytes each: there may be millions, and they are kept while they are read.
        {Place(topic, partition): array("q", offsets) for topic, partition, _, offsets in rows if offsets is not None},
    )


def note_backfill(cursor: Cursor[Any], subscription_id: UUID, done: int, total: int | None) -> None:
    """How far it is sent, as long work: begins it, or goes on with it. What a reader reads once more counts once.

    Of a subscription that is not enabled any more nothing begins: its sender may not have heard of it yet.
    """
    cursor.execute(
        "UPDATE work SET done = greatest(done, %s), total = coalesce(%s, total), beat_at = now()"
        " WHERE snapshot_of = %s AND state = 'running'",
        (done, total, subscription_id),
    )
    if not cursor.rowcount:
        cursor.execute(
            "INSERT INTO work (kind, title, started_by, done, total, snapshot_of)"
            " SELECT %s::text, s.subscription_id, s.owner, %s::bigint, %s::bigint, s.subscription_id FROM subscription s"
            " WHERE s.subscription_id = %s AND s.state = 'enabled' AND NOT EXISTS"
            " (SELECT FROM work w WHERE w.snapshot_of = s.subscription_id AND w.state IN ('running', 'done'))"
            " ON CONFLICT DO NOTHING",
            (BACKFILL, done, total, subscription_id),
        )


def end_backfill(cursor: Cursor[Any], subscription_id: UUID, state: Literal["done", "failed", "cancelled"]) -> None:
    """done: the watermark is sent. failed: it was given up. cancelled: the subscription goes."""
    cursor.execute(
        "UPDATE work SET state = %(state)s, beat_at = now(), ended_at = now(),"
        " done = CASE WHEN %(state)s = 'cancelled' THEN done ELSE coalesce(total, done) END, total = coalesce(total, done)"
        " WHERE snapshot_of = %(id)s AND state = 'running'",
        {"state": state, "id": subscription_id},
    )
