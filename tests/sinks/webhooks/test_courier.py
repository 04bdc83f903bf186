"""A courier on logs and books in memory: what it sends, in which order, how much at once, and what it writes down."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from engine.clock import SystemClock
from engine.errors import TransientFault
from engine.subscriptions.deliveries import EndpointHealth, Outstanding, Plan, Planned, Progress, Settlement
from monitoring.metrics import DeliveryMetrics
from schemas.cloudevents import CloudEvent
from schemas.filters import compile_filters
from schemas.subscriptions import Place, Reader, Subscription, begun
from schemas.topics import Classification
from sinks.webhooks import courier as module
from sinks.webhooks.courier import IN_FLIGHT_MAX, Courier, Subscriber
from sinks.webhooks.log import Chunk, HistoryGone, Record, numbered
from sinks.webhooks.schedule import Answer, Policy
from sinks.webhooks.signing import SharedSecret, verify

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PLACES = (Place("research.call.event", 0), Place("research.call.event", 1))
SECRET = SharedSecret(b"s" * 32)
OK = Answer("acknowledged", 200)
QUICK = Policy(delays_s=(0.001,), jitter=0, circuit_s=0.01, circuit_s_max=0.02, rate_per_s_min=2_000)


class MemoryLog:
    """A Log. `earliest`: what retention left."""

    def __init__(self) -> None:
        self.records: dict[Place, list[Record]] = {place: [] for place in PLACES}
        self.earliest = dict.fromkeys(PLACES, 0)
        self.version = 0
        self.fault: Exception | None = None

    @property
    def places(self) -> Collection[Place]:
        return self.records.keys()

    def write(self, key: str, event_id: str, place: Place = PLACES[0], at_ms: int = -1, **more: Any) -> None:
        event = CloudEvent(event_id, "/a", "gov.stiib.t.v1", subject=key or None, time=NOW, data={}, **more)
        self.records[place].append(Record(place, len(self.records[place]), key.encode(), at_ms, event))
        self.version += 1

    async def read(self, place: Place, offset: int, limit: int) -> Chunk:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        if offset < self.earliest[place]:
            raise HistoryGone(self.earliest[place])
        found = self.records[place][offset : offset + limit]
        return Chunk(found, offset + len(found))

    async def news(self, seen: int, timeout_s: float) -> None:
        end = asyncio.get_running_loop().time() + timeout_s
        while self.version == seen and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - tests write from anywhere
            await asyncio.sleep(0.002)

    def classification_of(self, _: Place) -> Classification:
        return "public"


class MemoryBooks:
    """DeliveryBooks: what PostgreSQL would keep."""

    def __init__(self, subscription: UUID) -> None:
        self.id = subscription
        self.last_number = 0
        self.positions = dict.fromkeys(PLACES, 0)
        self.rows: dict[int, Outstanding] = {}
        self.settled: list[Settlement] = []
        self.health: EndpointHealth | None = None
        self.withheld = 0
        self.granted: int | None = None
        self.told: list[tuple[int, int | None]] = []

    async def progress(self, _: UUID) -> Progress | None:
        health = self.health or EndpointHealth(self.id, 0, None, None)
        return Progress(self.last_number, self.granted, health, dict(self.positions))

    async def outstanding(self, _: UUID, held: Sequence[int], limit: int) -> list[Outstanding]:
        return [row for number, row in sorted(self.rows.items()) if number not in held][:limit]

    async def is_outstanding(self, _: UUID, number: int) -> bool:
        return number in self.rows

    async def plan(self, plan: Plan) -> bool:
        await asyncio.sleep(0)
        if plan.known_number != self.last_number:
            return False
        self.last_number = plan.last_number
        self.positions |= plan.positions
        self.withheld += plan.withheld_right + plan.withheld_classification
        self.rows |= {one.number: Outstanding(one, 0, 0, None, None, None) for one in plan.planned}
        return True

    def settle(self, settlement: Settlement, on_stored: Callable[[], None]) -> None:
        self.settled.append(settlement)
        if settlement.outcome != "failed":
            self.rows.pop(settlement.number, None)
        asyncio.get_running_loop().call_soon(on_stored)

    async def note_backfill(self, _: UUID, done: int, total: int | None) -> None:
        self.told.append((done, total))

    def note_health(self, health: EndpointHealth) -> None:
        self.health = health

    def of(self, outcome: str) -> list[int]:
        return [one.number for one in self.settled if one.outcome == outcome]


class Round:
    """A courier with all that it stands on, and what it posted."""

    def __init__(self, answer: Callable[[dict[str, Any]], Answer | Awaitable[Answer]] = lambda _: OK, **changes: Any) -> None:
        self.subscription = Subscription(
            uuid4(), "-", "HTTP", begun("HTTP", "partner", NOW), NOW, NOW, **({"sink": "https://a.example.org/"} | changes)
        )
        self.log = MemoryLog()
        self.books = MemoryBooks(self.subscription.id)
        self.posted: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.disabled: list[str] = []
        self.reader = Reader(None, True)
        self.fresh = True
        self.prometheus = CollectorRegistry()
        self.metrics = DeliveryMetrics(self.prometheus)
        self.in_flight = 0
        self.in_flight_most = 0
        self.policy = QUICK
        self._answer = answer
        self._keys: Counter[str] = Counter()

    async def _post(self, _: str, body: bytes, headers: dict[str, str]) -> Answer:
        event = json.loads(body)
        key = event.get("subject", event["id"])
        assert not self._keys[key], "two of one key at once"
        self._keys[key] += 1
        self.in_flight += 1
        self.in_flight_most = max(self.in_flight, self.in_flight_most)
        self.posted.append(event)
        self.headers.append(headers)
        verify([SECRET], headers, body, int(headers["webhook-timestamp"]))
        await asyncio.sleep(0)
        answered = self._answer(event)
        answer = answered if isinstance(answered, Answer) else await answered
        self.in_flight -= 1
        self._keys[key] -= 1
        return answer

    async def _disable(self, reason: str) -> None:
        self.disabled.append(reason)

    def courier(self) -> Courier:
        return Courier(
            Subscriber(self.subscription, compile_filters(list(self.subscription.filters)), (SECRET,)),
            log=self.log,
            books=self.books,
            post=self._post,
            clock=SystemClock(),
            policy=self.policy,
            metrics=self.metrics,
            reader=lambda: self.reader,
            is_fresh=lambda: self.fresh,
            disable=self._disable,
            chance=lambda: 0.5,
        )

    async def until(self, holds: Callable[[], bool], seconds_max: float = 20) -> None:
        """Run a courier until that holds."""
        running = self.courier()
        task = asyncio.create_task(running.run())
        try:
            async with asyncio.timeout(seconds_max):
                while not holds():  # noqa: ASYNC110 - anything may make it hold
                    await asyncio.sleep(0.002)
        finally:
            await running.stop(1)
            task.cancel()
            await asyncio.wait((task,))


def _ids(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["id"] for event in events]


def test_the_number_is_inside_what_is_signed_and_counts_from_one() -> None:
    made = Round()
    for index in range(3):
        made.log.write("k", f"e{index}")
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 3))
    assert [(event["id"], event["deliverynumber"]) for event in made.posted] == [("e0", "1"), ("e1", "2"), ("e2", "3")]
    assert made.headers[0]["Content-Type"] == "application/cloudevents+json; charset=utf-8"


def test_only_what_came_while_it_was_enabled_has_a_delay() -> None:
    made = Round()
    since_ms = round(NOW.timestamp() * 1000)
    for index, at_ms in enumerate((since_ms - 3_600_000, since_ms - 1, since_ms, since_ms + 1)):
        made.log.write(f"k{index}", f"e{index}", at_ms=at_ms)
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 4))
    assert made.prometheus.get_sample_value("dujiang_delivery_delay_seconds_count") == 2


def test_what_is_sent_again_has_no_delay_and_what_a_crash_left_has() -> None:
    made = Round()
    for number in (1, 2):
        made.log.write(f"k{number}", f"e{number}", at_ms=round(NOW.timestamp() * 1000))
        planned = Planned(number, PLACES[0], number - 1)
        made.books.rows[number] = Outstanding(planned, 0, 0, None, None, None, is_repeat=number == 1)
    made.books.last_number, made.books.positions[PLACES[0]] = 2, 2
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 2))
    assert made.prometheus.get_sample_value("dujiang_delivery_delay_seconds_count") == 1


def test_a_cancelled_replay_holds_nothing_of_its_keys_up() -> None:
    """The first of three is tried and fails, so its next attempt is due in half a minute."""
    made = Round(lambda event: Answer("failed", 500) if event["id"] == "e1" else OK)
    made.policy = Policy()
    for number in (1, 2, 3):
        made.log.write("k", f"e{number}")
    for number in (1, 2):
        made.books.rows[number] = Outstanding(Planned(number, PLACES[0], number - 1), 0, 0, None, None, None, is_repeat=True)
    made.books.last_number, made.books.positions[PLACES[0]] = 2, 2
    couriers = list[Courier]()

    def courier() -> Courier:
        couriers.append(Round.courier(made))
        return couriers[0]

    made.courier = courier  # type: ignore[method-assign]

    def is_over() -> bool:
        if made.books.of("failed") and made.books.rows.keys() >= {1, 2, 3}:
            del made.books.rows[1], made.books.rows[2]
            couriers[0].drop([1, 2])
        return made.books.of("acknowledged") == [3]

    asyncio.run(made.until(is_over))
    assert [event["id"] for event in made.posted] == ["e1", "e3"]
    assert couriers[0].waiting == 0


def test_what_was_dropped_in_the_books_alone_is_not_sent() -> None:
    made = Round()
    for number in (1, 2):
        made.log.write("k", f"e{number}")
    made.books.rows[1] = Outstanding(Planned(1, PLACES[0], 0), 0, 0, None, None, None, is_repeat=True)
    made.books.last_number, made.books.positions[PLACES[0]] = 1, 1
    taken_up = made.books.outstanding

    async def outstanding(subscription: UUID, held: Sequence[int], limit: int) -> list[Outstanding]:
        rows = await taken_up(subscription, held, limit)
        made.books.rows.pop(1, None)
        return rows

    made.books.outstanding = outstanding  # type: ignore[method-assign]
    asyncio.run(made.until(lambda: made.books.of("acknowledged") == [2]))
    assert [event["id"] for event in made.posted] == ["e2"]


def test_a_publisher_s_own_deliverynumber_does_not_go_out() -> None:
    made = Round()
    made.log.write("k", "e0", extensions={"deliverynumber": "999", "other": "x"})
    asyncio.run(made.until(lambda: bool(made.books.of("acknowledged"))))
    assert (made.posted[0]["deliverynumber"], made.posted[0]["other"]) == ("1", "x")


def test_numbering_keeps_the_rest_of_the_event() -> None:
    record = Record(PLACES[0], 0, b"k", 0, CloudEvent("1", "/a", "t", data={"名": 1}))
    with_number = json.loads(numbered(record.body, 7))
    assert with_number == json.loads(record.body) | {"deliverynumber": "7"}


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 1)), min_size=1, max_size=40),
    failures=st.lists(
        st.sampled_from([Answer("failed", 500), Answer("refused", 400), Answer("timeout"), Answer("unprocessable", 415)]),
        max_size=60,
    ),
)
def test_whatever_fails_each_key_keeps_its_order_and_all_are_settled(
    events: list[tuple[str, int]], failures: list[Answer]
) -> None:
    left = list(failures)
    made = Round(lambda _: left.pop() if left else OK)
    for index, (key, place) in enumerate(events):
        made.log.write(f"{key}{place}", f"{index:03}", PLACES[place])
    asyncio.run(made.until(lambda: not made.books.rows and made.books.last_number == len(events)))
    first: dict[str, list[str]] = defaultdict(list)
    for event in made.posted:
        if event["id"] not in first[event["subject"]]:
            first[event["subject"]].append(event["id"])
    assert all(ids == sorted(ids) for ids in first.values())
    done = [one for one in made.books.settled if one.outcome != "failed"]
    assert sorted(one.number for one in done) == list(range(1, len(events) + 1))
    assert len({(event["id"], event["deliverynumber"]) for event in made.posted}) == len(events)


def test_no_more_than_so_many_calls_are_under_way() -> None:
    async def slow(_: Any) -> Answer:
        await asyncio.sleep(0.02)
        return OK

    made = Round(slow)
    for index in range(100):
        made.log.write(f"k{index}", f"e{index}")
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 100))
    assert made.in_flight_most == IN_FLIGHT_MAX


def test_events_without_a_key_do_not_wait_for_each_other() -> None:
    async def hang_first(event: Any) -> Answer:
        await asyncio.sleep(0.3 if event["id"] == "e0" else 0)
        return OK

    made = Round(hang_first)
    for index in range(5):
        made.log.write("", f"e{index}")
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 4))


def test_a_restart_goes_on_with_what_was_not_settled_under_the_same_numbers_and_ids() -> None:
    made = Round(lambda _: Answer("failed", 500))
    for index in range(3):
        made.log.write("k", f"e{index}")
    asyncio.run(made.until(lambda: len(made.posted) >= 1))
    first = made.headers[0]["webhook-id"]
    made._answer = lambda _: OK
    made.books.health = None
    seen = len(made.posted)
    asyncio.run(made.until(lambda: not made.books.rows and len(made.posted) >= seen + 3))
    assert [event["deliverynumber"] for event in made.posted[-3:]] == ["1", "2", "3"]
    assert made.headers[-3]["webhook-id"] == first


def test_more_outstanding_than_are_taken_up_at_once_come_before_anything_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKEN_MAX", 2)
    made = Round()
    for index in range(7):
        made.log.write("k", f"e{index}")
    made.books.last_number = 6
    made.books.positions[PLACES[0]] = 6
    made.books.rows = {
        index + 1: Outstanding(Planned(index + 1, PLACES[0], index), 0, 0, None, None, None) for index in range(6)
    }
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 7))
    assert _ids(made.posted) == [f"e{index}" for index in range(7)]


def test_somebody_else_s_numbers_make_it_begin_anew() -> None:
    made = Round()
    made.log.write("k", "e0")

    async def overtaken() -> None:
        plan, calls = made.books.plan, 0

        async def once(asked: Plan) -> bool:
            nonlocal calls
            calls += 1
            if calls == 1:
                made.books.last_number = 5  # another deliverer, of which we know nothing
            return await plan(asked)

        made.books.plan = once  # type: ignore[method-assign]
        await made.until(lambda: bool(made.books.of("acknowledged")))

    asyncio.run(overtaken())
    assert [event["deliverynumber"] for event in made.posted] == ["6"]


def test_a_broken_log_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    made = Round()
    made.log.write("k", "e0")
    made.log.fault = TransientFault("away")
    asyncio.run(made.until(lambda: made.books.of("acknowledged") == [1]))


def test_what_retention_removed_is_a_dead_letter_and_not_silence() -> None:
    made = Round()
    for index in range(4):
        made.log.write("k", f"e{index}")
    made.log.earliest[PLACES[0]] = 3
    asyncio.run(made.until(lambda: made.books.of("acknowledged") == [2]))
    assert _ids(made.posted) == ["e3"]
    [lost] = [one for one in made.books.settled if one.outcome == "dead_lettered"]
    assert (lost.number, lost.offset, lost.reason) == (1, 0, "history_gone")


def test_what_is_not_selected_has_no_number_and_its_place_is_kept() -> None:
    made = Round(filters=[{"exact": {"subject": "b"}}])
    for index, key in enumerate("aabab"):
        made.log.write(key, f"e{index}")
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 2))
    assert [(event["id"], event["deliverynumber"]) for event in made.posted] == [("e2", "1"), ("e4", "2")]
    assert made.books.positions[PLACES[0]] == 5


def test_what_may_not_be_seen_is_counted_and_not_sent() -> None:
    made = Round()
    made.reader = Reader((("subscribe:gov.stiib.*",),), is_stated=True)
    made.log.write("k", "e0", extensions={"dataclassification": "restricted"})
    made.log.write("k", "e1")
    asyncio.run(made.until(lambda: made.books.of("acknowledged") == [1]))
    assert (_ids(made.posted), made.books.withheld) == (["e1"], 1)


@pytest.mark.parametrize(("types", "withheld"), [((), 0), (("gov.stiib.t.v1",), 2)])
def test_rows_of_others_are_withheld_and_no_filter_finds_them(types: tuple[str, ...], withheld: int) -> None:
    """Counted before the filter, so that its number does not answer for the filter; and only of types that were asked for."""
    made = Round(types=types, filters=[{"exact": {"subject": "mine"}}])
    made.reader = Reader((("subscribe:gov.stiib.*", "only:subject=mine*"),), is_stated=True)
    for index, key in enumerate(("theirs", "mine", "mine-too", "theirs")):
        made.log.write(key, f"e{index}")
    asyncio.run(made.until(lambda: made.books.of("acknowledged") == [1] and made.books.withheld == withheld))
    assert _ids(made.posted) == ["e1"]


def test_a_right_that_ends_between_attempts_withholds_the_event() -> None:
    made = Round()

    def revoked(_: Any) -> Answer:
        made.reader = Reader(((),), is_stated=True)
        return Answer("failed", 500)

    made._answer = revoked
    made.log.write("k", "e0")
    asyncio.run(made.until(lambda: made.books.of("withheld") == [1]))
    assert len(made.posted) == 1
    assert made.books.settled[-1].reason == "right_missing"


def test_nothing_is_sent_while_rights_cannot_be_read() -> None:
    made = Round()
    made.fresh = False
    made.log.write("k", "e0")

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await made.until(lambda: bool(made.posted), 0.2)

    asyncio.run(run())
    assert made.books.last_number == 1


def test_410_disables_and_keeps_the_event() -> None:
    made = Round(lambda _: Answer("gone", 410))
    for index in range(3):
        made.log.write("k", f"e{index}")
    asyncio.run(made.until(lambda: bool(made.disabled)))
    assert made.disabled == ["endpoint_gone"]
    assert len(made.posted) == 1
    assert sorted(made.books.rows) == [1, 2, 3]


def test_many_410_at_once_disable_once() -> None:
    made = Round(lambda _: Answer("gone", 410))
    for index in range(10):
        made.log.write(f"k{index}", f"e{index}")
    asyncio.run(made.until(lambda: bool(made.disabled)))
    assert made.disabled == ["endpoint_gone"]
    assert len(made.books.rows) == 10


def test_a_retry_after_outlives_a_restart() -> None:
    made = Round(lambda _: Answer("throttled", 429, 3_600))
    made.log.write("k", "e0")
    asyncio.run(made.until(lambda: made.books.health is not None))
    assert made.books.health is not None
    assert made.books.health.retry_at is not None
    assert (made.books.health.retry_at - datetime.now(UTC)).total_seconds() > 3_500

    async def again() -> None:
        made.log.write("other", "e1")
        with pytest.raises(TimeoutError):
            await made.until(lambda: len(made.posted) > 1, 0.3)

    asyncio.run(again())


def test_days_without_a_good_answer_disable() -> None:
    made = Round(lambda _: Answer("refused", 400))
    made.books.health = EndpointHealth(made.subscription.id, 1, NOW, None)  # since long
    made.log.write("k", "e0")
    asyncio.run(made.until(lambda: bool(made.disabled)))
    assert made.disabled == ["endpoint_failing"]
    assert sorted(made.books.rows) == [1]


def test_after_an_outage_all_that_waited_comes_at_once() -> None:
    """Its next attempts were hours away."""
    left = [Answer("unreachable")] * 12
    made = Round(lambda _: left.pop() if left else OK)
    made.policy = Policy(delays_s=(3_600,), jitter=0, circuit_s=0.01, circuit_s_max=0.02)
    for index in range(20):
        made.log.write(f"k{index}", f"e{index}")
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 20))


def test_a_granted_rate_is_kept_to() -> None:
    made = Round()
    made.books.granted = 60 * 50  # 50 a second
    for index in range(40):
        made.log.write(f"k{index}", f"e{index}")

    async def timed() -> float:
        begun_s = asyncio.get_running_loop().time()
        await made.until(lambda: len(made.books.of("acknowledged")) == 40)
        return asyncio.get_running_loop().time() - begun_s

    assert asyncio.run(timed()) >= 34 / 50  # the first tenth of a second may be caught up


def test_what_waits_is_bounded_and_goes_on_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING_MAX", 20)
    monkeypatch.setattr(module, "READ_MAX", 5)
    most = 0

    def count(_: Any) -> Answer:
        nonlocal most
        most = max(most, len(made.books.rows))
        return OK

    made = Round(count)
    for index in range(200):
        made.log.write("k", f"e{index:03}")
    asyncio.run(made.until(lambda: len(made.books.of("acknowledged")) == 200))
    assert _ids(made.posted) == [f"e{index:03}" for index in range(200)]
    assert most <= 20


def test_a_bug_in_sending_ends_the_courier_and_keeps_the_event() -> None:
    """Whoever runs it logs it and begins anew; a key that waits for ever would be silence."""

    def bug(_: Any) -> Answer:
        raise ZeroDivisionError

    made = Round(bug)
    made.log.write("k", "e0")

    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(5):
                await made.courier().run()

    asyncio.run(run())
    assert sorted(made.books.rows) == [1]
