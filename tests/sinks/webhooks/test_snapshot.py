"""Webhooks of a subscription that begins with a snapshot: latest state, watermark, tail, under numbers without gaps."""

import asyncio
import itertools
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dujiang.settings import Kafka
from dujiang.topics import connected
from engine.errors import TransientFault
from engine.subscriptions import backfills, register, snapshots
from engine.subscriptions.deliveries import Plan
from schemas.subscriptions import Place
from schemas.subscriptions.snapshot import SEAM, Snapshot
from schemas.topics import TOPICS
from sinks.webhooks import backfill, courier
from sinks.webhooks.backfill import Backfill
from sinks.webhooks.log import Record
from sinks.webhooks.schedule import Answer
from tests.sinks.webhooks.conftest import ANNOUNCED, Post
from tests.sinks.webhooks.test_courier import OK, PLACES, Round

COMPLETED = "gov.stiib.platform.snapshot.completed.v1"


class SnapshotRound(Round):
    """A courier whose subscription begins with a snapshot of what was written before `fix`."""

    def fix(self) -> None:
        self.ends = {place: len(self.log.records[place]) for place in PLACES}
        self.listed: dict[Place, Sequence[int]] = {}
        self.books.positions[SEAM] = 0
        self.books.snapshot = self._snapshot  # type: ignore[method-assign]
        self.books.note_snapshot = self._note  # type: ignore[method-assign]

    async def _snapshot(self, _: UUID) -> Snapshot:
        return Snapshot(self.ends, dict(self.listed))

    async def _note(self, _: UUID, place: Place, offsets: Sequence[int]) -> None:
        self.listed.setdefault(place, offsets)

    def first_posted(self) -> list[dict[str, Any]]:
        first: dict[str, dict[str, Any]] = {}
        for event in self.posted:
            first.setdefault(event["id"], event)
        return list(first.values())


written = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1)), max_size=20)


@settings(max_examples=50, deadline=None)
@given(
    before=written,
    during=written,
    failures=st.lists(st.sampled_from([Answer("failed", 500), Answer("timeout"), Answer("unprocessable", 415)]), max_size=10),
    kills=st.lists(st.integers(1, 10), max_size=3),
)
def test_whatever_fails_or_is_killed_the_watermark_parts_latest_states_from_the_tail(
    before: list[tuple[str, int]], during: list[tuple[str, int]], failures: list[Answer], kills: list[int]
) -> None:
    left = list(failures)
    made = SnapshotRound(lambda _: left.pop() if left else OK)
    for index, (key, place) in enumerate(before):
        made.log.write(f"{key}{place}", f"b{index:03}", PLACES[place])
    made.fix()
    for index, (key, place) in enumerate(during):
        made.log.write(f"{key}{place}", f"d{index:03}", PLACES[place])
    states = {f"{key}{place}": f"b{index:03}" for index, (key, place) in enumerate(before)}
    total = len(states) + 1 + len(during)

    async def run() -> None:
        for kill in kills:
            await made.until(lambda kill=kill: len(made.posted) >= kill or made.books.last_number == total)  # type: ignore[misc]
        await made.until(lambda: made.books.last_number == total and not made.books.rows)

    asyncio.run(run())
    events = made.first_posted()
    seam = [event["type"] for event in events].index(COMPLETED)
    assert sorted(event["id"] for event in events[:seam]) == sorted(states.values())
    assert sorted(event["id"] for event in events[seam + 1 :]) == [f"d{index:03}" for index in range(len(during))]
    assert sorted(int(event["deliverynumber"]) for event in events) == list(range(1, total + 1))
    assert int(events[seam]["deliverynumber"]) == len(states) + 1
    assert len({(event["id"], event["deliverynumber"]) for event in made.posted}) == total


def test_the_watermark_waits_for_what_is_not_acknowledged_and_the_tail_for_the_watermark() -> None:
    held = {"b000", COMPLETED}
    made = SnapshotRound(lambda event: Answer("failed", 500) if held & {event["id"], event["type"]} else OK)
    made.log.write("a", "b000")
    made.log.write("b", "b001")
    made.fix()
    made.log.write("c", "d000")

    async def run() -> None:
        for count, released in ((4, "b000"), (8, COMPLETED)):
            await made.until(lambda count=count: len(made.posted) >= count)  # type: ignore[misc]
            made.books.health = None
            assert released in {event["id"] for event in made.posted} | {event["type"] for event in made.posted}
            assert "d000" not in {event["id"] for event in made.posted}
            held.discard(released)
        await made.until(lambda: made.books.last_number == 4 and not made.books.rows)

    asyncio.run(run())
    assert [event["id"] for event in made.first_posted()][-1] == "d000"


