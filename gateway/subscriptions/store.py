"""The register for coroutines: faults of the database leave as problems, and readers share one look at what has changed."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from uuid import UUID

from psycopg import Cursor

from engine.audit import act_as, by_partner
from engine.clock import Clock
from engine.subscriptions import notices, register, snapshots
from engine.subscriptions.notices import Notice, Position
from gateway.problems import Problem
from gateway.store import Store, asked
from gateway.subscriptions import kinds
from gateway.subscriptions.cursors import Positions
from schemas.subscriptions import NotAllowed, Order, Place, Subscription
from schemas.subscriptions.model import READ_EVERY_S, SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_OF_OWNER_MAX
from schemas.subscriptions.snapshot import Snapshot

A = TypeVar("A")

PAGE_MAX: Final = 100


class Subscriptions:
    """What partners keep. `owner` None is nobody's view but an operator's."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._watched: dict[UUID, int] = {}
        self._seen: dict[UUID, Subscription] = {}
        self._looked: frozenset[UUID] = frozenset()
        self._changes = 0
        self._looked_s: float | None = None
        self._looking = asyncio.Lock()

    async def add(
        self, subscription: Subscription, positions: Mapping[Place, int], snapshot_ends: Mapping[Place, int] | None = None
    ) -> None:
        """`snapshot_ends`: of one that begins with a snapshot. Raises Problem when there are too many."""

        def work(cursor: Cursor[Any]) -> bool:
            own, everyone = register.count(cursor, subscription.owner)
            if own >= SUBSCRIPTIONS_OF_OWNER_MAX or everyone >= SUBSCRIPTIONS_MAX:
                return False
            act_as(cursor, by_partner(subscription.owner))
            register.add(cursor, subscription, positions)
            snapshots.begin(cursor, subscription.id, snapshot_ends or {})
            return True

        if not await self._call(work):
            raise Problem(kinds.SUBSCRIPTIONS_TOO_MANY, kinds.SUBSCRIPTIONS_TOO_MANY.meaning)

    async def find(self, subscription_id: UUID, owner: str) -> Subscription:
        """Raises Problem when it is not the owner's."""
        return _known(await self._call(lambda cursor: register.find(cursor, subscription_id, owner)))

    async def listed(self, owner: str, after_id: UUID | None, limit: int) -> list[Subscription]:
        return await self._call(lambda cursor: register.listed(cursor, owner, after_id, limit))

    async def notices(self, owner: str, position: Position, limit: int) -> list[Notice]:
        """What became of the owner's subscriptions without his doing, behind a position."""
        return await self._call(lambda cursor: notices.after(cursor, owner, position, limit))

    async def starts(self, subscription_id: UUID) -> Positions:
        return await self._call(lambda cursor: register.starts(cursor, subscription_id))

    async def snapshot(self, subscription_id: UUID) -> Snapshot:
        """As far as it is looked through."""
        return await self._call(lambda cursor: snapshots.find(cursor, subscription_id))

    async def note_snapshot(self, subscription_id: UUID, place: Place, offsets: Sequence[int]) -> None:
        """What one partition lists; if somebody else noted it already, that stays."""
        await self._call(lambda cursor: snapshots.note(cursor, subscription_id, place, offsets))

    async def note_backfill(self, subscription_id: UUID, done: int, total: int | None) -> None:
        """How far a snapshot is read, for people."""
        await self._call(lambda cursor: snapshots.note_backfill(cursor, subscription_id, done, total))

    async def end_backfill(self, subscription_id: UUID, total: int) -> None:
        """Its watermark is sent; one that was read at once is shown, too."""

        def work(cursor: Cursor[Any]) -> None:
            snapshots.note_backfill(cursor, subscription_id, total, total)
            snapshots.end_backfill(cursor, subscription_id, "done")

        await self._call(work)

    async def replace(
        self, subscription_id: UUID, owner: str, change: Callable[[Subscription], tuple[Subscription, Positions]]
    ) -> Subscription:
        """Store what `change` makes of it, and where what is added begins. It may raise Problem.

        What stays the same keeps its revision.
        """

        def work(cursor: Cursor[Any]) -> Subscription:
            known = _known(register.find(cursor, subscription_id, owner, for_update=True))
            changed, positions = change(known)
            act_as(cursor, by_partner(owner))
            register.begin_at(cursor, subscription_id, positions)
            return known if changed == known else register.replace_with(cursor, changed, self._clock.now())

        return self._changed(await self._call(work))

    async def move(self, subscription_id: UUID, owner: str, order: Order) -> Subscription:
        """Raises Problem when the lifecycle does not allow it."""

        def work(cursor: Cursor[Any]) -> Subscription | NotAllowed | None:
            act_as(cursor, by_partner(owner))
            return register.move(cursor, subscription_id, order, self._clock.now(), owner)

        found = await self._call(work)
        if isinstance(found, NotAllowed):
            kind = kinds.HELD_BY_OPERATOR if found.reason == "held_by_operator" else kinds.STATE_CONFLICT
            raise Problem(kind, kind.meaning, more={"state": found.state})
        return self._changed(_known(found))

    async def remove(self, subscription_id: UUID, owner: str) -> None:

        def work(cursor: Cursor[Any]) -> bool:
            act_as(cursor, by_partner(owner))
            return register.remove(cursor, subscription_id, owner)

        if not await self._call(work):
            raise _unknown()
        self._forget()

    @contextmanager
    def watched(self, subscription_id: UUID) -> Iterator[None]:
        """Whoever asks `current` is inside this."""
        self._watched[subscription_id] = self._watched.get(subscription_id, 0) + 1
        try:
            yield
        finally:
            self._watched[subscription_id] -= 1
            if not self._watched[subscription_id]:
                del self._watched[subscription_id]

    async def current(self, subscription_id: UUID) -> Subscription:
        """As it is now, or was READ_EVERY_S ago; one query for all that are watched. Raises Problem once it is deleted."""
        if not self._is_fresh(subscription_id):
            async with self._looking:
                if not self._is_fresh(subscription_id):
                    await self._look()
        return _known(self._seen.get(subscription_id))

    async def _look(self) -> None:
        asked_s, changes, watched, now = _now_s(), self._changes, frozenset(self._watched), self._clock.now()

        def work(cursor: Cursor[Any]) -> list[Subscription]:
            register.expire_due(cursor, now)
            return register.found(cursor, watched)

        self._seen = {subscription.id: subscription for subscription in await self._call(work)}
        self._looked = watched
        # A change that came meanwhile may not be in it.
        self._looked_s = asked_s if changes == self._changes else None

    def _is_fresh(self, subscription_id: UUID) -> bool:
        is_young = self._looked_s is not None and _now_s() - self._looked_s < READ_EVERY_S
        return is_young and subscription_id in self._looked

    def _forget(self) -> None:
        """This gateway's own readers see a change at once."""
        self._changes += 1
        self._looked_s = None

    def _changed(self, subscription: Subscription) -> Subscription:
        self._forget()
        return subscription

    async def _call(self, work: Callable[[Cursor[Any]], A]) -> A:
        return await asked(self._store, work)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _known(found: Subscription | None) -> Subscription:
    if found is None:
        raise _unknown()
    return found


def _unknown() -> Problem:
    return Problem(kinds.SUBSCRIPTION_UNKNOWN, kinds.SUBSCRIPTION_UNKNOWN.meaning)
