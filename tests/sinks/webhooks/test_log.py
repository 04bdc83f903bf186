"""The log as couriers read it: one ring of the newest, a second reader for who is behind, honesty about what is gone."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st

from engine.kafka import partition_of
from schemas.catalogue import default_registry
from schemas.cloudevents import CloudEvent
from schemas.subscriptions import Place
from schemas.topics import CALL_EVENT
from sinks.webhooks import log as module
from sinks.webhooks.log import HistoryGone, KafkaLog, Record, _Ring, numbered
from tests.conftest import Stage
from tests.sinks.webhooks.conftest import Post

PLACE = Place("t", 0)
EVENT = CloudEvent("1", "/a", "t", time=datetime(2026, 3, 2, tzinfo=UTC))


def _record(offset: int) -> Record:
    return Record(PLACE, offset, b"k", 0, EVENT)


@given(
    start=st.integers(0, 5),
    steps=st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=40),
    offset=st.integers(0, 60),
    limit=st.integers(1, 7),
)
def test_a_ring_gives_what_stands_from_an_offset_on(start: int, steps: list[tuple[int, bool]], offset: int, limit: int) -> None:
    """Offsets may have holes, and records that are no events are passed over."""
    ring, at, kept = _Ring(start), start - 1, []
    for step, is_event in steps:
        at += step
        ring.add(_record(at) if is_event else None, at, 10)
        kept += [at] if is_event else []
    if offset < ring.start:
        return
    chunk = ring.read(offset, limit)
    following = [one for one in kept if one >= offset]
    assert [record.offset for record in chunk.records] == following[:limit]
    assert chunk.next_offset == (following[limit - 1] + 1 if len(following) > limit else max(at + 1, offset, start))


def test_reading_on_from_each_answer_misses_nothing_and_repeats_nothing() -> None:
    ring = _Ring(0)
    for offset in range(0, 100, 3):
        ring.add(_record(offset), offset, 10)
    at, seen = 0, []
    while True:
        chunk = ring.read(at, 7)
        if not chunk.records:
            break
        seen += [record.offset for record in chunk.records]
        at = chunk.next_offset
    assert seen == list(range(0, 100, 3))


def test_a_ring_forgets_the_oldest_and_says_where_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RING_RECORDS_MAX", 3)
    ring = _Ring(0)
    for offset in range(5):
        ring.add(_record(offset), offset, 10)
    assert ring.start == 2
    assert [record.offset for record in ring.read(2, 9).records] == [2, 3, 4]


def test_a_ring_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RING_BYTES_MAX", 25)
    ring = _Ring(0)
    for offset in range(5):
        ring.add(_record(offset), offset, 10)
    assert ring.start == 3


# --- on Kafka ---


async def _all(kafka_log: KafkaLog, place: Place, at: int, limit: int = 50) -> list[str]:
    found: list[str] = []
    while True:
        chunk = await kafka_log.read(place, at, limit)
        found += [record.event.id for record in chunk.records]
        if chunk.next_offset == at:
            return found
        at = chunk.next_offset


@pytest.mark.services
def test_who_is_behind_and_who_keeps_up_read_the_same(stage: Stage) -> None:
    post = Post(stage)
    begins = {Place(*place): end for place, end in stage.ends().items() if place[0] == CALL_EVENT.name}
    older = post.publish(300, keys=5)
    stage.send_raw(CALL_EVENT.name, b"C-0", b"no event")

    async def run() -> tuple[dict[Place, list[str]], list[str]]:
        kafka_log = KafkaLog(stage.options.kafka, {CALL_EVENT.name: "public"}, default_registry())
        await kafka_log.open()
        try:
            behind = {place: await _all(kafka_log, place, at) for place, at in begins.items()}
            ends = {Place(*place): end for place, end in stage.ends().items() if place[0] == CALL_EVENT.name}
            seen = kafka_log.version
            newer = await asyncio.to_thread(post.publish, 50)
            await kafka_log.news(seen, 10)
            kept: list[str] = []
            async with asyncio.timeout(10):
                while len(kept) < len(newer):
                    kept = [one for place, at in ends.items() for one in await _all(kafka_log, place, at)]
                    await asyncio.sleep(0.05)
            assert sorted(kept) == newer
            again = [one for place, at in begins.items() for one in await _all(kafka_log, place, at, limit=7)]
            return behind, again
        finally:
            await kafka_log.close()

    behind, again = asyncio.run(run())
    assert sorted(one for ids in behind.values() for one in ids) == older
    assert all(ids == sorted(ids) for ids in behind.values())
    assert len(again) == 350


@pytest.mark.services
def test_what_retention_removed_is_said(stage: Stage) -> None:
    post = Post(stage)
    post.publish(20, keys=1)
    partition = partition_of(b"C-0", CALL_EVENT.partitions)
    end = stage.ends()[CALL_EVENT.name, partition]
    admin = AdminClient({"bootstrap.servers": stage.bootstrap})
    for future in admin.delete_records([TopicPartition(CALL_EVENT.name, partition, end - 5)]).values():
        future.result(30)

    async def run() -> int:
        kafka_log = KafkaLog(stage.options.kafka, {CALL_EVENT.name: "public"}, default_registry())
        await kafka_log.open()
        try:
            with pytest.raises(HistoryGone) as gone:
                await kafka_log.read(Place(CALL_EVENT.name, partition), end - 10, 10)
            left = await kafka_log.read(Place(CALL_EVENT.name, partition), gone.value.earliest, 10)
            assert len(left.records) == 5
            return gone.value.earliest
        finally:
            await kafka_log.close()

    assert asyncio.run(run()) == end - 5


# --- what goes out ---


class _Message:
    """As the client gives a record."""

    def __init__(self, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        self._value, self._headers = value, headers

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers

    def topic(self) -> str:
        return PLACE.topic

    def partition(self) -> int:
        return PLACE.partition

    def offset(self) -> int:
        return 7

    def key(self) -> bytes:
        return b"k"

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


STRUCTURED = [("content-type", b"application/cloudevents+json")]
TEXT = b'{ "specversion":"1.0","id":"1","source":"/a","type":"t","big":null,"data":{"sum":1.50,"name":"\\u540d"}}'


def _body(value: bytes, headers: list[tuple[str, bytes]] = STRUCTURED) -> bytes:
    record = module._record(_Message(value, headers), default_registry())
    assert record is not None
    return record.body


def test_an_event_goes_out_as_it_was_written() -> None:
    """Not read and written again: the publisher's own digits and spaces stay, and it costs nothing."""
    assert _body(TEXT) == TEXT
    assert json.loads(numbered(_body(TEXT), 3)) == json.loads(TEXT) | {"deliverynumber": "3"}


@pytest.mark.parametrize(
    "member",
    [b'"deliverynumber":null', b'"deliverynumber":"999"', b'"d\\u0065liverynumber":null', b'"deliverynumbe\\u0072":"9"'],
)
def test_no_member_of_the_publisher_can_stand_beside_our_number(member: bytes) -> None:
    """Two members of one name would be read by each receiver as it likes."""
    out = numbered(_body(TEXT.replace(b'"big":null', member)), 3)
    pairs = json.loads(out, object_pairs_hook=lambda pairs: pairs)
    assert [value for name, value in pairs if name == "deliverynumber"] == ["3"]


def test_what_stands_in_the_log_in_another_form_is_written_for_it() -> None:
    in_headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/a"), ("ce_type", b"t")]
    made = json.loads(_body(b'{"a":1}', [*in_headers, ("content-type", b"application/json")]))
    assert (made["id"], made["data"]) == ("1", {"a": 1})
    assert _body(b"  " + TEXT).startswith(b'{"specversion"')