def test_a_watermark_that_was_given_up_can_be_sent_again_and_holds_nothing_up() -> None:
    made = SnapshotRound(lambda event: Answer("unprocessable", 415) if event["type"] == COMPLETED else OK)
    made.log.write("a", "b000")
    made.fix()
    made.log.write("a", "d000")
    asyncio.run(made.until(lambda: len(made.books.settled) == 3))
    [letter] = [one for one in made.books.settled if one.outcome == "dead_lettered"]
    assert (letter.place, letter.event_type) == (SEAM, COMPLETED)
    assert json.loads(letter.body or b"")["data"] == {
        "positions": {"research.call.event": {"0": 1, "1": 0}},
        "events": 1,
    }


# --- what a list may not outlive, and what a look may not cost ---


def _backfill(made: SnapshotRound) -> Backfill:
    return Backfill(made.subscription, made.log, made.books, "gov.stiib", lambda _: "public")


def _all(_: Record) -> bool:
    return True


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_log_that_is_shorter_than_its_snapshot_is_a_fault_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, is_listed: bool
) -> None:
    monkeypatch.setattr(backfill, "LAG_S_MAX", 0.05)
    monkeypatch.setattr(backfill, "WAIT_S", 0.01)
    made = SnapshotRound()
    made.log.write("a", "b000")
    made.fix()
    made.ends[PLACES[0]] = 3
    if is_listed:
        made.listed = {PLACES[0]: [0, 2], PLACES[1]: []}
    looking = _backfill(made)

    async def read() -> None:
        positions = dict.fromkeys(PLACES, 0)
        for _ in range(1_000):
            listed = await looking.read(positions, _all, 1_000, 1_000)
            assert listed is not None
            positions = listed.positions

    with pytest.raises(TransientFault, match="ends at @"):
        asyncio.run(read())
    assert is_listed or not made.listed.get(PLACES[0])


def test_what_a_narrowed_subscription_no_longer_selects_is_not_sent_though_it_is_listed() -> None:
    made = SnapshotRound(filters=[{"exact": {"id": "b001"}}])
    made.log.write("a", "b000")
    made.log.write("b", "b001")
    made.fix()
    made.listed = {PLACES[0]: [0, 1], PLACES[1]: []}
    asyncio.run(made.until(lambda: any(event["type"] == COMPLETED for event in made.posted)))
    assert [event["id"] for event in made.posted if event["type"] != COMPLETED] == ["b001"]


def test_a_look_takes_no_further_partition_once_it_has_the_bytes() -> None:
    made = SnapshotRound()
    for place in PLACES:
        made.log.write("a", f"b{place.partition}", place)
    made.fix()
    looking = _backfill(made)

    async def read(room_bytes: int) -> list[Place]:
        listed = await looking.read(dict.fromkeys(PLACES, 0), _all, 1_000, room_bytes)
        assert listed is not None
        return [place for place, _, _ in listed.found]

    assert [asyncio.run(read(room_bytes)) for room_bytes in (1, 100_000)] == [[PLACES[0]], list(PLACES)]


def test_behind_the_watermark_nothing_is_written_that_has_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "LOOK_S", 0.01)
    made = SnapshotRound()
    made.log.write("a", "b000")
    made.fix()
    plans: list[Plan] = []
    plan = made.books.plan

    async def counted(one: Plan) -> bool:
        plans.append(one)
        return await plan(one)

    made.books.plan = counted  # type: ignore[method-assign]

    def is_quiet() -> bool:
        return made.books.positions[SEAM] == 1 and not made.books.rows

    async def quiet() -> None:
        since: list[float] = []

        def holds() -> bool:
            if is_quiet():
                since.append(asyncio.get_running_loop().time())
            return bool(since) and since[-1] - since[0] > 0.2

        await made.until(holds)

    asyncio.run(quiet())
    assert len(plans) <= 4


def test_what_retention_took_from_a_snapshot_is_told_with_its_number() -> None:
    made = SnapshotRound()
    for index in range(5):
        made.log.write(f"k{index}", f"b{index}")
    made.fix()
    made.listed = {PLACES[0]: [0, 1, 2, 4], PLACES[1]: []}
    made.log.earliest[PLACES[0]] = 3
    looking = _backfill(made)
    with capture_logs() as said:
        listed = asyncio.run(looking.read(dict.fromkeys(PLACES, 0), _all, 1_000, 1_000))
    assert listed is not None
    assert (listed.found, listed.positions[PLACES[0]]) == ([(PLACES[0], 0, None)], 3)
    assert [(one["first"], one["next"], one["events"]) for one in said] == [(0, 3, 3)]


