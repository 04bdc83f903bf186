"""What partners sent again: counted where the gateway answered by the first receipt, and nowhere else."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from engine.clock import FakeClock
from engine.errors import TransientFault
from gateway.console import queries
from gateway.console.scores import score_of
from gateway.counting import ADD_EVERY_S
from gateway.receipts import Receipts
from gateway.repeats import Repeats
from gateway.store import Store

BATCH = "application/cloudevents-batch+json"
Event = Callable[..., dict[str, Any]]
pytestmark = [pytest.mark.services, pytest.mark.usefixtures("institute_registered")]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))  # what is old is so by the database's clock


@pytest.fixture
def rows(database: str) -> Callable[[], list[Any]]:
    def ask() -> list[Any]:
        with psycopg.connect(database, options="-c timezone=UTC") as connection:
            return connection.execute("SELECT partner, hour, events FROM v_partner_repeat ORDER BY 1, 2").fetchall()

    return ask


class TestAtTheDoor:
    @pytest.fixture
    def counting(self, store: Store, clock: FakeClock) -> Repeats:
        return Repeats(store, clock)

    @pytest.fixture
    def post(
        self,
        serve_gateway: Any,
        fake_publisher: Any,
        directory: Any,
        memory_receipts: Any,
        counting: Repeats,
        clock: FakeClock,
    ) -> Callable[..., Any]:
        gateway = serve_gateway(
            fake_publisher, directory=directory, receipts=Receipts(memory_receipts), repeats=counting, clock=clock
        )
        token = directory.register("institute-7", "publish:gov.stiib.research.*")

        def send(body: Any, *kind: str) -> int:
            return int(gateway.post(body, *kind, authorization=f"Bearer {token}").status)

        return send

    def test_what_was_written_before_counts_by_partner_and_hour_and_in_the_scorecard(
        self, post: Any, event: Event, counting: Repeats, clock: FakeClock, rows: Any, database: str
    ) -> None:
        first, second, third = (event(id=number) for number in "123")
        assert [post(first), post(first), post([first, second, second, third], BATCH), post(event(id="4"))] == [202] * 4
        first_hour = clock.now().replace(minute=0, second=0, microsecond=0)
        clock.advance(3_600)
        assert post(third) == 202
        asyncio.run(counting.settle())
        assert rows() == [("institute-7", first_hour, 3), ("institute-7", first_hour + timedelta(hours=1), 1)]
        with psycopg.connect(database) as connection, connection.cursor() as cursor:
            assert score_of(queries.sent_again(cursor, "institute-7")).duplicates == 4

    def test_what_kafka_did_not_take_is_no_repeat_when_it_comes_again(
        self, post: Any, event: Event, fake_publisher: Any, counting: Repeats, rows: Any
    ) -> None:
        fake_publisher.every_fault = TransientFault("away")
        assert post([event(id="1"), event(id="1")], BATCH) == 503
        fake_publisher.every_fault = None
        assert post(event(id="1")) == 202
        asyncio.run(counting.settle())
        assert rows() == []


def test_gateways_add_to_the_same_row_and_what_is_old_goes(store: Store, clock: FakeClock, rows: Any, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO partner_repeat VALUES ('institute-7', now() - interval '9 days', 1)")
    first, second = Repeats(store, clock), Repeats(store, clock)
    for counting, events in ((first, 3), (second, 4), (first, 5)):
        counting.count("institute-7", events)
        counting.count("nobody", events)
        asyncio.run(counting.settle())
    assert [(partner, events) for partner, _, events in rows()] == [("institute-7", 12)]


def test_what_was_counted_last_is_added_when_the_gateway_ends(store: Store, clock: FakeClock, rows: Any) -> None:
    async def live() -> None:
        async with Repeats(store, clock) as counting:
            counting.count("institute-7", 1)

    asyncio.run(asyncio.wait_for(live(), ADD_EVERY_S / 2))
    assert [events for *_, events in rows()] == [1]
