"""What a ReceiptStore promises, of the one in memory and of the one in PostgreSQL; then what only a database can show."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from engine.clock import FakeClock
from engine.errors import TransientFault
from gateway.publisher import Acked
from gateway.receipt_store import SWEEP_S, StoredReceipts
from gateway.receipts import CLAIM_S, Blocked, Claimed, Settlement
from gateway.store import Grouped, Store

A, B, C = (letter * 32 for letter in "abc")
ONE, TWO = b"1" * 16, b"2" * 16
PLACE = Acked("research.project.event", 3, 1207)


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=pytest.mark.services)])
def receipts(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Any]:
    if request.param == "memory":
        yield request.getfixturevalue("memory_receipts")
        return
    store = Store(request.getfixturevalue("database"), "test")
    yield StoredReceipts(store, clock, kept_days=7)
    store.close()


def run(scenario: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await scenario

    return asyncio.run(main())


def won(*identities: str) -> Claimed:
    return Claimed(frozenset(identities), {})


def test_first_claim_wins_all(receipts: Any) -> None:
    assert run(receipts.claim({A: ONE, B: TWO})) == won(A, B)


def test_settled_claim_tells_its_place_and_a_key_has_none(receipts: Any) -> None:
    run(receipts.claim({A: ONE, B: TWO}))
    run(receipts.settle(Settlement({A: PLACE, B: None}, [])))
    assert run(receipts.claim({A: ONE, B: TWO, C: ONE})) == Claimed(frozenset({C}), {A: PLACE, B: None})


@pytest.mark.parametrize("is_settled", [True, False])
def test_other_content_is_a_conflict(receipts: Any, is_settled: bool) -> None:
    run(receipts.claim({A: ONE}))
    if is_settled:
        run(receipts.settle(Settlement({A: PLACE}, [])))
    assert run(receipts.claim({A: TWO})) == Blocked(A, "conflict")


def test_claim_of_another_blocks(receipts: Any) -> None:
    run(receipts.claim({A: ONE}))
    assert run(receipts.claim({A: ONE, B: ONE})) == Blocked(A, "in_flight")


def test_blocked_request_holds_nothing(receipts: Any) -> None:
    run(receipts.claim({A: ONE}))
    run(receipts.claim({B: ONE, A: TWO, C: ONE}))
    assert run(receipts.claim({B: TWO, C: TWO})) == won(B, C)


def test_what_was_given_back_is_free_at_once_for_any_content(receipts: Any) -> None:
    run(receipts.claim({A: ONE, B: ONE}))
    run(receipts.settle(Settlement({B: PLACE}, [A])))
    assert run(receipts.claim({A: TWO})) == won(A)


def test_claim_of_a_killed_gateway_is_free_after_its_time(receipts: Any, clock: FakeClock) -> None:
    run(receipts.claim({A: ONE}))
    clock.advance(CLAIM_S)
    assert run(receipts.claim({A: TWO})) == Blocked(A, "conflict")
    clock.advance(1)
    assert run(receipts.claim({A: TWO})) == won(A)


def test_of_many_at_once_one_wins(receipts: Any) -> None:
    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(receipts.claim({A: ONE, f"{number:032x}": ONE}) for number in range(100)))

    answers = run(all_at_once())
    assert answers.count(Blocked(A, "in_flight")) == 99
    assert [answer for answer in answers if isinstance(answer, Claimed)] == [won(A, f"{0:032x}")]


@pytest.mark.services
class TestStored:
    def test_old_receipts_are_forgotten_and_young_ones_kept(self, database: str, clock: FakeClock) -> None:
        store = Store(database, "test")
        receipts = StoredReceipts(store, clock, kept_days=7)
        run(receipts.claim({A: ONE}))
        run(receipts.settle(Settlement({A: PLACE}, [])))
        clock.advance(86_400)
        run(receipts.claim({B: ONE}))
        clock.advance(6 * 86_400 + SWEEP_S)
        run(receipts.settle(Settlement({B: PLACE}, [])))
        store.close()
        assert identities(database) == [B]

    def test_gateways_share_what_they_know(self, database: str, clock: FakeClock) -> None:
        stores = [Store(database, f"gateway {number}") for number in range(2)]
        one, other = (StoredReceipts(store, clock, kept_days=7) for store in stores)

        async def both(claims: Callable[[int], dict[str, bytes]]) -> list[Any]:
            calls = [gateway.claim(claims(number)) for number in range(200) for gateway in (one, other)]
            return await asyncio.gather(*calls)

        answers = run(both(lambda number: {f"{number:032x}": ONE, f"{number + 1:032x}": ONE}))
        for store in stores:
            store.close()
        winners = [identity for answer in answers if isinstance(answer, Claimed) for identity in answer.won]
        assert len(winners) == len(set(winners)) > 0
        assert identities(database) == sorted(winners)

    def test_database_that_is_away_is_a_transient_fault(self, clock: FakeClock) -> None:
        store = Store("postgresql://nobody@127.0.0.1:1/none", "test")
        with pytest.raises(TransientFault, match="PostgreSQL: "):
            run(StoredReceipts(store, clock, kept_days=7).claim({A: ONE}))
        store.close()

    def test_database_that_takes_too_long_is_given_up(self, database: str) -> None:
        store = Store(database, "test", answer_s=0.2)
        with pytest.raises(TransientFault, match=r"no answer within 0\.2 s"):
            run(store.call(lambda cursor: cursor.execute("SELECT pg_sleep(1)")))
        store.close()


def identities(database: str) -> list[str]:
    with psycopg.connect(database) as connection:
        return [row[0].hex for row in connection.execute("SELECT identity FROM receipt ORDER BY 1").fetchall()]


class TestGrouped:
    def test_what_comes_meanwhile_goes_together(self) -> None:
        groups: list[list[int]] = []

        async def scenario() -> list[int]:
            async def answer(items: Any) -> list[int]:
                groups.append(list(items))
                await asyncio.sleep(0)
                return [item * 10 for item in items]

            grouped: Grouped[int, int] = Grouped(answer, group_max=3)
            first = asyncio.create_task(grouped.call(0))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            rest = await asyncio.gather(*(grouped.call(number) for number in range(1, 6)))
            return [await first, *rest]

        assert run(scenario()) == [0, 10, 20, 30, 40, 50]
        assert groups == [[0], [1, 2, 3], [4, 5]]

    def test_fault_of_a_group_is_everybodys_and_the_next_goes_on(self) -> None:
        async def scenario() -> list[Any]:
            faults = [TransientFault("away")]

            async def answer(items: Any) -> list[int]:
                if faults:
                    raise faults.pop()
                return list(items)

            grouped: Grouped[int, int] = Grouped(answer, group_max=2)
            return await asyncio.gather(*(grouped.call(number) for number in range(3)), return_exceptions=True)

        first, second, third = run(scenario())
        assert (type(first), type(second), third) == (TransientFault, TransientFault, 2)

    def test_who_gave_up_is_not_asked_for_any_more(self) -> None:
        asked: list[int] = []

        async def scenario() -> None:
            held = asyncio.Event()

            async def answer(items: Any) -> list[int]:
                asked.extend(items)
                await held.wait()
                return list(items)

            grouped: Grouped[int, int] = Grouped(answer, group_max=1, answer_s=0.05)
            results = await asyncio.gather(grouped.call(1), grouped.call(2), return_exceptions=True)
            assert [type(result) for result in results] == [TransientFault, TransientFault]
            held.set()
            assert await grouped.call(3) == 3

        run(scenario())
        assert asked == [1, 3]
