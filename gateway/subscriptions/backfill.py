"""Snapshots for readers: looked through in the background, partition by partition, then read like the log itself.

What a partition lists is stored once it is known, so a gateway that is killed costs one partition's look, and every gateway
reads the same list.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.log import Log
from gateway.subscriptions.reading import (
    EXAMINED_A_TURN,
    Page,
    Passed,
    Selection,
    bounds_of,
    next_page,
    refuse_gone,
    stretches_from,
)
from gateway.subscriptions.records import Readable
from gateway.subscriptions.store import Subscriptions
from schemas.cloudevents import json_format
from schemas.filters import attributes_of
from schemas.subscriptions import Place, Reader
from schemas.subscriptions.snapshot import SEAM, Latest, Snapshot, watermark

LOOKS_MAX: Final = 2  # at once; the others wait for their turn
WAIT_S: Final = 0.2

log = structlog.get_logger("gateway")


class Backfills:
    """Snapshots under way, of all readers of this gateway."""

    def __init__(self, log: Log, subscriptions: Subscriptions, prefix: str) -> None:
        self._log = log
        self._subscriptions = subscriptions
        self._prefix = prefix
        self._looks: dict[UUID, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(LOOKS_MAX)

    async def of(self, selection: Selection, reader: Reader) -> Snapshot | None:
        """The whole snapshot; None while it is looked through, which this begins. Raises Problem."""
        key = selection.subscription.id
        look = self._looks.get(key)
        if look is None:
            snapshot = await self._subscriptions.snapshot(key)
            if not snapshot.missing:
                return snapshot
            look = self._looks[key] = asyncio.create_task(self._look(selection, reader, snapshot))
            look.add_done_callback(lambda done: self._ended(key, done))
        await asyncio.wait((look,), timeout=WAIT_S)
        if not look.done():
            return None
        look.result()  # its Problem is this reader's, too; the next one begins anew
        return await self._subscriptions.snapshot(key)

    async def page(self, selection: Selection, reader: Reader, snapshot: Snapshot, positions: Positions, limit: int) -> Page:
        """The next of the snapshot, at its end the watermark. Raises Problem."""
        wanted = snapshot.wanted(positions)
        if not wanted:
            passed = Passed(self._watermark(selection, snapshot), SEAM, 0, _ms(selection.subscription.created_at))
            return Page(snapshot.tail(positions), [passed], has_more=True)
        refuse_gone({**snapshot.tail(positions), SEAM: 0, **wanted}, await bounds_of(self._log))
        page = await next_page(self._log, selection, reader, wanted, limit, snapshot.lists)
        page.has_more = page.positions != wanted
        page.positions = positions | {place: snapshot.within(place, offset) for place, offset in page.positions.items()}
        page.withheld = {"right": 0, "classification": 0}  # filters chose the list: a count would answer for them
        return page

    def _ended(self, key: UUID, look: "asyncio.Task[None]") -> None:
        self._looks.pop(key, None)
        if not look.cancelled() and (error := look.exception()) is not None:  # perhaps nobody waits for it any more
            log.warning("snapshot_interrupted", subscription=str(key), error=str(error))

    def _watermark(self, selection: Selection, snapshot: Snapshot) -> Readable:
        event = watermark(selection.subscription, snapshot, self._prefix)
        return Readable(event.type, event.source, attributes_of(event), json_format.encode(event), "public")

    async def _look(self, selection: Selection, reader: Reader, snapshot: Snapshot) -> None:
        ends = {place: snapshot.ends[place] for place in snapshot.missing}
        async with self._turns, self._log.joined():
            async for place, offsets in looked_through(self._log, selection, reader, ends):
                await self._subscriptions.note_snapshot(selection.subscription.id, place, offsets)
        log.info("snapshot_listed", subscription=str(selection.subscription.id))


async def looked_through(
    log: Log, selection: Selection, reader: Reader, ends: Mapping[Place, int]
) -> AsyncIterator[tuple[Place, list[int]]]:
    """Each partition with the latest offset of each type and subject before its end, of those that pass and may be seen.

    Raises Problem.
    """
    latest = {place: Latest() for place in ends}
    positions = dict.fromkeys(ends, 0)
    while positions:
        bounds = await bounds_of(log)
        for place, at in list(positions.items()):
            # A topic that is gone has nothing more to give.
            at = max(at, bounds[place].earliest) if place in bounds else ends[place]
            positions[place] = at
            if at >= ends[place]:
                del positions[place]
                yield place, latest.pop(place).offsets()
        stretches = await stretches_from(log, positions)
        for stretch in stretches:
            for index, record in enumerate(stretch.records):
                if record.offset >= ends[stretch.place]:
                    break
                if index % EXAMINED_A_TURN == EXAMINED_A_TURN - 1:
                    await asyncio.sleep(0)
                event = record.event
                if event is not None and selection.judge(event, reader) is True:
                    latest[stretch.place].add(event.type, event.attributes.get("subject"), record.offset)
            positions[stretch.place] = stretch.next_offset
        if positions and not stretches:
            await log.moved(WAIT_S)


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
