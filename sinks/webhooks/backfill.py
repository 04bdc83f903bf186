"""What a courier reads before its tail, when its subscription began with a snapshot (schemas/subscriptions/snapshot.py).

What a partition lists is stored once it is known, so a deliverer that is killed costs one partition's look.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from engine.errors import TransientFault
from schemas.subscriptions import Place, Subscription
from schemas.subscriptions.snapshot import SEAM, Latest, Snapshot, watermark
from sinks.webhooks.log import HistoryGone, Log, Record

READ_MAX: Final = 250
WAIT_S: Final = 1.0

Passes = Callable[[Record], bool]


class SnapshotBooks(Protocol):
    """Where lists are kept: `books.Books`."""

    async def snapshot(self, subscription_id: UUID) -> Snapshot: ...

    async def note_snapshot(self, subscription_id: UUID, place: Place, offsets: Sequence[int]) -> None: ...


class Listed(NamedTuple):
    """What is listed next, and the positions behind it; a record is None when retention has removed it."""

    found: list[tuple[Place, int, Record | None]]
    positions: dict[Place, int]


class Backfill:
    """The snapshot of one subscription."""

    def __init__(self, subscription: Subscription, log: Log, books: SnapshotBooks, prefix: str) -> None:
        self._subscription = subscription
        self._log = log
        self._books = books
        self._prefix = prefix
        self._snapshot: Snapshot | None = None

    async def watermark(self, passes: Passes) -> Record:
        """The event between snapshot and tail."""
        event = watermark(self._subscription, await self._listed(passes), self._prefix)
        return Record(SEAM, 0, b"", -1, event)

    async def read(self, positions: dict[Place, int], passes: Passes, room: int) -> Listed | None:
        """A look at each partition, at most `room` events; None: the snapshot is over."""
        snapshot = await self._listed(passes)
        wanted = snapshot.wanted(positions)
        if not wanted:
            return None
        found: list[tuple[Place, int, Record | None]] = []
        moved = dict(positions)
        for place, at in wanted.items():
            if len(found) + READ_MAX > room:
                break
            try:
                chunk = await self._log.read(place, at, READ_MAX)
            except HistoryGone as gone:
                found.append((place, at, None))
                moved[place] = snapshot.within(place, gone.earliest)
                continue
            found += [(place, record.offset, record) for record in chunk.records if snapshot.lists(place, record.offset)]
            moved[place] = snapshot.within(place, chunk.next_offset)
        return Listed(found, moved)

    async def tail(self, positions: dict[Place, int], passes: Passes) -> dict[Place, int]:
        """Where to go on behind the watermark."""
        return (await self._listed(passes)).tail(positions)

    async def _listed(self, passes: Passes) -> Snapshot:
        if self._snapshot is None:
            snapshot = await self._books.snapshot(self._subscription.id)
            for place in snapshot.missing:
                offsets = await self._look_through(place, snapshot.ends[place], passes)
                await self._books.note_snapshot(self._subscription.id, place, offsets)
            self._snapshot = await self._books.snapshot(self._subscription.id) if snapshot.missing else snapshot
        return self._snapshot

    async def _look_through(self, place: Place, end: int, passes: Passes) -> list[int]:
        if end and place not in self._log.places:  # an empty list would be kept for ever
            raise TransientFault(
                f"{place.topic} p{place.partition} came after this deliverer started; restart it for the snapshot"
            )
        latest = Latest()
        at = 0
        while at < end:
            seen = self._log.version
            try:
                chunk = await self._log.read(place, at, READ_MAX)
            except HistoryGone as gone:
                at = gone.earliest
                continue
            for record in chunk.records:
                if record.offset < end and passes(record):
                    latest.add(record.event.type, record.event.subject, record.offset)
            if chunk.next_offset <= at:
                await self._log.news(seen, WAIT_S)
            at = chunk.next_offset
        return latest.offsets()
