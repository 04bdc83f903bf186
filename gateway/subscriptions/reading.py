"""A reader's way through the log: page by page, in each partition in order, every event judged anew for him.

A page takes what is there, lets the filters pass what they pass, and moves the positions behind all it has looked at. What
the reader may not see is counted before any filter is asked: else a filter could find out what stands in it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple

import structlog

from engine.errors import Fault
from gateway.problems import Problem
from gateway.subscriptions import cursors, kinds
from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.log import Bounds, Log, Stretch
from gateway.subscriptions.records import Readable
from schemas.filters import Filters
from schemas.subscriptions import Place, Reader, Subscription, Withheld
from schemas.subscriptions.snapshot import SEAM

EXAMINED_MAX: Final = 5_000  # a page, also when nothing passes
EXAMINED_A_TURN: Final = 50  # then others get their turn
PAGE_BYTES_MAX: Final = 4 * 1024 * 1024

_turns = count()
logger = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Selection:
    """What one subscription lets pass, as its revision says."""

    subscription: Subscription
    filters: Filters

    @classmethod
    def of(cls, subscription: Subscription) -> "Selection":
        return cls(subscription, subscription.compiled())

    def judge(self, event: Readable, reader: Reader) -> Withheld | bool:
        """Whether it passes; or why it is withheld, though its type was asked for."""
        if not self.subscription.asks_for(event.type):
            return False
        withheld = reader.withholds(event.type, event.classification, event.attributes)
        if withheld is not None:
            return withheld if self.subscription.counts(withheld) else False
        return self.subscription.selects(event.type, event.source) and self.filters.passes(event.attributes, event.data)


class Passed(NamedTuple):
    """An event of a page and where it stands."""

    event: Readable
    place: Place
    offset: int
    timestamp_ms: int


@dataclass(slots=True)
class Page:
    """What passed, and where to go on. `has_more`: there was more than one page takes."""

    positions: Positions
    events: list[Passed] = field(default_factory=list)
    withheld: dict[Withheld, int] = field(default_factory=lambda: {"right": 0, "classification": 0})
    has_more: bool = False
    examined: int = 0


async def next_page(
    log: Log,
    selection: Selection,
    reader: Reader,
    positions: Positions,
    limit: int,
    lists: Callable[[Place, int], bool] | None = None,
) -> Page:
    """Raises Problem: Kafka is away, or retention has passed a position. `lists`: the others are passed over unseen."""
    refuse_gone(positions, await bounds_of(log))
    page = Page(dict(positions))
    size_bytes = 0
    for stretch in await stretches_from(log, positions):
        for record in stretch.records:
            if len(page.events) >= limit or size_bytes >= PAGE_BYTES_MAX:
                page.has_more = True
                return page
            page.positions[stretch.place] = record.offset + 1
            page.examined += 1
            if page.examined % EXAMINED_A_TURN == 0:
                await asyncio.sleep(0)
            if lists is not None and not lists(record.place, record.offset):
                continue
            event = record.event
            verdict = False if event is None else selection.judge(event, reader)
            if event is None or verdict is False:
                continue
            if verdict is True:
                page.events.append(Passed(event, record.place, record.offset, record.timestamp_ms))
                size_bytes += len(event.body)
            else:
                page.withheld[verdict] += 1
        page.positions[stretch.place] = stretch.next_offset
    page.has_more = page.examined >= EXAMINED_MAX
    return page


async def begin(log: Log, topics: Sequence[str], starts: Mapping[Place, int], cursor: str | None) -> Positions:
    """Where a reader stands in every partition of these topics. Raises Problem for a cursor that cannot be followed.

    A partition that neither the cursor nor the start names was added later, so it is read from its beginning.
    """
    known = dict(starts)
    has_seam = SEAM in known
    if cursor is not None:
        known.pop(SEAM, None)  # a cursor of the tail has none
        try:
            known |= cursors.decode(cursor)
        except cursors.CursorError:
            raise _cursor_invalid() from None
    bounds = await bounds_of(log)
    positions = {place: known.get(place, bound.earliest) for place, bound in bounds.items() if place.topic in topics}
    if _is_ahead(positions, bounds):  # another gateway may have seen more than this one
        bounds = await bounds_of(log, fresh=True)
        if _is_ahead(positions, bounds):
            raise _cursor_invalid()
    if has_seam and SEAM in known:
        return positions | {SEAM: known[SEAM]}  # what retention may take from a snapshot, its list tells
    refuse_gone(positions, bounds)
    return positions


def refuse_gone(positions: Mapping[Place, int], bounds: Mapping[Place, Bounds]) -> None:
    """Raises Problem, with the cursor that keeps all that can be kept, when retention has passed a position."""
    if any(place in bounds and offset < bounds[place].earliest for place, offset in positions.items()):
        earliest = {place: max(offset, bounds[place].earliest) for place, offset in positions.items() if place in bounds}
        earliest |= {SEAM: positions[SEAM]} if SEAM in positions else {}
        kind = kinds.CURSOR_GONE
        raise Problem(kind, kind.meaning, more={"earliest_cursor": cursors.encode(earliest)})


async def bounds_of(log: Log, *, fresh: bool = False) -> Mapping[Place, Bounds]:
    """Raises Problem when Kafka is away."""
    try:
        return await log.bounds(fresh=fresh)
    except Fault as fault:
        raise log_away(fault) from None


def log_away(fault: Fault) -> Problem:
    """What Kafka said names our topics and users: it goes to the log alone."""
    logger.error("log_away", fault=str(fault), remedy=fault.remedy)
    return Problem(kinds.LOG_AWAY, kinds.LOG_AWAY.meaning)


async def stretches_from(log: Log, positions: Positions) -> Sequence[Stretch]:
    """What stands behind these positions, each time from another partition on: a busy one does not keep the others waiting."""
    places = list(positions)
    if not places:
        return ()
    first = next(_turns) % len(places)
    turned = places[first:] + places[:first]
    try:
        return await log.read({place: positions[place] for place in turned}, EXAMINED_MAX)
    except Fault as fault:
        raise log_away(fault) from None


def _is_ahead(positions: Mapping[Place, int], bounds: Mapping[Place, Bounds]) -> bool:
    return any(offset > bounds[place].end for place, offset in positions.items())


def _cursor_invalid() -> Problem:
    return Problem(kinds.CURSOR_INVALID, kinds.CURSOR_INVALID.meaning)
