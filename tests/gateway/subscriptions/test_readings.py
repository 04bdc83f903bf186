"""How far readers with a cursor have come: what operators see of it, though no reading depends on it."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from engine.clock import FakeClock
from engine.errors import TransientFault
from engine.subscriptions import deliveries, register
from gateway.store import Store
from gateway.subscriptions.readings import AT_ONCE_MAX, Readings
from gateway.subscriptions.service import SubscriptionService
from gateway.subscriptions.store import Subscriptions
from gateway.subscriptions.tail import SharedLog
from schemas.registry import Registry
from schemas.subscriptions import Place, Subscription, begun
from schemas.subscriptions.snapshot import SEAM
from tests.conftest import Stage
from tests.gateway.subscriptions.cast import Partner
from tests.gateway.subscriptions.memory import SUSPENDED, body_of

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
PLACE, OTHER = Place("research.call.event", 0), Place("research.project.event", 0)
Ask = Callable[..., list[Any]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def ask(database: str) -> Iterator[Ask]:
    with psycopg.connect(database, autocommit=True, options="-c timezone=UTC") as connection:
        yield lambda query, *values: connection.execute(query.encode(), values or None).fetchall()


@pytest.fixture
def subscribed(database: str) -> Callable[[], UUID]:
    """A reader's subscription that began at 4 of PLACE, whose log ends at 10; that of OTHER at 6."""

    def subscribe() -> UUID:
        made = Subscription(uuid4(), "agency", "PULL", begun("PULL", "partner", NOW), NOW, NOW)
        with psycopg.connect(database) as connection, connection.cursor() as cursor:
            register.add(cursor, made, {PLACE: 4})
            deliveries.note_ends(cursor, {PLACE: 10, OTHER: 6})
        return made.id

    return subscribe


def seen(ask: Ask, subscription: UUID) -> tuple[Any, ...]:
    query = "SELECT unread, last_read_at, reading FROM v_subscription WHERE subscription_id = %s"
    return tuple(ask(query, str(subscription))[0])


class TestAtTheGateway:
    @pytest.fixture
    def agency(
        self, serve_gateway: Any, fake_publisher: Any, directory: Any, stage: Stage, registry: Registry, readings: Readings
    ) -> Iterator[Partner]:
        store = Store(stage.dsn, "test subscriptions")
        log = SharedLog(stage.options.kafka, registry)
        service = SubscriptionService(
            log=log,
            subscriptions=Subscriptions(store, directory.clock),
            registry=registry,
            clock=directory.clock,
            readings=readings,
        )
        gateway = serve_gateway(
            fake_publisher, directory=directory, subscriptions=service, resources=[log], clock=directory.clock
        )
        yield Partner(gateway, directory.register("agency-1", "subscribe:*", "clearance:internal"))
        store.close()

    @pytest.fixture
    def readings(self, store: Store, clock: FakeClock) -> Readings:
        return Readings(store, clock)

    def test_pages_and_streams_are_seen_and_what_is_left_is_counted(
        self, agency: Partner, stage: Stage, readings: Readings, ask: Ask
    ) -> None:
        pulled = UUID(agency.subscribe(SUSPENDED).json["id"])
        streamed = UUID(agency.subscribe(SUSPENDED, protocol="SSE").json["id"])
        stage.send([body_of(f"e-{number}", subject="P-1") for number in range(10)])
        with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
            deliveries.note_ends(cursor, {Place(*place): end for place, end in stage.ends().items()})
        assert seen(ask, pulled) == (10, None, "never_read")

        page = agency.pull(str(pulled), limit=4, wait=5)
        asyncio.run(readings.settle())
        assert len(page.json["events"]) == 4
        assert seen(ask, pulled) == (6, NOW, "read")

        with agency.stream(str(streamed)) as stream:
            stage.until(lambda: len(stream.came.ids()) == 10)
        asyncio.run(readings.settle())
        assert seen(ask, streamed) == (0, NOW, "read")
        assert agency.pull_all(str(pulled), page.json["cursor"])[0] == [f"e-{number}" for number in range(4, 10)]


def test_the_later_reading_stands_whichever_gateway_writes_last(
    store: Store, clock: FakeClock, ask: Ask, subscribed: Callable[[], UUID]
) -> None:
    subscription, early, late = subscribed(), Readings(store, clock), Readings(store, clock)
    early.note(subscription, {PLACE: 5})
    clock.advance(1)
    late.note(subscription, {PLACE: 8})
    asyncio.run(late.settle())
    asyncio.run(early.settle())
    assert seen(ask, subscription) == (2, NOW + timedelta(seconds=1), "read")


