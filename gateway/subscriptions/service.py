"""What subscribers do, apart from HTTP: keep subscriptions, read them, rehearse. Raises Problem."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final
from uuid import UUID, uuid4

from engine.clock import Clock
from engine.errors import Fault
from engine.subscriptions.notices import Notice, Position
from gateway.caller import Caller
from gateway.problems import Problem
from gateway.subscriptions import kinds, requests
from gateway.subscriptions.answers import etag
from gateway.subscriptions.backfill import Backfills
from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.log import Log
from gateway.subscriptions.metrics import NoReaderMetrics, ReaderMetrics, Way
from gateway.subscriptions.readers import Seats, Session, reader_of, refuse_unreadable
from gateway.subscriptions.reading import Page, Selection, begin, bounds_of, log_away
from gateway.subscriptions.readings import Readings
from gateway.subscriptions.rehearsal import Rehearsal, rehearse
from gateway.subscriptions.requests import RehearsalBody, StartAsked, SubscriptionBody
from gateway.subscriptions.store import Subscriptions
from schemas.registry import Registry
from schemas.subscriptions import NOBODY, Order, Start, Subscription, Withheld, begun, state_at
from schemas.subscriptions.snapshot import SEAM
from sinks.webhooks.destinations import Rules

REHEARSALS_MAX: Final = 2
WAIT_S: Final = 0.5  # how old rights and state may be when an event goes out


class SubscriptionService:
    """`log` and `subscriptions` come from the caller, who also opens and closes them. `destinations`: where webhooks may go."""

    def __init__(
        self,
        *,
        log: Log,
        subscriptions: Subscriptions,
        registry: Registry,
        clock: Clock,
        destinations: Rules | None = None,
        metrics: ReaderMetrics | None = None,
        readings: Readings | None = None,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._log = log
        self._subscriptions = subscriptions
        self._registry = registry
        self._clock = clock
        self._destinations = destinations or Rules()
        self._new_id = new_id
        self._metrics = metrics or NoReaderMetrics()
        self._readings = readings
        self._backfills = Backfills(log, subscriptions, registry.prefix)
        self._seats = Seats(self._metrics)
        self._rehearsing: set[str] = set()

    # --- keep ---

    async def create(self, body: SubscriptionBody, caller: Caller | None) -> tuple[Subscription, Positions]:
        """The new subscription, and where it begins."""
        now = self._clock.now()
        basis = requests.basis_of(body)
        self._refuse(body, caller)
        requests.refuse_past(body.expires_at, now)
        asked = requests.start_of(body.start)
        requests.refuse_start(asked, body.protocol)
        async with self._log.joined():
            topics = requests.topics_of(body.types, self._registry)
            ends = await self._ends(topics) if asked.start.at == "snapshot" else {}
            positions = await self._begin(topics, asked)
        made = _filled(
            Subscription(
                id=self._new_id(),
                owner=owner_of(caller),
                protocol=body.protocol,
                status=begun(body.protocol, "partner", now),
                created_at=now,
                changed_at=now,
                start=asked.start,
                basis=basis,
                granted=granted_to(caller),
            ),
            body,
        )
        await self._subscriptions.add(made, positions, ends)
        return made, positions

    async def find(self, subscription_id: UUID, caller: Caller | None) -> tuple[Subscription, Positions]:
        found = await self._subscriptions.find(subscription_id, owner_of(caller))
        return found, await self._subscriptions.starts(subscription_id)

    async def listed(self, caller: Caller | None, after_id: UUID | None, limit: int) -> list[Subscription]:
        return await self._subscriptions.listed(owner_of(caller), after_id, limit)

    async def replace(
        self, subscription_id: UUID, body: SubscriptionBody, if_match: str | None, caller: Caller | None
    ) -> Subscription:
        """All of it anew but its identity, protocol and start. What is added begins now."""
        now = self._clock.now()
        basis = requests.basis_of(body)
        self._refuse(body, caller)
        requests.refuse_past(body.expires_at, now)
        await self._subscriptions.find(subscription_id, owner_of(caller))
        async with self._log.joined():
            ends = await self._begin(requests.topics_of(body.types, self._registry), StartAsked(Start()))

        def change(known: Subscription) -> tuple[Subscription, Positions]:
            if if_match not in {None, "*", etag(known)}:
                raise Problem(kinds.REVISION_OUTDATED, kinds.REVISION_OUTDATED.meaning)
            requests.refuse_changed(body, known)
            changed = replace(_filled(known, body), basis=basis, granted=granted_to(caller))
            status = requests.status_after_change(known, changed, now)
            before = requests.topics_of(known.types, self._registry)
            added = {place: end for place, end in ends.items() if place.topic not in before}
            return replace(changed, status=status), added

        return await self._subscriptions.replace(subscription_id, owner_of(caller), change)

    async def remove(self, subscription_id: UUID, caller: Caller | None) -> None:
        await self._subscriptions.remove(subscription_id, owner_of(caller))
        self._backfills.forget(subscription_id)

    async def close(self) -> None:
        """End what is under way for readers, before the log is closed."""
        await self._backfills.close()

    async def pause(self, subscription_id: UUID, caller: Caller | None) -> Subscription:
        return await self._subscriptions.move(subscription_id, owner_of(caller), Order("pause", "paused", "partner"))

    async def resume(self, subscription_id: UUID, caller: Caller | None) -> Subscription:
        found = await self._subscriptions.find(subscription_id, owner_of(caller))
        if state_at(found.status, found.expires_at, self._clock.now()) == "expired":
            raise Problem(kinds.STATE_CONFLICT, kinds.STATE_CONFLICT.meaning, more={"state": "expired"})
        return await self._subscriptions.move(subscription_id, owner_of(caller), Order("resume", "resumed", "partner"))

    @property
    def prefix(self) -> str:
        """Of event types."""
        return self._registry.prefix

    async def notices(self, caller: Caller | None, position: Position, limit: int) -> list[Notice]:
        """What became of the caller's subscriptions without his doing."""
        return await self._subscriptions.notices(owner_of(caller), position, limit)

    # --- read ---

    @asynccontextmanager
    async def session(
        self, subscription_id: UUID, cursor: str | None, caller: Caller | None, ending: asyncio.Event, way: Way
    ) -> AsyncIterator[Session]:
        """A reader, with a seat for as long as it lasts."""
        found = await self._subscriptions.find(subscription_id, owner_of(caller))
        refuse_unreadable(found, self._clock)
        with self._seats.taken(found), self._subscriptions.watched(found.id):
            async with self._log.joined():
                yield Session(
                    log=self._log,
                    subscriptions=self._subscriptions,
                    clock=self._clock,
                    caller=caller,
                    subscription=found,
                    positions=await self._stand(found, cursor),
                    stand=self._stand,
                    backfills=self._backfills,
                    ending=ending,
                    way=way,
                    metrics=self._metrics,
                    readings=self._readings,
                )

    async def rehearse(self, body: RehearsalBody, caller: Caller | None) -> Rehearsal:
        basis = requests.basis_of(body)
        reader = reader_of(caller.identity if caller else None, is_stated=basis is not None)
        filters = requests.filters_of(body)
        requests.refuse_types(body, self._registry, reader)
        requests.refuse_unknown_fields(filters, body.types, self._registry)
        owner = owner_of(caller)
        if owner in self._rehearsing or len(self._rehearsing) >= REHEARSALS_MAX:
            raise Problem(kinds.REHEARSALS_TOO_MANY, kinds.REHEARSALS_TOO_MANY.meaning)
        now = self._clock.now()
        imagined = _filled(
            Subscription(self._new_id(), owner, "PULL", begun("PULL", "partner", now), now, now, basis=basis), body
        )
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        self._rehearsing.add(owner)
        try:
            async with self._log.joined():
                return await rehearse(
                    self._log,
                    Selection.of(imagined),
                    reader,
                    requests.topics_of(body.types, self._registry),
                    now,
                    body.days,
                    lambda: loop.time() - begun_s,
                )
        finally:
            self._rehearsing.discard(owner)

    def _refuse(self, body: SubscriptionBody, caller: Caller | None) -> None:
        reader = reader_of(caller.identity if caller else None, is_stated=body.purpose is not None)
        requests.refuse_missing_library(body)
        requests.refuse_destination(body, self._destinations)
        filters = requests.filters_of(body)
        requests.refuse_types(body, self._registry, reader)
        requests.refuse_unknown_fields(filters, body.types, self._registry)
        requests.refuse_unstated(body, self._registry, reader)
        requests.refuse_narrowed(body, granted_to(caller))

    async def _stand(self, subscription: Subscription, cursor: str | None) -> Positions:
        """Where a reader with this cursor stands in what the subscription selects."""
        topics = requests.topics_of(subscription.types, self._registry)
        return await begin(self._log, topics, await self._subscriptions.starts(subscription.id), cursor)

    async def _ends(self, topics: list[str]) -> Positions:
        """The position of a snapshot: of all that is acknowledged when this is asked. Raises Problem when that is too much."""
        bounds = {place: bound for place, bound in (await bounds_of(self._log, fresh=True)).items() if place.topic in topics}
        requests.refuse_large_snapshot(sum(bound.end - bound.earliest for bound in bounds.values()))
        return {place: bound.end for place, bound in bounds.items()}

    async def _begin(self, topics: list[str], asked: StartAsked) -> Positions:
        """The offset in every partition where reading begins."""
        bounds = {place: bound for place, bound in (await bounds_of(self._log, fresh=True)).items() if place.topic in topics}
        earliest = {place: bound.earliest for place, bound in bounds.items()}
        if asked.start.at == "earliest":
            return earliest
        if asked.start.at == "snapshot":
            return earliest | {SEAM: 0}
        if asked.start.instant is not None:
            try:
                return dict(await self._log.at(topics, asked.start.instant))
            except Fault as fault:
                raise log_away(fault) from None
        ends = {place: bound.end for place, bound in bounds.items()}
        requests.refuse_ahead(asked, ends)
        return ends | {place: offset for place, offset in (asked.positions or {}).items() if place in ends}


def owner_of(caller: Caller | None) -> str:
    return NOBODY if caller is None else caller.partner_id


def granted_to(caller: Caller | None) -> tuple[str, ...]:
    """The scopes of his token, where it has any of its own."""
    return () if caller is None else caller.identity.scopes


async def pulled(session: Session, limit: int, wait_s: float) -> Page:
    """The next page with something in it; an empty one when nothing passed within the time."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + wait_s
    withheld: dict[Withheld, int] = {"right": 0, "classification": 0}
    while True:
        page = await session.page(limit)
        for reason, counted in page.withheld.items():
            withheld[reason] += counted
        session.sent(page)
        left_s = end_s - loop.time()
        if page.events or left_s <= 0 or session.is_ending:
            return replace(page, withheld=withheld)
        if not page.has_more:
            await session.wait(min(left_s, WAIT_S))


def _filled(subscription: Subscription, body: Any) -> Subscription:
    """With what the body says, of the members that it has."""
    names = ("source", "filters", "sink", "protocolsettings", "config", "expires_at")
    told = {name: getattr(body, name) for name in names if hasattr(body, name)}
    return replace(subscription, types=tuple(dict.fromkeys(body.types)), **told)
