"""What a courier reads before its tail, when its subscription began with a snapshot (schemas/subscriptions/snapshot.py).

What a partition lists is stored once it is known, so a deliverer that is killed costs one partition's look.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from engine.errors import TransientFault
from engine.subscriptions.backfills import Beats, SnapshotBooks, cut_short, whole
from schemas.subscriptions import Place, Subscription
from schemas.subscriptions.snapshot import SEAM, Latest, Snapshot, watermark
from schemas.topics import Classification
from sinks.webhooks.log import HistoryGone, Log, Record

READ_MAX: Final = 250
WAIT_S: Final = 1.0
LAG_S_MAX: Final = 5.0  # of the tail behind what a snapshot was taken of

Passes = Callable[[Record], bool]
ClassificationOf = Callable[[Record], Classification]
log = structlog.get_logger("webhooks")


class Listed(NamedTuple):
    """What is listed next, and the positions behind it; a record is None when retention has removed it."""

    found: list[tuple[Place, int, Record | None]]
    positions: dict[Place, int]


class Backfill:
    """The snapshot of one subscription."""

    def __init__(
        self, subscription: Subscription, log: Log, books: SnapshotBooks, prefix: str, classification_of: ClassificationOf
    ) -> None:
        self._subscription = subscription
        self._log = log
        self._books = books
        self._beats = Beats(books)
        self._prefix = prefix
        self._classification_of = classification_of
        self._snapshot: Snapshot | None = None
        self._late_s: float | None = None  # since when nothing stands where something must

    def forget(self) -> None:
        """The tail has begun: a list may be long, and a courier lasts."""
        self._snapshot = None

    async def tell(self, positions: dict[Place, int], waiting: int) -> None:
        """How far it is, once that is known. `waiting`: what was numbered before these positions and is not settled."""
        snapshot = self._snapshot
        if snapshot is not None:
            await self._beats.reached(self._subscription.id, max(0, snapshot.count_before(positions) - waiting), snapshot.count)

    async def watermark(self, passes: Passes) -> Record:
        """The event between snapshot and tail."""
        event = watermark(self._subscription, await self._listed(passes), self._prefix)
        return Record(SEAM, 0, b"", -1, event)

    async def read(self, positions: dict[Place, int], passes: Passes, room: int, room_bytes: int) -> Listed | None:
        """A look at each partition, at most `room` events, and none more once they have `room_bytes`; None: it is over.

        Judged again, as the subscription may have been narrowed since. Raises a fault when the log ends before what is listed.
        """
        snapshot = await self._listed(passes)
        wanted = snapshot.wanted(positions)
        if not wanted:
            return None
        found: list[tuple[Place, int, Record | None]] = []
        moved = dict(positions)
        seen = self._log.version
        for place, at in wanted.items():
            if len(found) + READ_MAX > room or room_bytes <= 0:
                break
            try:
                chunk = await self._log.read(place, at, READ_MAX)
            except HistoryGone as gone:
                moved[place] = snapshot.within(place, gone.earliest)
                log.error(
                    "events of a snapshot were removed by retention; the subscriber finds a dead letter in their place",
                    subscription=str(self._subscription.id),
                    topic=place.topic,
                    partition=place.partition,
                    first=at,
                    next=moved[place],
                    events=snapshot.count_between(place, at, moved[place]),
                )
                found.append((place, at, None))
                continue
            await asyncio.sleep(0)  # what is at hand comes at once: others get their turn
            records = [one for one in chunk.records if snapshot.lists(place, one.offset) and passes(one)]
            found += [(place, record.offset, record) for record in records]
            room_bytes -= sum(len(record.body) for record in records)
            moved[place] = snapshot.within(place, chunk.next_offset)
        if moved == positions:
            place, at = next(iter(wanted.items()))
            await self._wait(seen, place, at)
        else:
            self._late_s = None
        return Listed(found, moved)

    async def tail(self, positions: dict[Place, int], passes: Passes) -> dict[Place, int]:
        """Where to go on behind the watermark."""
        return (await self._listed(passes)).tail(positions)

    async def _listed(self, passes: Passes) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = await whole(
                self._books, self._subscription.id, lambda place, end: self._look_through(place, end, passes)
            )
        return self._snapshot

    async def _look_through(self, place: Place, end: int, passes: Passes) -> list[int]:
        if end and place not in self._log.places:  # an empty list would be kept for ever
            raise TransientFault(
                f"{place.topic} p{place.partition} came after this deliverer started; restart it for the snapshot"
            )
        latest = Latest()
        at = 0
        while at < end:
            await self._beats.reached(self._subscription.id, 0, None)
            seen = self._log.version
            try:
                chunk = await self._log.read(place, at, READ_MAX)
            except HistoryGone as gone:
                at = gone.earliest
                continue
            for record in chunk.records:
                if record.offset < end and passes(record):
                    latest.add(record.event.type, record.event.subject, self._classification_of(record), record.offset)
            if chunk.next_offset <= at:
                await self._wait(seen, place, at)
            else:
                self._late_s = None
                await asyncio.sleep(0)
            at = chunk.next_offset
        return latest.offsets()

    async def _wait(self, seen: int, place: Place, at: int) -> None:
        """Nothing stands where something must: the tail is a moment behind, or this is another log, which raises a fault."""
        now_s = asyncio.get_running_loop().time()
        self._late_s = now_s if self._late_s is None else self._late_s
        if now_s - self._late_s >= LAG_S_MAX:
            self._late_s = None
            raise cut_short(place, at)
        await self._log.news(seen, WAIT_S)
