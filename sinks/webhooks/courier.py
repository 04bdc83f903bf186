"""One subscription's deliveries: read, number, send in order per key, settle. Each has its own, so none waits for another.

An event's next of the same key waits until it is acknowledged or a dead letter. Events of other keys go on meanwhile, up to
IN_FLIGHT_MAX at once. What is numbered and not settled is bounded; beyond that the subscription stays where it is in the log.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol
from uuid import UUID

import structlog

from engine.clock import Clock
from engine.errors import Fault
from engine.subscriptions.backfills import SnapshotBooks
from engine.subscriptions.deliveries import EndpointHealth, Outcome, Outstanding, Plan, Planned, Progress, Settlement
from monitoring.metrics import DeliveryMetrics
from monitoring.tracing import Attributes, Spans
from schemas import traceparent
from schemas.cloudevents import json_format
from schemas.filters import Filters
from schemas.registry import DEFAULT_PREFIX
from schemas.subscriptions import Place, Reader, Subscription, Withheld, classification_of
from schemas.subscriptions.snapshot import SEAM
from sinks.webhooks import schedule
from sinks.webhooks.backfill import Backfill
from sinks.webhooks.log import HistoryGone, Log, Record, numbered
from sinks.webhooks.schedule import (
    ENDPOINT_DOWN,
    Acknowledged,
    Answer,
    Dead,
    Disable,
    Endpoint,
    History,
    Policy,
    RetryAt,
)
from sinks.webhooks.signing import Signer, identified, sign, webhook_id
from sinks.webhooks.transport import CONTENT_TYPE, Post

IN_FLIGHT_MAX: Final = 32
PENDING_MAX: Final = 10_000  # a key that waits for hours must not hold up the others
PENDING_BYTES_MAX: Final = 8 * 1_048_576
PENDING_DOWN_MAX: Final = 100  # while the endpoint does not work at all
READ_MAX: Final = 250  # records a look at a partition
TAKEN_MAX: Final = 1_000  # outstanding deliveries taken up at once
LOOK_S: Final = 1.0  # for news that nobody told
JUMP_RECORDS: Final = 2_000  # farther than that, taking up a delivery reads from its own place
RETRY_S: Final = 2.0

log = structlog.get_logger("webhooks")


class DeliveryBooks(SnapshotBooks, Protocol):
    """Where numbers and outcomes are kept: `books.Books`."""

    async def progress(self, subscription_id: UUID) -> Progress | None: ...

    async def outstanding(self, subscription_id: UUID, held: Sequence[int], limit: int) -> list[Outstanding]: ...

    async def is_outstanding(self, subscription_id: UUID, number: int) -> bool: ...

    async def plan(self, plan: Plan) -> bool: ...

    def settle(self, settlement: Settlement, on_stored: Callable[[], None]) -> None: ...

    def note_health(self, health: EndpointHealth) -> None: ...


@dataclass(frozen=True)
class Subscriber:
    """A subscription in one revision, ready to be delivered to. Without `signers` only where its transport needs none."""

    subscription: Subscription
    filters: Filters
    signers: tuple[Signer, ...]
    bearer: str | None = None

    @property
    def sink(self) -> str:
        return self.subscription.sink or ""


@dataclass(slots=True)
class Item:
    """One delivery on its way. `record` is None when the log has lost it."""

    number: int
    place: Place
    offset: int
    record: Record | None
    history: History
    due: datetime
    is_endpoint_down: bool = False  # the last failure says nothing about this event
    is_repeat: bool = False  # sent again on request
    is_dropped: bool = False  # its replay was cancelled

    @property
    def lane(self) -> tuple[str, object]:
        """Its key; without one nothing is promised, so it has a lane of its own."""
        if self.record is None or not self.record.key:
            return self.place.topic, (self.place.partition, self.offset)
        return self.place.topic, self.record.key

    @property
    def size(self) -> int:
        return 0 if self.record is None else len(self.record.body)


class Courier:
    """Runs until it is cancelled or `stop`ped. `reader`: what may go out; nothing is begun while that is not `is_fresh`."""

    def __init__(
        self,
        subscriber: Subscriber,
        *,
        log: Log,
        books: DeliveryBooks,
        post: Post,
        clock: Clock,
        policy: Policy,
        metrics: DeliveryMetrics,
        reader: Callable[[], Reader],
        is_fresh: Callable[[], bool],
        disable: Callable[[Literal["endpoint_gone", "endpoint_failing"]], Awaitable[None]],
        chance: Callable[[], float] = random.random,
        spans: Spans | None = None,
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        self._subscriber = subscriber
        self._id = subscriber.subscription.id
        self._log = log
        self._books = books
        self._post = post
        self._clock = clock
        self._policy = policy
        self._metrics = metrics
        self._reader = reader
        self._is_fresh = is_fresh
        self._disable = disable
        self._chance = chance
        self._spans = spans
        self._backfill = Backfill(subscriber.subscription, log, books, prefix, self._classification)
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._is_over = False
        self._has_more = False  # rows that are not here yet; nothing new is read before, or keys would lose their order
        self._ending: asyncio.Task[None] | None = None
        self._bug: BaseException | None = None
        self.endpoint = Endpoint()
        self._forget()

    @property
    def in_flight(self) -> int:
        """Attempts under way."""
        return len(self._in_flight)

    @property
    def waiting(self) -> int:
        """Numbered and not settled."""
        return len(self._pending)

    async def run(self) -> None:
        """Deliver. A fault of log or database is waited out here; what is numbered stays."""
        while not self._is_over:
            try:
                if not await self._begin():
                    return
                await self._deliver()
            except Fault as fault:
                log.warning("deliveries wait", subscription=str(self._id), error=str(fault))
                await asyncio.sleep(RETRY_S)
        if self._ending is not None:
            await self._ending  # whoever sees the end of this may rely on the register

    def look_again(self) -> None:
        """Something is to be sent again."""
        self._has_more = True

    def drop(self, numbers: Sequence[int]) -> None:
        """Of a replay that was cancelled: nothing of its keys waits for them any more. What is under way may arrive."""
        gone = {number for number in numbers if number in self._pending and number not in self._in_flight}
        for number in self._in_flight.keys() & self._pending.keys() & set(numbers):
            self._pending[number].is_dropped = True
        self._ready[:] = [entry for entry in self._ready if entry[1] not in gone]
        for key in {self._pending[number].lane for number in gone} & self._lanes.keys():
            lane = self._lanes.pop(key)
            for item in (one for one in lane if one.number in gone):
                self._let_go(item)
            kept = deque(one for one in lane if one.number not in gone)
            if kept:
                self._lanes[key] = kept
                if kept[0] is not lane[0]:
                    self._ready.append((kept[0].due, kept[0].number, kept[0]))
        heapq.heapify(self._ready)
        self._wake.set()

    async def stop(self, grace_s: float) -> None:
        """Start nothing more; what is under way may end within `grace_s`."""
        self._is_over = True
        self._wake.set()
        if self._in_flight:
            await asyncio.wait(list(self._in_flight.values()), timeout=grace_s)
        for task in list(self._in_flight.values()):
            task.cancel()

    # --- the beginning ---

    def _forget(self) -> None:
        self._pending: dict[int, Item] = {}
        self._bytes = 0
        self._lanes: dict[tuple[str, object], deque[Item]] = {}
        self._ready: list[tuple[datetime, int, Item]] = []
        self._positions: dict[Place, int] = {}
        self._stored: dict[Place, int] = {}
        self._number = 0
        self._is_before_seam = False  # the snapshot comes first
        self._is_at_seam = False  # the watermark is numbered and not settled: the tail waits
        self._slot_s = 0.0
        self._stored_s = 0.0

    async def _begin(self) -> bool:
        """As the database has it; False: the subscription is gone."""
        if self._in_flight:  # of before: their outcomes must not meet the new state
            await asyncio.wait(list(self._in_flight.values()))
        progress = await self._books.progress(self._id)
        if progress is None:
            return False
        self._forget()
        self._number = progress.last_number
        topics = {place.topic for place in progress.positions}
        self._positions = {place: progress.positions.get(place, 0) for place in self._log.places if place.topic in topics}
        self._stored = dict(self._positions)
        self._is_before_seam = progress.positions.get(SEAM) == 0
        health = progress.health
        self.endpoint = Endpoint(
            cap_per_s=None if progress.granted_per_min is None else progress.granted_per_min / 60,
            failures=health.failures,
            failing_since=health.failing_since,
            trips=1 if health.failures >= self._policy.circuit_failures else 0,
            put_off_until=health.retry_at,
        )
        await self._take_up()
        return True

    async def _take_up(self) -> None:
        """What is numbered already: after a start, and letters driven again."""
        self._has_more = False
        rows = await self._books.outstanding(self._id, list(self._pending), TAKEN_MAX)
        self._has_more |= len(rows) == TAKEN_MAX
        rows = [row for row in rows if row.planned.number not in self._pending]
        if not rows:
            return
        records = await self._records_of(rows)
        now = self._clock.now()
        for row in rows:
            place, offset = row.planned.place, row.planned.offset
            history = History(row.attempts, row.failures, row.first_at)
            item = Item(row.planned.number, place, offset, records.get((place, offset)), history, row.retry_at or now)
            item.is_repeat = row.is_repeat
            self._add(item)
        self._wake.set()

    async def _records_of(self, rows: Sequence[Outstanding]) -> dict[tuple[Place, int], Record]:
        found: dict[tuple[Place, int], Record] = {}
        wanted: list[tuple[Place, int]] = []
        for row in rows:
            place, offset = row.planned.place, row.planned.offset
            if row.body:
                event = json_format.decode(row.body)
                found[place, offset] = Record(place, offset, (event.subject or "").encode(), -1, event)
            else:
                wanted.append((place, offset))
        if (SEAM, 0) in wanted:
            found[SEAM, 0] = await self._backfill.watermark(self._passes)
        read: tuple[Place, int] | None = None  # up to here
        for place, offset in sorted(wanted):
            if place not in self._log.places:
                continue
            at = offset if read is None or read[0] != place or offset > read[1] + JUMP_RECORDS else read[1]
            try:
                while at <= offset:
                    chunk = await self._log.read(place, at, READ_MAX)
                    found.update({(place, record.offset): record for record in chunk.records})
                    if chunk.next_offset <= at:
                        break
                    at = chunk.next_offset
            except HistoryGone as gone:
                at = max(gone.earliest, offset + 1)
            read = (place, at)
        return found

    # --- reading ---

    async def _read_on(self) -> None:
        while True:
            if self._is_before_seam or self._is_at_seam:
                # The watermark alone is no event of the snapshot.
                await self._backfill.tell(self._positions, len(self._pending) if self._is_before_seam else 0)
            if not self._has_room():
                self._room.clear()
                await _within(self._room.wait(), LOOK_S)
                continue
            if self._has_more:
                await self._take_up()
                continue
            if self._is_before_seam or self._is_at_seam:
                await self._read_snapshot()
                continue
            seen = self._log.version
            if not await self._read_round():
                await self._log.news(seen, LOOK_S)

    def _has_room(self) -> bool:
        pending_max = PENDING_DOWN_MAX if self.endpoint.is_open else PENDING_MAX - READ_MAX
        return len(self._pending) <= pending_max and self._bytes < PENDING_BYTES_MAX

    async def _read_snapshot(self) -> None:
        """What is listed, then the watermark once all that is settled, then nothing until the watermark is settled."""
        if self._is_before_seam:
            room, room_bytes = PENDING_MAX - len(self._pending), PENDING_BYTES_MAX - self._bytes
            listed = await self._backfill.read(self._positions, self._passes, room, room_bytes)
            if listed is not None:
                await self._number_all(listed.found, listed.positions, {})
                return
        self._room.clear()
        if self._is_before_seam and not self._pending:
            record = await self._backfill.watermark(self._passes)
            tail = await self._backfill.tail(self._positions, self._passes)
            await self._backfill.tell(self._positions, 0)  # what its settlement ends has begun, however short it is
            await self._number_all([(SEAM, 0, record)], tail | {SEAM: 1}, {})
            self._positions, self._is_before_seam = tail, False
            self._stored.pop(SEAM, None)  # it is no position of the tail, which would seem to have moved for ever
        elif not self._is_before_seam and all(item.place != SEAM for item in self._pending.values()):
            self._is_at_seam = False
            self._backfill.forget()
        else:
            await _within(self._room.wait(), LOOK_S)

    async def _read_round(self) -> bool:
        """One look at each partition, numbered as one plan; whether anything was read."""
        reader = self._reader()
        found: list[tuple[Place, int, Record | None]] = []
        positions = dict(self._positions)
        withheld = {"right": 0, "classification": 0}
        subscription = self._subscriber.subscription
        size = self._bytes
        for place in self._positions:
            if len(self._pending) + len(found) + READ_MAX > PENDING_MAX or size >= PENDING_BYTES_MAX:
                break
            try:
                chunk = await self._log.read(place, positions[place], READ_MAX)
            except HistoryGone as gone:
                log.error(
                    "events were removed by retention before they were read; the subscriber finds a dead letter in their place",
                    subscription=str(self._id),
                    topic=place.topic,
                    partition=place.partition,
                    first=positions[place],
                    next=gone.earliest,
                )
                found.append((place, positions[place], None))
                positions[place] = gone.earliest
                continue
            positions[place] = chunk.next_offset
            for record in chunk.records:
                if not subscription.asks_for(record.event.type):
                    continue
                reason = reader.withholds(record.event.type, self._classification(record), record.attributes)
                if reason is not None:
                    withheld[reason] += subscription.counts(reason)
                elif self._is_selected(record):
                    found.append((place, record.offset, record))
                    size += len(record.body)
        if positions == self._positions:
            if self._is_time_to_store(positions):  # the last that was passed over, so that a trace tells it from what waits
                await self._number_all([], positions, withheld)
            return False
        await self._number_all(found, positions, withheld)
        return True

    def _passes(self, record: Record) -> bool:
        return self._is_selected(record) and self._withholds(record) is None

    def _withholds(self, record: Record) -> Withheld | None:
        """The watermark says nothing but positions, so whoever is subscribed gets it."""
        if record.place == SEAM:
            return None
        return self._reader().withholds(record.event.type, self._classification(record), record.attributes)

    def _is_selected(self, record: Record) -> bool:
        event = record.event
        if not self._subscriber.subscription.selects(event.type, event.source):
            return False
        return self._subscriber.filters.passes(record.attributes, lambda: event.data)

    def _classification(self, record: Record) -> Literal["public", "internal", "restricted"]:
        return classification_of(self._log.classification_of(record.place), record.event.extensions.get("dataclassification"))

    async def _number_all(
        self, found: list[tuple[Place, int, Record | None]], positions: dict[Place, int], withheld: dict[str, int]
    ) -> None:
        planned = [Planned(self._number + 1 + index, place, offset) for index, (place, offset, _) in enumerate(found)]
        # A filter that selects little moves its position every LOOK_S, which is enough: what it passed is only looked at again.
        if planned or any(withheld.values()) or self._is_time_to_store(positions):
            moved = {place: offset for place, offset in positions.items() if offset != self._stored.get(place)}
            last = self._number + len(planned)
            plan = Plan(
                self._id, self._number, last, moved, planned, withheld.get("right", 0), withheld.get("classification", 0)
            )
            if not await self._books.plan(plan):
                raise _Overtaken(f"subscription {self._id}: somebody else numbered its deliveries, or it is gone")
            self._stored.update(moved)
            self._number = last
            self._stored_s = self._clock.monotonic_s()
        self._positions = positions
        self._metrics.withheld(sum(withheld.values()))
        now = self._clock.now()
        for (number, place, offset), (_, _, record) in zip(planned, found, strict=True):
            self._add(Item(number, place, offset, record, History(), now))
        if planned:
            self._wake.set()

    def _is_time_to_store(self, positions: dict[Place, int]) -> bool:
        return positions != self._stored and self._clock.monotonic_s() - self._stored_s >= LOOK_S

    # --- sending ---

    async def _deliver(self) -> None:
        reading = asyncio.create_task(self._read_on())
        reading.add_done_callback(lambda _: self._wake.set())
        try:
            while not self._is_over:
                self._wake.clear()
                wait_s = self._start_due()
                if reading.done():
                    reading.result()  # raises what ended it
                if self._bug is not None:
                    raise self._bug
                await _within(self._wake.wait(), wait_s)
        finally:
            reading.cancel()
            await asyncio.wait((reading,))

    def _add(self, item: Item) -> None:
        self._pending[item.number] = item
        self._is_at_seam |= item.place == SEAM
        self._bytes += item.size
        lane = self._lanes.setdefault(item.lane, deque())
        lane.append(item)
        if len(lane) == 1:
            heapq.heappush(self._ready, (item.due, item.number, item))

    def _start_due(self) -> float | None:
        """Begin what may begin; returns the seconds until more may, None: something must happen first."""
        now = self._clock.now()
        if not self._is_fresh():
            return LOOK_S
        while self._ready and len(self._in_flight) < IN_FLIGHT_MAX and not self._is_over:
            if not schedule.may_send(self.endpoint, now, len(self._in_flight)):
                until = schedule.sends_from(self.endpoint)
                return None if until is None or until <= now else (until - now).total_seconds()
            due, number, item = self._ready[0]
            if due > now and not self.endpoint.is_open:  # a probe is whatever comes next
                return (due - now).total_seconds()
            wait_s = self._wait_for_slot_s()
            if wait_s > 0:
                return wait_s
            heapq.heappop(self._ready)
            task = asyncio.create_task(self._attempt(item))
            self._in_flight[number] = task
            task.add_done_callback(lambda done, number=number: self._ended(number, done))  # type: ignore[misc]
        return None

    def _wait_for_slot_s(self) -> float:
        limit = self.endpoint.limit_per_s
        if limit is None:
            return 0.0
        now_s = self._clock.monotonic_s()
        if self._slot_s > now_s:
            return self._slot_s - now_s
        # A tenth of a second may be caught up: timers are not that exact.
        self._slot_s = max(self._slot_s, now_s - 0.1) + 1 / limit
        return 0.0

    def _ended(self, number: int, task: "asyncio.Task[None]") -> None:
        self._in_flight.pop(number, None)
        self._wake.set()
        if not task.cancelled():
            self._bug = self._bug or task.exception()

    async def _attempt(self, item: Item) -> None:
        # The books are asked as well: it may have been taken up from them while it was dropped there.
        if item.is_dropped or (item.is_repeat and not await self._books.is_outstanding(self._id, item.number)):
            self._next_of(item)
            self._let_go(item)
            return
        started_at, started_s = self._clock.now(), self._clock.monotonic_s()
        record = item.record
        if record is None:
            self._metrics.dead_letter("history_gone")
            self._settle(item, started_at, 0, "dead_lettered", "history_gone", None, message="retention removed the event")
            return
        withheld = self._withholds(record)
        if withheld is not None:
            self._metrics.withheld(1)
            self._settle(item, started_at, 0, "withheld", f"{withheld}_missing", None)
            return
        body = numbered(record.body, item.number)
        headers = self._headers(record, body, started_at)
        if self._spans is None or record.parent is None:
            answer = await self._post(self._subscriber.sink, body, headers)
        else:
            answer = await self._traced(self._spans, record.parent, item, body, headers)
        duration_s = self._clock.monotonic_s() - started_s
        self._metrics.attempt(answer.outcome, duration_s)
        self._apply(item, answer, started_at, duration_s, body)

    async def _traced(self, spans: Spans, parent: str, item: Item, body: bytes, headers: dict[str, str]) -> Answer:
        """A span for each attempt; the receiver goes on from it."""
        attributes: Attributes = {"dujiang.subscription": str(self._id), "dujiang.number": item.number}
        with spans.span("deliver", "client", parent, attributes) as span:
            if span.traceparent is not None:
                headers[traceparent.NAME] = span.traceparent
            answer = await self._post(self._subscriber.sink, body, headers)
            if answer.status is not None:
                span.set({"http.response.status_code": answer.status})
            if answer.outcome != "acknowledged":
                span.failed(answer.outcome)
            return answer

    def _headers(self, record: Record, body: bytes, now: datetime) -> dict[str, str]:
        event = record.event
        message_id = webhook_id(str(self._id), event.source, event.id)
        signers, timestamp_s = self._subscriber.signers, int(now.timestamp())
        headers = sign(signers, message_id, timestamp_s, body) if signers else identified(message_id, timestamp_s)
        headers["Content-Type"] = CONTENT_TYPE
        if self._subscriber.bearer is not None:
            headers["Authorization"] = f"Bearer {self._subscriber.bearer}"
        return headers

    def _apply(self, item: Item, answer: Answer, started_at: datetime, duration_s: float, body: bytes) -> None:
        now = self._clock.now()
        was_open, was_failing = self.endpoint.is_open, self.endpoint.failing_since
        self.endpoint = schedule.after_answer(self._policy, self.endpoint, answer, now, self._clock.monotonic_s())
        if was_failing is not None or self.endpoint.failing_since is not None:
            endpoint = self.endpoint
            until = schedule.sends_from(endpoint)
            self._books.note_health(EndpointHealth(self._id, endpoint.failures, endpoint.failing_since, until))
        if was_open and not self.endpoint.is_open:
            self._bring_forward(now)
        item.history, decision = schedule.decide(self._policy, item.history, answer, started_at, now, self._chance())
        item.is_endpoint_down = answer.outcome in ENDPOINT_DOWN and answer.retry_after_s is None
        duration_ms = round(duration_s * 1000)
        if isinstance(decision, Acknowledged):
            self._note_delay(item, now)
            self._settle(item, started_at, duration_ms, "acknowledged", None, answer.status)
        elif isinstance(decision, Dead):
            self._metrics.dead_letter(decision.reason)
            reason = answer.outcome if decision.reason == "exhausted" else decision.reason
            self._settle(item, started_at, duration_ms, "dead_lettered", reason, answer.status, body, _said(answer))
        else:
            item.due = decision.at if isinstance(decision, RetryAt) and not item.is_dropped else now
            self._settle(item, started_at, duration_ms, "failed", answer.outcome, answer.status)
            heapq.heappush(self._ready, (item.due, item.number, item))
            if isinstance(decision, Disable):
                self._give_up("endpoint_gone")
            elif schedule.is_given_up(self._policy, self.endpoint, now):
                self._give_up("endpoint_failing")

    def _note_delay(self, item: Item, now: datetime) -> None:
        """Of what came while the subscription was enabled: what it wants out of the past, or once more, is not late."""
        if item.record is None or item.record.at_ms < 0 or item.is_repeat:
            return
        at_s = item.record.at_ms / 1000
        if at_s >= self._subscriber.subscription.status.since.timestamp():
            self._metrics.delay_seconds(max(0.0, now.timestamp() - at_s))

    def _give_up(self, reason: Literal["endpoint_gone", "endpoint_failing"]) -> None:
        """Once, however many calls under way say so."""
        self._is_over = True
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(reason))

    async def _end(self, reason: Literal["endpoint_gone", "endpoint_failing"]) -> None:
        """Disabled; what is outstanding waits in the database until somebody resumes."""
        log.warning("the subscription is disabled", subscription=str(self._id), reason=reason)
        while True:
            try:
                await self._disable(reason)
                return
            except Fault as fault:
                log.warning("the subscription could not be disabled; trying again", error=str(fault))
                await asyncio.sleep(RETRY_S)

    def _bring_forward(self, now: datetime) -> None:
        """The endpoint works again: what waits only because it did not need not wait on."""
        for lane in self._lanes.values():
            head = lane[0]
            if head.is_endpoint_down and head.due > now:
                head.due = now
        self._ready = [(item.due, number, item) for _, number, item in self._ready]
        heapq.heapify(self._ready)

    def _settle(
        self,
        item: Item,
        started_at: datetime,
        duration_ms: int,
        outcome: Outcome,
        reason: str | None,
        status: int | None,
        body: bytes | None = None,
        message: str = "",
    ) -> None:
        record = item.record
        self._books.settle(
            Settlement(
                subscription_id=self._id,
                number=item.number,
                place=item.place,
                offset=item.offset,
                event_id=record.event.id if record else "",
                event_source=record.event.source if record else "",
                event_type=record.event.type if record else "",
                attempt=max(item.history.attempts, 1),
                failures=item.history.failures,
                started_at=started_at,
                first_at=item.history.first_at or started_at,
                duration_ms=duration_ms,
                outcome=outcome,
                reason=reason,
                status=status,
                retry_at=item.due if outcome == "failed" else None,
                body=(body or b"") if outcome == "dead_lettered" else None,
                message=message,
            ),
            lambda: self._is_stored(item, outcome),
        )
        if outcome != "failed":
            self._next_of(item)

    def _next_of(self, item: Item) -> None:
        lane = self._lanes[item.lane]
        lane.popleft()
        if not lane:
            del self._lanes[item.lane]
        else:
            head = lane[0]
            heapq.heappush(self._ready, (head.due, head.number, head))

    def _is_stored(self, item: Item, outcome: Outcome) -> None:
        """Only now it leaves the count, so that what a crash would repeat stays bounded."""
        if outcome != "failed" and self._pending.get(item.number) is item:
            self._let_go(item)

    def _let_go(self, item: Item) -> None:
        del self._pending[item.number]
        self._bytes -= item.size
        self._room.set()


class _Overtaken(Fault):
    """The database knows better: begin anew from it."""


def _said(answer: Answer) -> str:
    status = "" if answer.status is None else f"HTTP {answer.status}, "
    return f"{status}{answer.outcome}" + (f": {answer.detail}" if answer.detail else "")


async def _within(waited: Awaitable[object], timeout_s: float | None) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await waited
    except TimeoutError:
        return
