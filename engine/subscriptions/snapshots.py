"""Snapshots of subscriptions in PostgreSQL: where each ends, and which offsets it lists. Functions on a cursor."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import Cursor

from schemas.subscriptions import Place
from schemas.subscriptions.snapshot import Snapshot


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
