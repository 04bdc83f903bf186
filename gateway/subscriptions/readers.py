"""Who reads now: seats are counted, and each reader is a session that judges by what holds at this moment."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar
from uuid import UUID

from engine.clock import Clock
from engine.errors import Fault
from gateway.caller import Caller
from gateway.identity import Identity, token_invalid
from gateway.problems import Problem
from gateway.store import store_away
from gateway.subscriptions import cursors, kinds
from gateway.subscriptions.backfill import Backfills
from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.log import Log
from gateway.subscriptions.metrics import ReaderMetrics, Way
from gateway.subscriptions.reading import Page, Selection, next_page
from gateway.subscriptions.readings import Readings
from gateway.subscriptions.store import Subscriptions
from schemas.subscriptions import Reader, Subscription, state_at
from schemas.subscriptions.snapshot import SEAM, Snapshot

OF_SUBSCRIPTION_MAX: Final = 2
OF_OWNER_MAX: Final = 20
OF_GATEWAY_MAX: Final = 500
K = TypeVar("K")

READABLE: Final = frozenset(("PULL", "SSE"))


class Seats:
    """How many read at once."""

    def __init__(self, metrics: ReaderMetrics) -> None:
        self._metrics = metrics
        self._subscriptions: Counter[UUID] = Counter()
        self._owners: Counter[str] = Counter()

    @contextmanager
    def taken(self, subscription: Subscription) -> Iterator[None]:
        """Raises Problem when all are taken."""
        if (
            self._subscriptions[subscription.id] >= OF_SUBSCRIPTION_MAX
            or self._owners[subscription.owner] >= OF_OWNER_MAX
            or self._owners.total() >= OF_GATEWAY_MAX
        ):
            raise Problem(kinds.READERS_TOO_MANY, kinds.READERS_TOO_MANY.meaning)
        self._subscriptions[subscription.id] += 1
        self._owners[subscription.owner] += 1
        self._metrics.reading(self._owners.total())
        try:
            yield
        finally:
            _give_back(self._subscriptions, subscription.id)
            _give_back(self._owners, subscription.owner)
            self._metrics.reading(self._owners.total())


class Session:
    """One reader of one subscription. `positions` is where it stands; each page is judged by state and rights of now."""

    def __init__(
        self,
        *,
        log: Log,
        subscriptions: Subscriptions,
        clock: Clock,
        caller: Caller | None,
        subscription: Subscription,
        positions: Positions,
        stand: Callable[[Subscription, str | None], Awaitable[Positions]],
        backfills: Backfills,
        ending: asyncio.Event,
        way: Way,
        metrics: ReaderMetrics,
        readings: Readings | None,
    ) -> None:
        self.positions = positions
        self._log = log
        self._subscriptions = subscriptions
        self._clock = clock
        self._caller = caller
        self._selection = Selection.of(subscription)
        self._stand = stand
        self._backfills = backfills
        self._snapshot: Snapshot | None = None
        self._ending = ending
        self._way = way
        self._metrics = metrics
        self._readings = readings

    @property
    def is_ending(self) -> bool:
        """The gateway ends; whoever waits or lasts answers with what he has."""
        return self._ending.is_set()

    async def page(self, limit: int) -> Page:
        """What is there now; `sent` moves on behind it. Raises Problem."""
        subscription = await self._subscriptions.current(self._selection.subscription.id)
        refuse_unreadable(subscription, self._clock)
        if subscription.revision != self._selection.subscription.revision:
            # Its types may flow through other topics now.
            self.positions = await self._stand(subscription, cursors.encode(self.positions))
            self._selection = Selection.of(subscription)
        reader = reader_of(await self._identity(), is_stated=subscription.basis is not None)
        if SEAM in self.positions:
            return await self._snapshot_page(reader, limit)
        self._snapshot = None  # a stream may last for days
        return await next_page(self._log, self._selection, reader, self.positions, limit)

    async def _snapshot_page(self, reader: Reader, limit: int) -> Page:
        """Of what comes before the tail; an empty one while that is looked through."""
        self._snapshot = self._snapshot or await self._backfills.of(self._selection, reader)
        if self._snapshot is None:
            return Page(self.positions, has_more=True)
        if self.positions[SEAM]:  # the cursor of the watermark itself
            tail = self._snapshot.tail(self.positions)
            return await next_page(self._log, self._selection, reader, tail, limit)
        return await self._backfills.page(self._selection, reader, self._snapshot, self.positions, limit)

    def sent(self, page: Page) -> None:
        """The page is on its way: the next one begins behind it."""
        self.positions = page.positions
        if self._readings is not None:
            self._readings.note(self._selection.subscription.id, page.positions)
        self._metrics.delivered(self._way, len(page.events))
        for reason, count in page.withheld.items():
            self._metrics.withheld(reason, count)

    async def wait(self, seconds: float) -> None:
        """Until something may have come, or the gateway ends; at most so long."""
        ending = asyncio.ensure_future(self._ending.wait())
        moved = asyncio.ensure_future(self._log.moved(seconds))
        try:
            await asyncio.wait((ending, moved), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            moved.cancel()

    async def _identity(self) -> Identity | None:
        if self._caller is None:
            return None
        try:
            identity = await self._caller.renewed()
        except Fault as fault:
            raise store_away(fault) from None
        if identity is None:
            raise token_invalid()
        return identity


def reader_of(identity: Identity | None, *, is_stated: bool) -> Reader:
    """None where nobody is asked who he is."""
    return Reader(None if identity is None else identity.all_scopes, is_stated)


def refuse_unreadable(subscription: Subscription, clock: Clock) -> None:
    """Raises Problem."""
    if subscription.protocol not in READABLE:
        raise Problem(kinds.PROTOCOL_MISMATCH, kinds.PROTOCOL_MISMATCH.meaning)
    state = state_at(subscription.status, subscription.expires_at, clock.now())
    if state != "enabled":
        reason = "expired" if state == "expired" else subscription.status.reason
        raise Problem(kinds.NOT_ENABLED, kinds.NOT_ENABLED.meaning, more={"state": state, "state_reason": reason})


def _give_back(seats: Counter[K], key: K) -> None:
    seats[key] -= 1
    if not seats[key]:
        del seats[key]
