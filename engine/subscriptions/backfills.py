"""What both ways to send a snapshot share, to readers and to sinks: its list is made once, and it is long work.

The work's row belongs to the subscription and not to a process: whoever sends says how far it is, and a cancel holds at once
though nobody sends just then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from psycopg import Cursor

from engine import works
from engine.audit import act_as, by_operator
from engine.errors import TransientFault
from engine.subscriptions import register
from schemas.subscriptions import Order, Place
from schemas.subscriptions.snapshot import Snapshot

BEAT_S: Final = 1.0


class SnapshotBooks(Protocol):
    """Where lists are kept, and how far each backfill is; engine/subscriptions/snapshots.py says what each does."""

    async def snapshot(self, subscription_id: UUID) -> Snapshot: ...

    async def note_snapshot(self, subscription_id: UUID, place: Place, offsets: Sequence[int]) -> None: ...

    async def note_backfill(self, subscription_id: UUID, done: int, total: int | None) -> None: ...


class Beats:
    """Says how far backfills are, each at most every BEAT_S, and once more when its total is known."""

    def __init__(self, books: SnapshotBooks) -> None:
        self._books = books
        self._said: dict[UUID, tuple[float, int | None]] = {}  # when, and the total; of those under way

    async def reached(self, subscription_id: UUID, done: int, total: int | None) -> None:
        """total None: its list is not made yet."""
        now_s = asyncio.get_running_loop().time()
        said_s, said_total = self._said.get(subscription_id, (float("-inf"), None))
        if now_s - said_s >= BEAT_S or total != said_total:
            self._said[subscription_id] = now_s, total
            await self._books.note_backfill(subscription_id, done, total)

    def forget(self, subscription_id: UUID) -> None:
        """It is over."""
        self._said.pop(subscription_id, None)


async def whole(
    books: SnapshotBooks, subscription_id: UUID, look: Callable[[Place, int], Awaitable[Sequence[int]]]
) -> Snapshot:
    """The whole list. `look` finds what is missing, partition by partition; each is stored once it is known."""
    snapshot = await books.snapshot(subscription_id)
    if not snapshot.missing:
        return snapshot
    for place in snapshot.missing:
        await books.note_snapshot(subscription_id, place, await look(place, snapshot.ends[place]))
    return await books.snapshot(subscription_id)  # somebody else's list counts where it was there first


def cut_short(place: Place, at: int) -> TransientFault:
    """The log ends before what a snapshot was taken of."""
    return TransientFault(
        f"Kafka: {place.topic} p{place.partition} ends at @{at}, before what a snapshot was taken of;"
        " if its topic was made anew or restored, have the subscription made anew"
    )


def cancel(cursor: Cursor[Any], work_id: int, by: str, now: datetime) -> bool:
    """Ask a work of any kind to stop; False: there is none that goes on. `by`: an operator.

    A backfill is over on return: its subscription is paused where it stands, with a note for its owner. Resumed, it goes on
    from there as another work, so nothing is lost and nothing is numbered twice.
    """
    cursor.execute("SELECT snapshot_of FROM work WHERE id = %s AND state = 'running'", (work_id,))
    row = cursor.fetchone()
    if row is None or row[0] is None:
        return works.ask_cancel(cursor, work_id, by, now)
    # The subscription before the work, as whoever settles its watermark: so neither waits for the other for ever.
    register.find(cursor, row[0], for_update=True)
    if not works.ask_cancel(cursor, work_id, by, now):
        return False
    cursor.execute("UPDATE work SET state = 'cancelled', ended_at = %s WHERE id = %s RETURNING done, total", (now, work_id))
    [(done, total)] = cursor.fetchall()
    act_as(cursor, by_operator(by))
    # One that is disabled or expired sends nothing either way.
    register.move(cursor, row[0], Order("pause", "snapshot_cancelled", "operator", _note(done, total)), now)
    return True


def _note(done: int, total: int | None) -> str:
    sent = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    return f"the snapshot was cancelled after {sent} events; nothing is lost: resumed by an operator, it goes on from there"
