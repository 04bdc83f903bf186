"""All subscriptions that are delivered to: which of them now, by which rights and secrets, and whose sink must agree first.

One deliverer works at a time; others wait for its place (an advisory lock of the database) and take over within seconds, also
from one that stands still: PostgreSQL ends a session that says nothing for PLACE_IDLE_S, and the lock with it.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from psycopg import Cursor

from engine.audit import PLATFORM, act_as
from engine.clock import Clock
from engine.database import Database
from engine.errors import Fault
from engine.locks import Number
from engine.subscriptions import callbacks, deliveries, register, secrets
from engine.subscriptions.callbacks import Consent
from engine.subscriptions.secrets import Secret
from monitoring.metrics import DeliveryMetrics
from monitoring.tracing import Spans
from schemas.registry import DEFAULT_PREFIX
from schemas.subscriptions import Order, Protocol, Reader, Subscription
from schemas.subscriptions.model import READ_EVERY_S
from sinks.webhooks.books import APPLICATION, Books
from sinks.webhooks.courier import Courier, Subscriber
from sinks.webhooks.credentials import signers_of
from sinks.webhooks.handshake import CALLBACK_PATH, Granted, Pending, Refused, new_callback_token, rate_of
from sinks.webhooks.log import KafkaLog
from sinks.webhooks.schedule import Policy
from sinks.webhooks.transport import Channel, Transport

STOP_S: Final = 5.0
FRESH_S: Final = 5.0
PLACE_IDLE_S: Final = 15  # longer than FRESH_S: who wakes up in another's place finds its rights too old to send by
HOLDER_S_MAX: Final = 5
STUMBLE_S: Final = 10.0
# An endpoint that does not consent is asked again; after the last, once no callback holds any more, it is disabled, and a
# partner's resume begins anew.
HANDSHAKE_DELAYS_S: Final = (5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0, 10_800.0, 21_600.0)
CALLBACK_H: Final = 24  # a callback's address may be used
FORGET_EVERY_S: Final = 3_600.0
NOTE_ENDS_EVERY_S: Final = 10.0
NOTE_CHARS_MAX: Final = 500

log = structlog.get_logger("webhooks")


@dataclass(frozen=True)
class Register:
    """What one look at the database found; only subscriptions that have the secrets their protocol needs."""

    subscriptions: Mapping[UUID, Subscription]
    secrets: Mapping[UUID, Sequence[Secret]]
    scopes: Mapping[str, Sequence[str]]
    redriven: Mapping[UUID, int]
    consents: Mapping[UUID, Consent]


# A secret may end without any change of the subscription.
_Version = tuple[int, tuple[int, ...]]


@dataclass
class _Running:
    courier: Courier
    channel: Channel
    version: _Version
    redriven: int
    task: "asyncio.Task[None]"
    stopping: "asyncio.Task[None] | None" = None


@dataclass
class _Asked:
    revision: int
    has_consented: bool = False  # by a callback
    times: int = 0
    due_s: float = 0.0
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def is_last(self) -> bool:
        """Whether no more than this is asked of an endpoint that has nothing to answer by."""
        return self.times >= len(HANDSHAKE_DELAYS_S)


class Deliverer:
    """Runs in the loop that made it. Everything that it stands on is the caller's to open and close.

    `transports`: the protocols that it delivers by; subscriptions of others are not its own.
    """

    def __init__(
        self,
        *,
        log: KafkaLog,
        books: Books,
        transports: Mapping[Protocol, Transport],
        place: Database,
        clock: Clock,
        metrics: DeliveryMetrics,
        policy: Policy | None = None,
        are_owners_asked: bool = True,
        trace_days: int = 30,
        spans: Spans | None = None,
        prefix: str = DEFAULT_PREFIX,
        gateway_url: str = "",
    ) -> None:
        self._log = log
        self._books = books
        self._transports = transports
        self._place = place
        self._clock = clock
        self._metrics = metrics
        self._policy = policy or Policy()
        self._are_owners_asked = are_owners_asked
        self._trace_days = trace_days
        self._spans = spans
        self._prefix = prefix
        self._gateway_url = gateway_url
        self._running: dict[UUID, _Running] = {}
        self._asked: dict[UUID, _Asked] = {}
        self._scopes: Mapping[str, Sequence[str]] = {}
        self._read_s = float("-inf")
        self._forgot_s = clock.monotonic_s()
        self._noted_ends_s = float("-inf")
        self.is_working = False  # not waiting for another's place

    @property
    def is_ready(self) -> bool:
        """Whether it sends, or waits for another's place."""
        return not self.is_working or self._is_fresh()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then deliveries under way may end within STOP_S."""
        try:
            while not stop.is_set():
                try:
                    await self._look()
                except Fault as fault:
                    log.warning("the register cannot be read; nothing is sent if that goes on", error=str(fault))
                await _until(stop, READ_EVERY_S)
        finally:
            await self._stop_all()

    async def _look(self) -> None:
        self._books.check()
        self._log.check()
        looked_s = self._clock.monotonic_s()  # before: it may stand still anywhere below
        if not await asyncio.to_thread(_has_place, self._place):
            if self.is_working:
                log.warning("another deliverer has taken over")
            self.is_working = False
            await self._stop_all()
            self._show()
            return
        if not self.is_working:
            await self._books.call(_make_way)
        self.is_working = True
        now = self._clock.now()
        found = await self._books.call(lambda cursor: _read(cursor, now, self._transports))
        self._scopes = found.scopes
        self._read_s = looked_s
        self._follow(found)
        for key, numbers in (await self._books.call(deliveries.follow_replays)).items():
            if key in self._running:
                self._running[key].courier.drop(numbers)
        self._validate(found)
        self._show()
        await self._note_ends()
        await self._forget_old()

    # --- who is delivered to ---

    def _follow(self, found: Register) -> None:
        """A changed subscription gets another courier once the old one's calls have ended; nobody else waits for that."""
        enabled = {one.id: one for one in found.subscriptions.values() if one.status.state == "enabled"}
        for key, running in self._running.items():
            subscription = enabled.get(key)
            is_current = subscription is not None and running.version == _version(subscription, found.secrets[key])
            if running.stopping is None and (not is_current or running.task.done()):
                running.stopping = asyncio.create_task(self._stop(key, running))
            elif running.redriven != found.redriven.get(key, 0):
                running.redriven = found.redriven.get(key, 0)
                running.courier.look_again()
        for key, subscription in enabled.items():
            if key not in self._running:
                self._start(subscription, found.secrets[key], found.redriven.get(key, 0))

    def _start(self, subscription: Subscription, held: Sequence[Secret], redriven: int) -> None:
        channel = self._transports[subscription.protocol].open(subscription, held)
        bearers = [one.secret.decode("ascii", "replace") for one in held if one.kind == "bearer"]
        courier = Courier(
            Subscriber(subscription, subscription.compiled(), signers_of(held), bearers[0] if bearers else None),
            log=self._log,
            books=self._books,
            post=channel.post,
            clock=self._clock,
            policy=self._policy,
            metrics=self._metrics,
            reader=partial(self._reader_of, subscription),
            is_fresh=self._is_fresh,
            disable=partial(self._disable, subscription.id),
            chance=random.random,
            spans=self._spans,
            prefix=self._prefix,
        )
        task = asyncio.create_task(courier.run())
        self._running[subscription.id] = _Running(courier, channel, _version(subscription, held), redriven, task)

    def _is_fresh(self) -> bool:
        """Rights that cannot be read are not assumed: nothing is sent by what was known FRESH_S ago."""
        return self._clock.monotonic_s() - self._read_s <= FRESH_S

    def _reader_of(self, subscription: Subscription) -> Reader:
        """By the rights of this moment, at most READ_EVERY_S old."""
        return subscription.reader(self._scopes, are_owners_asked=self._are_owners_asked)

    async def _disable(self, subscription_id: UUID, reason: Literal["endpoint_gone", "endpoint_failing"]) -> None:
        order = Order("disable", reason, "platform")

        def work(cursor: Cursor[Any]) -> None:
            act_as(cursor, PLATFORM)
            register.move(cursor, subscription_id, order, self._clock.now())

        await self._books.call(work)

    async def _stop(self, key: UUID, one: _Running) -> None:
        await one.courier.stop(STOP_S)
        one.task.cancel()
        await asyncio.wait((one.task,))
        await one.channel.close()
        if not one.task.cancelled() and (error := one.task.exception()) is not None:
            log.error("a courier stumbled and begins anew", subscription=str(key), exc_info=error)
            await asyncio.sleep(STUMBLE_S)
        del self._running[key]

    async def _stop_all(self) -> None:
        for key, running in self._running.items():
            running.stopping = running.stopping or asyncio.create_task(self._stop(key, running))
        await asyncio.gather(*(running.stopping for running in self._running.values() if running.stopping is not None))
        asking = [asked.task for asked in self._asked.values() if asked.task is not None]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        self._asked.clear()

    # --- who must consent first ---

    def _validate(self, found: Register) -> None:
        """`found` has none that lacks a secret: without one it could not refuse what is not ours, or not take what is."""
        pending = {one.id: one for one in found.subscriptions.values() if one.status.state == "pending_validation"}
        for key in [key for key, asked in self._asked.items() if key not in pending and asked.task is None]:
            del self._asked[key]
        for key, subscription in pending.items():
            asked = self._asked.get(key)
            if asked is None or (asked.revision != subscription.revision and asked.task is None):
                asked = self._asked[key] = _Asked(subscription.revision)
            consent = found.consents.get(key)
            if consent is not None and consent.revision != subscription.revision:
                consent = None
            is_news = consent is not None and not asked.has_consented
            if asked.task is None and (is_news or self._clock.monotonic_s() >= asked.due_s):
                asked.has_consented = consent is not None
                asked.task = asyncio.create_task(self._ask(subscription, found.secrets[key], asked, consent))

    async def _ask(self, subscription: Subscription, held: Sequence[Secret], asked: _Asked, consent: Consent | None) -> None:
        try:
            answer = await self._answer_of(subscription, held, asked, consent)
            await self._books.call(partial(self._note_answer, subscription, asked, answer))
        except Fault as fault:
            log.warning("an endpoint's consent could not be stored; it is asked again", error=str(fault))
        finally:
            asked.due_s = self._clock.monotonic_s() + HANDSHAKE_DELAYS_S[min(asked.times, len(HANDSHAKE_DELAYS_S) - 1)]
            asked.times += 1
            asked.task = None

    async def _answer_of(
        self, subscription: Subscription, held: Sequence[Secret], asked: _Asked, consent: Consent | None
    ) -> Granted | Pending | Refused:
        transport = self._transports[subscription.protocol]
        callback = None
        # With the last question, an address would end with the subscription and not after its time.
        if self._gateway_url and transport.takes_callbacks and consent is None and not asked.is_last:
            callback = await self._offered(subscription)
        return await transport.validate(subscription, held, consent, callback)

    async def _offered(self, subscription: Subscription) -> str:
        """An address of its own, for the endpoint to consent by."""
        rate = rate_of(subscription.config)
        token, expires_at = new_callback_token(), self._clock.now() + timedelta(hours=CALLBACK_H)
        await self._books.call(
            lambda cursor: callbacks.offer(cursor, subscription.id, subscription.revision, token, rate, expires_at)
        )
        return f"{self._gateway_url}{CALLBACK_PATH}/{token}"

    def _note_answer(
        self, subscription: Subscription, asked: _Asked, answer: Granted | Pending | Refused, cursor: Cursor[Any]
    ) -> None:
        now = self._clock.now()
        act_as(cursor, PLATFORM)
        present = register.find(cursor, subscription.id, for_update=True)
        if present is None or present.revision != subscription.revision:  # another sink meanwhile
            return
        if isinstance(answer, Pending):
            answer = Refused("callback_awaited", "the endpoint did not consent, neither at once nor by the callback")
        if isinstance(answer, Granted):
            callbacks.forget(cursor, subscription.id)
            deliveries.grant(cursor, subscription.id, answer.rate_per_minute)
            register.move(cursor, subscription.id, Order("validate", "validated", "platform"), now)
            log.info("an endpoint consented", subscription=str(subscription.id), per_minute=answer.rate_per_minute)
        else:
            log.info("an endpoint did not consent", subscription=str(subscription.id), reason=answer.reason)
            is_over = asked.is_last or answer.is_final
            note = f"{answer.reason}: {answer.message}"[:NOTE_CHARS_MAX]
            if is_over and not callbacks.holds(cursor, subscription.id, subscription.revision, now):
                register.move(cursor, subscription.id, Order("disable", "validation_failed", "platform", note), now)
            else:
                register.note(cursor, subscription.id, note)

    # --- around ---

    def _show(self) -> None:
        couriers = [one.courier for one in self._running.values()]
        self._metrics.subscriptions.set(len(couriers))
        self._metrics.waiting.set(sum(one.waiting for one in couriers))
        self._metrics.in_flight.set(sum(one.in_flight for one in couriers))
        self._metrics.circuits_open.set(sum(one.endpoint.is_open for one in couriers))

    async def _note_ends(self) -> None:
        if self._clock.monotonic_s() - self._noted_ends_s < NOTE_ENDS_EVERY_S:
            return
        ends = self._log.ends
        await self._books.call(lambda cursor: deliveries.note_ends(cursor, ends))
        self._noted_ends_s = self._clock.monotonic_s()

    async def _forget_old(self) -> None:
        if self._clock.monotonic_s() - self._forgot_s < FORGET_EVERY_S:
            return
        now = self._clock.now()
        before = now - timedelta(days=self._trace_days)
        await self._books.call(lambda cursor: secrets.empty_ended(cursor, now))
        if await self._books.call(lambda cursor: deliveries.forget_attempts(cursor, before)) < deliveries.FORGOTTEN_MAX:
            self._forgot_s = self._clock.monotonic_s()  # else the next look takes more


