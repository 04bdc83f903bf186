"""When partners were last heard of: for all gateways, across restarts, and never in the way of a publisher."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from engine.clock import FakeClock
from engine.errors import TransientFault
from gateway import partners
from gateway.console.queries import kept_partners
from gateway.hearing import GRACE, WRITE_EVERY_S, Hearing
from gateway.identity import Partner
from gateway.limits import Allowance
from gateway.partners import PartnerRefused
from gateway.store import Store
from monitoring.metrics import GatewayMetrics

HOUR = timedelta(hours=1)
# The moment of a promise is the database's.
NOW = datetime.now(UTC).replace(microsecond=0) + HOUR
HEARD, PROMISED = "dujiang_partner_heard_timestamp_seconds", "dujiang_partner_promised_seconds"


class Gateway:
    """What one gateway heard, and what it tells Prometheus."""

    def __init__(self, store: Any, clock: FakeClock) -> None:
        self.figures = CollectorRegistry()
        self.hearing = Hearing(store, clock, GatewayMetrics(self.figures))

    def says(self, name: str) -> dict[str, float]:
        """Partner to value."""
        return {
            sample.labels["partner"]: sample.value
            for family in self.figures.collect()
            for sample in family.samples
            if sample.name == name
        }


class Away:
    """A database that is away until it is told otherwise."""

    def __init__(self, store: Store) -> None:
        self.is_away = True
        self._store = store

    async def call(self, work: Callable[[Any], Any]) -> Any:
        if self.is_away:
            raise TransientFault("PostgreSQL: away")
        return await self._store.call(work)


class Begun:
    """A database that says when it has answered for the first time."""

    def __init__(self, store: Store) -> None:
        self.answered = asyncio.Event()
        self._store = store

    async def call(self, work: Callable[[Any], Any]) -> Any:
        found = await self._store.call(work)
        self.answered.set()
        return found


@pytest.mark.parametrize("every", [timedelta(seconds=59), timedelta(days=367)])
def test_rhythm_that_nobody_could_watch_is_refused(every: timedelta) -> None:
    cursor: Any = None
    with pytest.raises(PartnerRefused, match="a rhythm is from 1 minute to 366 days"):
        partners.put(cursor, _partner("a"), "A", "me", replace=False, every=every)


def _partner(partner_id: str) -> Partner:
    return Partner(partner_id, ("publish:*",), (f"/partners/{partner_id}",), Allowance(100, 5_000, 1_000_000))


@pytest.mark.services
class TestOnServices:
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock(NOW)

    @pytest.fixture
    def rows(self, database: str) -> Callable[..., list[Any]]:
        def ask(query: str) -> list[Any]:
            with psycopg.connect(database, options="-c timezone=UTC") as connection:
                return connection.execute(query).fetchall()

        return ask

    @pytest.fixture
    def register(self, database: str) -> Callable[..., None]:
        def put(partner_id: str, every: timedelta | None = HOUR) -> None:
            with psycopg.connect(database) as connection, connection.cursor() as cursor:
                partners.put(cursor, _partner(partner_id), partner_id, "clerk", replace=True, every=every)

        return put

    def test_word_of_a_partner_reaches_every_gateway_and_those_to_come(
        self, store: Store, clock: FakeClock, register: Any
    ) -> None:
        register("institute-7")
        register("quiet", None)
        first, second, restarted = (Gateway(store, clock) for _ in range(3))
        first.hearing.hear("quiet")
        first.hearing.hear("institute-7")
        _run(first.hearing.settle())
        _run(second.hearing.settle())
        _run(restarted.hearing.settle())
        for gateway in (first, second, restarted):
            assert gateway.says(HEARD) == {"institute-7": NOW.timestamp()}
            assert gateway.says(PROMISED) == {"institute-7": 3_600}

    def test_latest_word_counts_whoever_writes_it_last(self, store: Store, clock: FakeClock, register: Any) -> None:
        register("institute-7")
        slow, quick = Gateway(store, clock), Gateway(store, clock)
        slow.hearing.hear("institute-7")
        clock.advance(60)
        quick.hearing.hear("institute-7")
        _run(quick.hearing.settle())
        _run(slow.hearing.settle())
        assert slow.says(HEARD) == {"institute-7": NOW.timestamp() + 60}

    def test_partner_never_heard_of_counts_from_its_promise(
        self, store: Store, clock: FakeClock, register: Any, rows: Any
    ) -> None:
        register("institute-7")
        gateway = Gateway(store, clock)
        _run(gateway.hearing.settle())
        ((promised_at,),) = rows("SELECT promised_at FROM partner")
        assert gateway.says(HEARD) == {"institute-7": promised_at.timestamp()}

    def test_promise_goes_on_when_a_right_is_changed_and_begins_anew_when_it_is(self, register: Any, rows: Any) -> None:
        def promise() -> Any:
            return rows("SELECT promised_s, promised_at FROM partner")[0]

        register("institute-7")
        made = promise()
        register("institute-7")
        assert promise() == made
        register("institute-7", 2 * HOUR)
        other = promise()
        assert (made[0], other[0]) == (3_600, 7_200)
        assert other[1] > made[1]
        register("institute-7", None)
        assert promise() == (None, None)

    def test_who_promises_nothing_any_more_or_is_gone_loses_its_series(
        self, store: Store, clock: FakeClock, register: Any, database: str
    ) -> None:
        for partner_id in ("stays", "ends", "goes"):
            register(partner_id)
        gateway = Gateway(store, clock)
        gateway.hearing.hear("goes")
        _run(gateway.hearing.settle())
        assert gateway.says(PROMISED).keys() == {"stays", "ends", "goes"}
        register("ends", None)
        with psycopg.connect(database) as connection:
            connection.execute("DELETE FROM partner WHERE partner_id = 'goes'")
        gateway.hearing.hear("goes")
        _run(gateway.hearing.settle())
        assert gateway.says(PROMISED).keys() == gateway.says(HEARD).keys() == {"stays"}

    def test_database_that_is_away_delays_the_word_and_loses_none(self, store: Store, clock: FakeClock, register: Any) -> None:
        register("institute-7")
        register("works-2")
        away = Away(store)
        gateway = Gateway(away, clock)
        gateway.hearing.hear("institute-7")
        gateway.hearing.hear("works-2")
        _run(gateway.hearing.settle())
        clock.advance(60)
        gateway.hearing.hear("works-2")
        _run(gateway.hearing.settle())
        assert gateway.says(HEARD) == {}
        away.is_away = False
        _run(gateway.hearing.settle())
        assert gateway.says(HEARD) == {"institute-7": NOW.timestamp(), "works-2": NOW.timestamp() + 60}

    def test_what_was_heard_last_is_written_when_the_gateway_ends(
        self, store: Store, clock: FakeClock, register: Any, rows: Any
    ) -> None:
        register("institute-7")

        async def live() -> None:
            begun = Begun(store)
            hearing = Gateway(begun, clock).hearing
            async with hearing:
                await begun.answered.wait()  # the first figures are there at once, the next after WRITE_EVERY_S
                hearing.hear("institute-7")

        _run(asyncio.wait_for(live(), WRITE_EVERY_S / 2))
        assert rows("SELECT partner_id, heard_at FROM partner_heard") == [("institute-7", NOW)]

    def test_log_of_changes_has_the_promise_and_no_sign_of_life(
        self, store: Store, clock: FakeClock, register: Any, rows: Any
    ) -> None:
        register("institute-7")
        gateway = Gateway(store, clock)
        gateway.hearing.hear("institute-7")
        _run(gateway.hearing.settle())
        assert rows("SELECT thing, verb, after -> 'promised_s' FROM audit_entry") == [("partner", "created", 3_600)]

    @pytest.mark.parametrize(("silent", "is_silent"), [(GRACE * HOUR - HOUR / 60, False), (GRACE * HOUR + HOUR / 60, True)])
    def test_console_shows_who_is_silent_for_longer_than_promised(
        self, database: str, register: Any, silent: timedelta, is_silent: bool
    ) -> None:
        for partner_id, every in (("heard", HOUR), ("new", HOUR), ("quiet", None)):
            register(partner_id, every)
        with psycopg.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE partner SET promised_at = now() - interval '1 day' WHERE partner_id = 'heard'")
            cursor.execute("INSERT INTO partner_heard SELECT unnest('{heard,quiet}'::text[]), now() - %s", (silent,))
            found = {row.partner_id: (row.promised_s, row.is_silent) for row in kept_partners(cursor)}
        assert found == {"heard": (3_600, is_silent), "new": (3_600, False), "quiet": (None, False)}


def _run(work: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(work)