# --- on a real Kafka and PostgreSQL ---


def _subscribe(post: Post, address: tuple[str, bytes], ends: Mapping[Place, int]) -> UUID:
    # Of this type alone: state topics, which cannot be emptied, hold what other tests left.
    subscription = post.subscribe(*address, types=(ANNOUNCED,))
    with psycopg.connect(post.stage.dsn) as connection, connection.cursor() as cursor:
        register.begin_at(cursor, subscription, dict.fromkeys(ends, 0) | {SEAM: 0})
        snapshots.begin(cursor, subscription, ends)
    return subscription


@pytest.mark.services
def test_a_deliverer_killed_in_the_middle_goes_on_without_a_gap(post: Post) -> None:
    calls, killed = itertools.count(1), Event()
    # Nothing is answered after the 60th until the process is dead: so it dies in the middle, however slow this machine.
    endpoint = post.endpoint(lambda _: 200 if next(calls) <= 60 or killed.wait(60) else 500)
    old = post.publish(600, keys=200)
    with connected(post.stage.bootstrap, Kafka()) as broker:
        ends = {Place(*place): end for place, end in broker.ends(TOPICS).items()}
    subscription = _subscribe(post, endpoint.address, ends)
    process = post.deliverer()
    # Where topics were used and emptied before, it has to learn of each partition that nothing is left.
    post.until(lambda: len(endpoint.arrivals) == 60, 180, lambda: f"{len(endpoint.arrivals)} of 60, refused {endpoint.refused}")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    assert len(endpoint.acknowledged) == 60
    killed.set()
    new = post.publish(100, keys=200)
    post.deliverer()
    post.until(lambda: len({one.event_id for one in endpoint.acknowledged}) == 301, 120, lambda: str(len(endpoint.arrivals)))
    first: dict[str, int] = {}
    for one in endpoint.acknowledged:
        first.setdefault(one.event_id, one.number)
    came = list(first)
    seam = came.index(f"{subscription}-snapshot")
    assert sorted(came[:seam]) == old[-200:]
    assert sorted(came[seam + 1 :]) == new
    assert sorted(first.values()) == list(range(1, 302))
    assert len({(one.event_id, one.number) for one in endpoint.arrivals}) == 301


@pytest.mark.services
def test_a_backfill_is_long_work_and_a_cancel_pauses_it_without_loss(post: Post) -> None:
    """The endpoint takes 60 and then fails, so the snapshot stands in the middle when it is cancelled."""
    calls, works = itertools.count(1), list[bool]()
    endpoint = post.endpoint(lambda _: 200 if works or next(calls) <= 60 else 503)
    old = post.publish(200, keys=200)
    with connected(post.stage.bootstrap, Kafka()) as broker:
        ends = {Place(*place): end for place, end in broker.ends(TOPICS).items()}
    subscription = _subscribe(post, endpoint.address, ends)
    post.deliverer()
    shown = "SELECT kind, title, done, total, state FROM v_work ORDER BY id"
    backfill_of = ("backfill", str(subscription))
    post.until(lambda: post.stage.rows(shown) == [(*backfill_of, 60, 200, "running")], 120)
    with psycopg.connect(post.stage.dsn) as connection, connection.cursor() as cursor:
        assert backfills.cancel(cursor, 1, "wang", datetime.now(UTC))
    status = "SELECT state, state_reason, state_by FROM subscription"
    assert post.stage.rows(status) == [("paused", "snapshot_cancelled", "operator")]
    works.append(True)
    time.sleep(2)  # whoever still sent would send now
    assert len(endpoint.acknowledged) == 60
    assert post.stage.rows(shown) == [(*backfill_of, 60, 200, "cancelled")]
    post.stage.execute("UPDATE subscription_progress SET retry_at = NULL")
    post.stage.execute("UPDATE subscription_delivery SET retry_at = NULL")
    post.move(subscription, "resume", "resumed", "operator")
    post.until(lambda: len(endpoint.acknowledged) == 201, 60)
    assert [one.event_id for one in endpoint.acknowledged][-1] == f"{subscription}-snapshot"
    assert sorted(one.event_id for one in endpoint.acknowledged[:-1]) == old
    assert sorted(one.number for one in endpoint.acknowledged) == list(range(1, 202))
    ended = [(*backfill_of, 60, 200, "cancelled"), (*backfill_of, 200, 200, "done")]
    post.until(lambda: post.stage.rows(shown) == ended)