def _read(cursor: Cursor[Any], now: datetime, transports: Mapping[Protocol, Transport]) -> Register:
    known = {one.id: one for one in register.in_force(cursor, list(transports), now)}
    held = secrets.in_force(cursor, known, now)
    found = {key: one for key, one in known.items() if transports[one.protocol].can_deliver(held.get(key, ()))}
    scopes = register.scopes_of(cursor, {one.owner for one in found.values()})
    return Register(found, held, scopes, deliveries.redriven(cursor, found), callbacks.consents(cursor, found))


def _version(subscription: Subscription, held: Sequence[Secret]) -> _Version:
    return subscription.revision, tuple(one.version for one in held)


def _has_place(place: Database) -> bool:
    """Whether this process is the one that delivers. The lock goes with its connection, so a dead process leaves it."""
    with place.transaction() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
            " AND pid = pg_backend_pid()) OR pg_try_advisory_lock(%s), set_config('idle_session_timeout', %s, false)",
            (Number.DELIVERER, Number.DELIVERER, f"{PLACE_IDLE_S}s"),
        )
        return bool(cursor.fetchall()[0][0])


def _make_way(cursor: Cursor[Any]) -> None:
    """Who had the place before and stands still in the middle of a turn holds its rows, in a COPY without any limit.

    Once, at the take-over: a turn that is younger then, and stands still later, is left to itself.
    """
    cursor.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = %s AND pid <> pg_backend_pid() AND clock_timestamp() - xact_start > make_interval(secs => %s)",
        (APPLICATION, HOLDER_S_MAX),
    )


async def _until(stop: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await stop.wait()
    except TimeoutError:
        return
