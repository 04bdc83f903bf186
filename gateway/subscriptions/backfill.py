"""Snapshots for readers: looked through in the background, partition by partition, then read like the log itself.

What a partition lists is stored once it is known, so a gateway that is killed costs one partition's look, and every gateway
reads the same list. It lists what the partner may see; what the token of a reader allows is judged at each page.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from engine.subscriptions.backfills import Beats, cut_short, whole
from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.log import Bounds, Log
from gateway.subscriptions.reading import (
    EXAMINED_A_TURN,
    Page,
    Passed,
    Selection,
    bounds_of,
    log_away,
    next_page,
    refuse_gone,
    stretches_from,
)
from gateway.subscriptions.records import Readable, Record
from gateway.subscriptions.store import Subscriptions
from schemas.cloudevents import json_format
from schemas.filters import attributes_of
from schemas.subscriptions import Place, Reader
from schemas.subscriptions.snapshot import RECORDS_MAX, SEAM, Latest, Snapshot, watermark
from schemas.topics import TOPICS

LOOKS_MAX: Final = 2  # at once; the others wait for their turn
KEPT_MAX: Final = 500  # whole lists
KEPT_OFFSETS_MAX: Final = 2 * RECORDS_MAX  # in them, 8 bytes each; every page of a PULL reader asks for its own
WAIT_S: Final = 0.2

log = structlog.get_logger("gateway")


class Backfills:
    """Snapshots under way, of all readers of this gateway."""

    def __init__(self, log: Log, subscriptions: Subscriptions, prefix: str) -> None:
        self._log = log
        self._subscriptions = subscriptions
        self._prefix = prefix
        self._beats = Beats(subscriptions)
        self._looks: dict[UUID, asyncio.Task[Snapshot]] = {}
        self._kept: OrderedDict[UUID, Snapshot] = OrderedDict()  # whole ones, which never change; the last used one last
        self._turns = asyncio.Semaphore(LOOKS_MAX)

    async def of(self, selection: Selection, reader: Reader) -> Snapshot | None:
        """The whole snapshot; None while it is looked through, which this begins. Raises Problem."""
        key = selection.subscription.id
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = asyncio.create_task(self._look(selection, _partner_alone(reader)))
            look.add_done_callback(lambda done: self._ended(key, done))
        await asyncio.wait((look,), timeout=WAIT_S)
        if not look.done() or look.cancelled():
            return None
        return look.result()  # its Problem is this reader's, too; the next one begins anew

    def forget(self, subscription_id: UUID) -> None:
        """It is deleted."""
        self._kept.pop(subscription_id, None)
        self._beats.forget(subscription_id)
        if subscription_id in self._looks:
            self._looks[subscription_id].cancel()

    async def close(self) -> None:
        """End the looks under way, before the log they read is closed."""
        looks = list(self._looks.values())
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def page(self, selection: Selection, reader: Reader, snapshot: Snapshot, positions: Positions, limit: int) -> Page:
        """The next of the snapshot, at its end the watermark. Raises Problem."""
        wanted = snapshot.wanted(positions)
        key = selection.subscription.id
        if not wanted:
            await self._subscriptions.end_backfill(key, snapshot.count)
            self._beats.forget(key)
            passed = Passed(self._watermark(selection, snapshot), SEAM, 0, _ms(selection.subscription.created_at))
            return Page(snapshot.tail(positions), [passed], has_more=True)
        await self._beats.reached(key, snapshot.count_before(positions), snapshot.count)
        bounds = await _bounds_reaching(self._log, {place: offset + 1 for place, offset in wanted.items()})
        refuse_gone({**snapshot.tail(positions), SEAM: 0, **wanted}, bounds)
        page = await next_page(self._log, selection, reader, wanted, limit, snapshot.lists)
        page.has_more = page.positions != wanted
        page.positions = positions | {place: snapshot.within(place, offset) for place, offset in page.positions.items()}
        page.withheld = {"right": 0, "classification": 0}  # filters chose the list: a count would answer for them
        return page

    def _ended(self, key: UUID, look: "asyncio.Task[Snapshot]") -> None:
        if self._looks.get(key) is look:
            del self._looks[key]
        if not look.cancelled() and (error := look.exception()) is not None:  # perhaps nobody waits for it any more
            log.warning("snapshot_interrupted", subscription=str(key), error=str(error))

    def _watermark(self, selection: Selection, snapshot: Snapshot) -> Readable:
        event = watermark(selection.subscription, snapshot, self._prefix)
        return Readable(event.type, event.source, attributes_of(event), json_format.encode(event), "public")

    async def _look(self, selection: Selection, lister: Reader) -> Snapshot:
        key = selection.subscription.id

        async def look(place: Place, end: int) -> list[int]:
            async with self._turns, self._log.joined():
                return await looked_through(self._log, selection, lister, place, end, self._beats)

        snapshot = await whole(self._subscriptions, key, look)
        self._keep(key, snapshot)
        return snapshot

    def _keep(self, key: UUID, snapshot: Snapshot) -> None:
        self._kept[key] = snapshot
        offsets = sum(one.count for one in self._kept.values())
        while len(self._kept) > KEPT_MAX or (offsets > KEPT_OFFSETS_MAX and len(self._kept) > 1):
            offsets -= self._kept.popitem(last=False)[1].count


async def looked_through(log: Log, selection: Selection, reader: Reader, place: Place, end: int, beats: Beats) -> list[int]:
    """The latest offset of each type, subject and classification before `end`, of those that pass and may be seen.

    Raises Problem, also when the log has no such end: an empty list would be kept for ever.
    """
    if place.topic not in TOPICS:
        return []  # it is no topic of ours any more
    latest = Latest()
    at = 0
    while True:
        await beats.reached(selection.subscription.id, 0, None)
        bounds = await _bounds_reaching(log, {place: end})
        at = max(at, bounds[place].earliest) if place in bounds else end
        if at >= end:
            return latest.offsets()
        stretches = await stretches_from(log, {place: at})
        for stretch in stretches:
            await _examine(stretch.records, selection, reader, end, latest)
            at = stretch.next_offset
        if not stretches:
            await log.moved(WAIT_S)


async def _examine(records: Sequence[Record], selection: Selection, reader: Reader, end: int, latest: Latest) -> None:
    for index, record in enumerate(records):
        if record.offset >= end:
            return
        if index % EXAMINED_A_TURN == EXAMINED_A_TURN - 1:
            await asyncio.sleep(0)
        event = record.event
        if event is not None and selection.judge(event, reader) is True:
            latest.add(event.type, event.attributes.get("subject"), event.classification, record.offset)


async def _bounds_reaching(log: Log, ends: Mapping[Place, int]) -> Mapping[Place, Bounds]:
    """Raises Problem when the log is shorter than it was once: what stood there must not count as read."""
    bounds = await bounds_of(log)
    if _short(bounds, ends):  # another gateway may have seen more than this one
        bounds = await bounds_of(log, fresh=True)
    for place in _short(bounds, ends):
        raise log_away(cut_short(place, bounds[place].end if place in bounds else 0))
    return bounds


def _short(bounds: Mapping[Place, Bounds], ends: Mapping[Place, int]) -> list[Place]:
    return [place for place, end in ends.items() if end and (place not in bounds or bounds[place].end < end)]


def _partner_alone(reader: Reader) -> Reader:
    """Without the token: the list is kept for ever, and other tokens of the partner may see more."""
    return reader if reader.scopes is None else replace(reader, scopes=reader.scopes[:1])


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
