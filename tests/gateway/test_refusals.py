"""What was refused of partners: counted by all gateways, lost by none that ends, and never in the way of a request."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from fastapi import APIRouter, HTTPException

from engine.clock import FakeClock
from engine.errors import TransientFault
from gateway import counting as counting_module
from gateway.catalogue import CONTRACT_BROKEN, RATE_EXCEEDED
from gateway.counting import ADD_EVERY_S
from gateway.limits import Allowance
from gateway.problems import Problem
from gateway.refusals import Refusals
from gateway.store import Store

BATCH = "application/cloudevents-batch+json"
HOUR = timedelta(hours=1)
Event = Callable[..., dict[str, Any]]
pytestmark = [pytest.mark.services, pytest.mark.usefixtures("institute_registered")]


class Away:
    """A database that is away until it is told otherwise; `meanwhile` happens while it is asked."""

    def __init__(self, store: Store) -> None:
        self.is_away = True
        self.meanwhile: Callable[[], None] = lambda: None
        self._store = store

    async def call(self, work: Callable[[Any], Any]) -> Any:
        self.meanwhile()
        if self.is_away:
            raise TransientFault("PostgreSQL: away")
        return await self._store.call(work)


class Hanging:
    """A database that never answers."""

    async def call(self, _work: Callable[[Any], Any]) -> Any:
        await asyncio.Event().wait()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))  # what is old is so by the database's clock


@pytest.fixture
def rows(database: str) -> Callable[[], list[Any]]:
    def ask() -> list[Any]:
        with psycopg.connect(database, options="-c timezone=UTC") as connection:
            return connection.execute(
                "SELECT partner, hour, problem, events FROM v_partner_refusal ORDER BY 1, 2, 3"
            ).fetchall()

    return ask


def refuse(counting: Refusals, partner_id: str = "institute-7", events: int = 1, kind: Any = CONTRACT_BROKEN) -> None:
    """A request of the partner was answered so."""
    scope = {"method": "POST", "path": "/events", "caller": SimpleNamespace(partner_id=partner_id)}
    counting.count(Problem(kind, kind.meaning, events=events), scope)


class TestAtTheDoor:
    @pytest.fixture
    def counting(self, store: Store, clock: FakeClock) -> Refusals:
        return Refusals(store, clock)

    @pytest.fixture
    def gateway(self, serve_gateway: Any, fake_publisher: Any, directory: Any, counting: Refusals, clock: FakeClock) -> Any:
        router = APIRouter()

        @router.post("/hooks/alertmanager/hall-1")
        async def hook() -> None:
            raise HTTPException(405)

        return serve_gateway(fake_publisher, directory=directory, refusals=counting, routers=[router], clock=clock)

    def test_refused_events_are_counted_by_partner_hour_and_kind(
        self, gateway: Any, directory: Any, event: Event, counting: Refusals, clock: FakeClock, rows: Any
    ) -> None:
        scopes = ("publish:gov.stiib.research.*", "call:/hooks/alertmanager/*")
        token = directory.register("institute-7", *scopes, allowance=Allowance(1, 20, 1_000_000))
        asked = {"authorization": f"Bearer {token}"}
        assert gateway.post(event(data={}), **asked).kind == "contract_broken"
        assert gateway.post(event(type="x"), **asked).kind == "type_unknown"
        assert gateway.post([event(id="1", source="/partners/x"), event(id="2")], BATCH, **asked).kind == "right_missing"
        assert gateway.post(b" " * 2_000_000, **asked).kind == "content_too_large"
        assert gateway.request("POST", "/hooks/alertmanager/hall-1", headers=asked).kind == "method_not_allowed"
        assert gateway.post([event(id=str(number)) for number in range(19)], BATCH, **asked).kind == "rate_exceeded"
        first_hour = clock.now().replace(minute=0, second=0, microsecond=0)
        clock.advance(3_600)
        assert gateway.post(event(data={}), **asked).kind == "contract_broken"
        asyncio.run(counting.settle())
        assert rows() == [
            ("institute-7", first_hour, "content_too_large", 1),
            ("institute-7", first_hour, "contract_broken", 1),
            ("institute-7", first_hour, "method_not_allowed", 1),
            ("institute-7", first_hour, "rate_exceeded", 19),
            ("institute-7", first_hour, "right_missing", 2),
            ("institute-7", first_hour, "type_unknown", 1),
            ("institute-7", first_hour + HOUR, "contract_broken", 1),
        ]

    def test_what_no_partner_brought_or_is_no_fault_of_his_is_not_counted(
        self, gateway: Any, directory: Any, fake_publisher: Any, event: Event, counting: Refusals, rows: Any
    ) -> None:
        token = directory.register("institute-7", "publish:gov.stiib.research.*")
        asked = {"authorization": f"Bearer {token}"}
        assert gateway.post(event(data={})).status == 401
        assert gateway.post(event(data={}), authorization="Bearer x").status == 401
        assert gateway.post(event(), **asked).status == 202
        assert gateway.get("/metrics", **asked).kind == "right_missing"
        fake_publisher.every_fault = TransientFault("away")
        assert gateway.post(event(), **asked).status == 503
        asyncio.run(counting.settle())
        assert rows() == []


def test_gateways_add_to_the_same_row(store: Store, clock: FakeClock, rows: Any) -> None:
    first, second = Refusals(store, clock), Refusals(store, clock)
    for counting, events in ((first, 3), (second, 4), (first, 5)):
        refuse(counting, events=events)
        asyncio.run(counting.settle())
        asyncio.run(counting.settle())
    assert [events for *_, events in rows()] == [12]


def test_database_that_is_away_costs_counts_nothing_until_it_is_back(store: Store, clock: FakeClock, rows: Any) -> None:
    away = Away(store)
    counting = Refusals(away, clock)  # type: ignore[arg-type]
    for _ in range(3):
        refuse(counting)
        asyncio.run(counting.settle())
    assert rows() == []
    away.is_away = False
    away.meanwhile = lambda: refuse(counting, kind=RATE_EXCEEDED)  # while the others are written
    asyncio.run(counting.settle())
    away.meanwhile = lambda: None
    asyncio.run(counting.settle())
    assert [(problem, events) for *_, problem, events in rows()] == [("contract_broken", 3), ("rate_exceeded", 1)]


def test_counts_that_wait_are_bounded(
    store: Store, clock: FakeClock, rows: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(counting_module, "KEYS_MAX", 2)
    away = Away(store)
    counting = Refusals(away, clock)  # type: ignore[arg-type]
    for _ in range(4):
        refuse(counting)
        refuse(counting)  # what waits already goes on
        clock.advance(3_600)
    asyncio.run(counting.settle())
    assert "left_out=4" in capsys.readouterr().out
    away.is_away = False
    asyncio.run(counting.settle())
    assert [events for *_, events in rows()] == [2, 2]


def test_partner_that_is_gone_is_left_out_and_what_is_old_goes(
    store: Store, clock: FakeClock, rows: Any, database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO partner_refusal VALUES ('institute-7', now() - interval '9 days', 'type_unknown', 1)")
    counting = Refusals(store, clock)
    refuse(counting, "nobody")
    refuse(counting)
    asyncio.run(counting.settle())
    assert [(partner, problem) for partner, _, problem, _ in rows()] == [("institute-7", "contract_broken")]


def test_what_was_counted_last_is_added_when_the_gateway_ends(store: Store, clock: FakeClock, rows: Any) -> None:
    async def live() -> None:
        async with Refusals(store, clock) as counting:
            refuse(counting)

    asyncio.run(asyncio.wait_for(live(), ADD_EVERY_S / 2))
    assert [events for *_, events in rows()] == [1]


def test_database_that_hangs_does_not_keep_a_gateway_from_ending(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting_module, "END_S", 0.1)

    async def live() -> None:
        async with Refusals(Hanging(), clock) as counting:  # type: ignore[arg-type]
            refuse(counting)

    asyncio.run(asyncio.wait_for(live(), ADD_EVERY_S))