def test_a_reader_that_finds_nothing_new_is_seen_and_its_place_is_not_written_again(
    store: Store, clock: FakeClock, ask: Ask, subscribed: Callable[[], UUID]
) -> None:
    subscription, readings = subscribed(), Readings(store, clock)
    readings.note(subscription, {PLACE: 10})
    asyncio.run(readings.settle())
    before = ask("SELECT ctid::text, moved_at FROM subscription_reading")
    clock.advance(60)
    readings.note(subscription, {PLACE: 10})
    asyncio.run(readings.settle())
    assert ask("SELECT ctid::text, moved_at FROM subscription_reading") == before
    assert seen(ask, subscription) == (0, NOW + timedelta(seconds=60), "read")


def test_what_is_no_longer_selected_counts_no_more_and_a_snapshot_is_no_place(
    store: Store, clock: FakeClock, ask: Ask, subscribed: Callable[[], UUID]
) -> None:
    subscription, readings = subscribed(), Readings(store, clock)
    readings.note(subscription, {PLACE: 4, OTHER: 1, SEAM: 0})
    asyncio.run(readings.settle())
    assert seen(ask, subscription)[0] == 6 + 5
    clock.advance(1)
    readings.note(subscription, {OTHER: 1})
    asyncio.run(readings.settle())
    assert seen(ask, subscription)[0] == 5
    assert ask("SELECT topic FROM subscription_reading") == [(OTHER.topic,)]


def test_no_reading_moves_where_the_subscription_began(
    store: Store, clock: FakeClock, ask: Ask, subscribed: Callable[[], UUID]
) -> None:
    """Else a reader without a cursor would begin elsewhere."""
    subscription, readings = subscribed(), Readings(store, clock)
    readings.note(subscription, {PLACE: 9, OTHER: 3})
    asyncio.run(readings.settle())
    where = "SELECT topic, start_offset, next_offset FROM subscription_position WHERE subscription_id = %s"
    assert ask(where, subscription) == [(PLACE.topic, 4, 4)]


def test_a_subscription_that_is_gone_keeps_nobody_else_from_being_seen(
    store: Store, clock: FakeClock, ask: Ask, subscribed: Callable[[], UUID]
) -> None:
    subscription, readings = subscribed(), Readings(store, clock)
    readings.note(uuid4(), {PLACE: 7})
    readings.note(subscription, {PLACE: 9})
    asyncio.run(readings.settle())
    assert seen(ask, subscription) == (1, NOW, "read")


def test_more_than_one_transaction_takes_are_all_written(store: Store, clock: FakeClock, ask: Ask, database: str) -> None:
    readings = Readings(store, clock)
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        for _ in range(AT_ONCE_MAX + 1):
            made = Subscription(uuid4(), "agency", "PULL", begun("PULL", "partner", NOW), NOW, NOW)
            register.add(cursor, made, {})
            readings.note(made.id, {PLACE: 1})
    asyncio.run(readings.settle())
    assert ask("SELECT count(*) FROM subscription_reading") == [(AT_ONCE_MAX + 1,)]


def test_a_database_that_is_away_delays_the_writing_and_nothing_else(
    store: Store, clock: FakeClock, ask: Ask, subscribed: Callable[[], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription, readings = subscribed(), Readings(store, clock)

    async def away(work: Any) -> Any:
        raise TransientFault("PostgreSQL: gone")

    readings.note(subscription, {PLACE: 5})
    with monkeypatch.context() as changed:
        changed.setattr(store, "call", away)
        asyncio.run(readings.settle())
    assert seen(ask, subscription) == (6, None, "never_read")
    asyncio.run(readings.settle())
    assert seen(ask, subscription) == (5, NOW, "read")


def test_what_was_noted_last_is_written_at_the_end(
    store: Store, clock: FakeClock, ask: Ask, subscribed: Callable[[], UUID]
) -> None:
    subscription = subscribed()

    async def run() -> None:
        async with Readings(store, clock) as readings:
            await asyncio.sleep(0)  # the first writing is over before anything is noted
            readings.note(subscription, {PLACE: 7})

    asyncio.run(run())
    assert seen(ask, subscription) == (3, NOW, "read")
