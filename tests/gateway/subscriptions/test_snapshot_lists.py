"""The list of a snapshot, kept for ever: whole, the same for every token, and looked through once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import KafkaError, KafkaException

from gateway.problems import Problem
from gateway.subscriptions import tail
from gateway.subscriptions.backfill import Backfills
from gateway.subscriptions.log import Bounds
from gateway.subscriptions.reading import Selection
from schemas.catalogue import default_registry
from schemas.subscriptions import Place, Reader
from schemas.subscriptions.snapshot import Snapshot
from tests.gateway.subscriptions.memory import SUSPENDED, MemoryLog, body_of
from tests.gateway.subscriptions.test_reading import EVERYTHING, FIRST, SECOND, selection
from tests.gateway.subscriptions.test_snapshot import RESUMED, MemorySnapshots, Walk, ids, write

PREFIX = default_registry().prefix
WIDE = ("subscribe:*", "clearance:restricted")


class CountedSnapshots(MemorySnapshots):
    """Slow enough for two readers to meet."""

    def __init__(self, ends: Mapping[Place, int]) -> None:
        super().__init__(ends)
        self.loaded = 0
        self.noted = 0

    async def snapshot(self, key: UUID) -> Snapshot:
        self.loaded += 1
        await asyncio.sleep(0.01)
        return await super().snapshot(key)

    async def note_snapshot(self, key: UUID, place: Place, offsets: Sequence[int]) -> None:
        self.noted += 1
        await super().note_snapshot(key, place, offsets)


class YoungLog(MemoryLog):
    """Another gateway's: it learns of a partition only when it looks."""

    def __init__(self) -> None:
        super().__init__(default_registry())
        self.unknown: set[Place] = set()

    async def bounds(self, *, fresh: bool = False) -> Mapping[Place, Bounds]:
        self.unknown -= self.unknown if fresh else set()
        return {place: bound for place, bound in (await super().bounds()).items() if place not in self.unknown}


def backfills(log: MemoryLog, store: MemorySnapshots) -> Backfills:
    return Backfills(log, store, PREFIX)  # type: ignore[arg-type]


async def whole(of: Backfills, chosen: Selection, reader: Reader = EVERYTHING) -> Snapshot:
    while (snapshot := await of.of(chosen, reader)) is None:
        pass
    return snapshot


def test_a_narrow_token_that_reads_first_takes_nothing_from_a_wider_one(memory_log: MemoryLog) -> None:
    write(memory_log, [(0, "a", SUSPENDED), (0, "a", RESUMED)], "b")
    walk = Walk(memory_log, reader=Reader((WIDE, (f"subscribe:{RESUMED}", "clearance:internal")), is_stated=True))
    assert ids(asyncio.run(walk.to_the_end()))[:-1] == ["b001"]
    walk.reader, walk.cursor, walk.events = Reader((WIDE,), is_stated=True), None, []
    assert ids(asyncio.run(walk.to_the_end()))[:-1] == ["b000", "b001"]


def test_a_narrow_token_gets_the_older_event_that_a_newer_one_it_may_not_see_has_overtaken(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, body_of("older"), body_of("open"), body_of("closed", dataclassification="restricted"))
    walk = Walk(memory_log, reader=Reader((WIDE,), is_stated=True))
    assert ids(asyncio.run(walk.to_the_end()))[:-1] == ["open", "closed"]
    walk.reader, walk.cursor, walk.events = Reader((WIDE, ("subscribe:*", "clearance:internal")), is_stated=True), None, []
    assert ids(asyncio.run(walk.to_the_end()))[:-1] == ["open"]


def test_a_partition_that_a_gateway_does_not_know_yet_is_looked_for_before_its_list_is_kept() -> None:
    log = YoungLog()
    write(log, [(0, "a", SUSPENDED)], "b")
    log.unknown = {FIRST}
    assert asyncio.run(whole(backfills(log, Walk(log).store), selection())).listed == {FIRST: [0], SECOND: []}


@pytest.mark.parametrize("is_cut", [True, False])
def test_no_list_is_kept_of_a_log_that_is_gone_or_cut(memory_log: MemoryLog, is_cut: bool) -> None:
    write(memory_log, [(0, "a", SUSPENDED), (0, "b", SUSPENDED)], "b")
    walk = Walk(memory_log)
    lost = memory_log.records[FIRST][1:]
    if is_cut:
        del memory_log.records[FIRST][1:]
    else:
        lost = memory_log.records.pop(FIRST)
    with pytest.raises(Problem) as raised:
        asyncio.run(asyncio.wait_for(whole(backfills(memory_log, walk.store), walk.chosen), 5))
    assert raised.value.kind.slug == "log_away"
    assert FIRST not in walk.store.listed
    memory_log.records[FIRST] = [*memory_log.records.get(FIRST, []), *lost]
    assert ids(asyncio.run(walk.to_the_end()))[:-1] == ["b000", "b001"]


def test_a_listed_event_behind_the_end_of_the_log_is_an_error_and_not_an_empty_page(memory_log: MemoryLog) -> None:
    write(memory_log, [(0, "a", SUSPENDED), (0, "b", SUSPENDED)], "b")
    walk = Walk(memory_log)
    asyncio.run(walk.page(1))
    del memory_log.records[FIRST][1:]
    walk.cursor = None  # a cursor behind the end is refused as such
    with pytest.raises(Problem) as raised:
        asyncio.run(walk.to_the_end())
    assert raised.value.kind.slug == "log_away"


def test_readers_at_once_share_one_look_and_later_ones_the_list(memory_log: MemoryLog) -> None:
    write(memory_log, [(0, "a", SUSPENDED), (1, "b", SUSPENDED)], "b")
    store = CountedSnapshots({FIRST: 1, SECOND: 1})

    async def read() -> None:
        of = backfills(memory_log, store)
        first, second = await asyncio.gather(whole(of, selection()), whole(of, selection()))
        assert first is second is await whole(of, selection())

    asyncio.run(read())
    assert (store.noted, store.loaded) == (2, 2)  # before the look and after it


def test_lists_that_are_kept_are_bounded(memory_log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.subscriptions.backfill.KEPT_OFFSETS_MAX", 1)
    write(memory_log, [(0, "a", SUSPENDED)], "b")
    store = CountedSnapshots({FIRST: 1})
    store.listed = {FIRST: [0]}

    async def read() -> None:
        of = backfills(memory_log, store)
        one = selection()
        other = replace(one, subscription=replace(one.subscription, id=UUID(int=2)))
        for chosen in (one, one, other, other, one):
            await whole(of, chosen)

    asyncio.run(read())
    assert store.loaded == 3


@pytest.mark.parametrize("way", ["close", "forget"])
def test_a_look_ends_with_the_gateway_or_with_its_subscription(memory_log: MemoryLog, way: str) -> None:
    store = CountedSnapshots({FIRST: 0, SECOND: 0})

    async def read() -> None:
        of = backfills(memory_log, store)
        reading = asyncio.create_task(of.of(selection(), EVERYTHING))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if way == "close":
            await of.close()
        else:
            of.forget(selection().subscription.id)
        assert await reading is None
        await asyncio.sleep(0.05)

    asyncio.run(read())
    assert store.noted == 0


def test_a_topic_that_kafka_cannot_describe_is_no_topic_without_partitions() -> None:
    described: Any = SimpleNamespace(error=KafkaError(KafkaError.LEADER_NOT_AVAILABLE), partitions={})
    admin: Any = SimpleNamespace(list_topics=lambda **_: SimpleNamespace(topics={FIRST.topic: described}))
    with pytest.raises(KafkaException):
        tail._bounds(admin)
