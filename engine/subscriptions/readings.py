"""How far those have come that keep their own place: readers with a cursor, and Kafka's own consumers.

For people alone, who ask which agencies lag behind (v_subscription): no reading depends on it, and it is some seconds old.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Cursor

from schemas.subscriptions import Place

WITH_CURSOR: Final = ""  # as a consumer: readers that carry a cursor, whichever of them came last


class Reading(NamedTuple):
    """What the readers of one subscription took last: all positions behind it, and when."""

    positions: Mapping[Place, int]
    at: datetime


def note_readings(cursor: Cursor[Any], readings: Mapping[UUID, Reading]) -> None:
    """What several gateways write in any order comes out the same: the later reading stands."""
    later = _seen(cursor, {key: reading.at for key, reading in readings.items()}, is_latest_kept=True)
    _replace(cursor, later, {(key, WITH_CURSOR): readings[key].positions for key in later})


def note_commits(
    cursor: Cursor[Any], asked: Iterable[UUID], commits: Mapping[tuple[UUID, str], Mapping[Place, int]], at: datetime
) -> None:
    """What the groups of the subscriptions `asked` for have committed, by subscription and group. One writer at a time."""
    known = _seen(cursor, dict.fromkeys(asked, at), is_latest_kept=False)
    _replace(cursor, known, {key: places for key, places in commits.items() if key[0] in known})


def _seen(cursor: Cursor[Any], at: Mapping[UUID, datetime], *, is_latest_kept: bool) -> set[UUID]:
    """Note when these subscriptions' places were seen. Returns those that are left, of the latest alone where that is kept.

    Locked in one order, so that two gateways, or an unsubscribing partner, never wait for each other in a circle.
    """
    cursor.execute(
        "WITH seen AS MATERIALIZED ("
        " SELECT s.subscription_id, v.at FROM unnest(%s::uuid[], %s::timestamptz[]) AS v (subscription_id, at)"
        " JOIN subscription s USING (subscription_id) JOIN subscription_progress p USING (subscription_id)"
        " WHERE NOT %s OR p.place_seen_at IS NULL OR p.place_seen_at < v.at"
        " ORDER BY subscription_id FOR KEY SHARE OF s FOR NO KEY UPDATE OF p)"
        " UPDATE subscription_progress p SET place_seen_at = seen.at FROM seen"
        " WHERE p.subscription_id = seen.subscription_id RETURNING p.subscription_id",
        (list(at), list(at.values()), is_latest_kept),
    )
    return {row[0] for row in cursor.fetchall()}


def _replace(cursor: Cursor[Any], subscriptions: Iterable[UUID], found: Mapping[tuple[UUID, str], Mapping[Place, int]]) -> None:
    """All that is known of these subscriptions. What stands where it stood is not written."""
    rows = [(*key, *place, offset) for key, places in found.items() for place, offset in places.items()]
    ids, consumers, topics, partitions, offsets = map(list, zip(*rows, strict=True)) if rows else ([],) * 5
    cursor.execute(
        "WITH found AS MATERIALIZED (SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::int[], %s::bigint[])"
        " AS v (subscription_id, consumer, topic, partition, next_offset)),"
        " gone AS (DELETE FROM subscription_reading r WHERE r.subscription_id = ANY(%s) AND NOT EXISTS"
        " (SELECT FROM found f WHERE (f.subscription_id, f.consumer, f.topic, f.partition)"
        " = (r.subscription_id, r.consumer, r.topic, r.partition)))"
        " INSERT INTO subscription_reading (subscription_id, consumer, topic, partition, next_offset)"
        " SELECT f.* FROM found f LEFT JOIN subscription_reading r USING (subscription_id, consumer, topic, partition)"
        " WHERE r.next_offset IS DISTINCT FROM f.next_offset"
        " ON CONFLICT (subscription_id, consumer, topic, partition)"
        " DO UPDATE SET next_offset = excluded.next_offset, moved_at = now()",
        (ids, consumers, topics, partitions, offsets, list(subscriptions)),
    )
