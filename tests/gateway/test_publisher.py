"""Kafka behind the gateway: one contract that the fake keeps as the real one does, and what only the real one can show."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from dujiang.embedded.kafka import KafkaServer
from engine.clock import SystemClock
from engine.errors import EnvironmentFault, TransientFault
from engine.kafka import Message, Publisher, new_consumer, partition_of
from engine.options import KafkaOptions
from gateway.publisher import DEADLINE_S, Acked, AsyncPublisher, Overloaded, RecordPublisher, publishing_options

TOPIC = "research.project.event"
HEADERS = [("content-type", b"application/cloudevents+json")]
PARTITIONS = 8
TRIES_MAX = 100
Use = Callable[[Callable[[RecordPublisher], Awaitable[None]]], None]


def message(key: str, value: str = "v", topic: str = TOPIC) -> Message:
    return Message(topic, key.encode(), value.encode(), HEADERS)


@asynccontextmanager
async def opened(kafka: KafkaServer, timeout_ms: int = 10_000, **limits: Any) -> AsyncIterator[AsyncPublisher]:
    options = KafkaOptions(kafka.bootstrap, delivery_timeout_ms=timeout_ms, linger_ms=2)
    async with AsyncPublisher(Publisher(options), **limits) as publisher:
        yield publisher


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.services)])
def use(request: pytest.FixtureRequest, fake_publisher: Any) -> Use:
    """Run a coroutine function on the fake, then on the real thing."""

    def run(body: Callable[[RecordPublisher], Awaitable[None]]) -> None:
        async def with_real() -> None:
            async with opened(request.getfixturevalue("kafka")) as publisher:
                await body(publisher)

        async def with_fake() -> None:
            await body(fake_publisher)

        asyncio.run(with_real() if request.param == "real" else with_fake())

    return run


class TestContract:
    def test_outcomes_come_in_the_order_of_the_records(self, use: Use) -> None:
        async def body(publisher: RecordPublisher) -> None:
            keys = [f"P-{number}" for number in range(300)]
            outcomes = await publisher.publish([message(key) for key in keys])
            assert [(one.topic, one.partition) for one in outcomes if isinstance(one, Acked)] == [
                (TOPIC, partition_of(key.encode(), PARTITIONS)) for key in keys
            ]

        use(body)

    def test_records_of_a_key_lie_one_after_the_other(self, use: Use) -> None:
        async def body(publisher: RecordPublisher) -> None:
            outcomes = await publisher.publish([message("same") for _ in range(50)])
            offsets = [one.offset for one in outcomes if isinstance(one, Acked)]
            assert offsets == list(range(offsets[0], offsets[0] + 50))

        use(body)

    def test_nothing_to_write_has_no_outcome(self, use: Use) -> None:
        async def body(publisher: RecordPublisher) -> None:
            assert await publisher.publish([]) == []
            assert publisher.failure() is None

        use(body)


@pytest.mark.services
class TestReal:
    def test_topic_that_is_missing_is_the_environments_fault(self, kafka: KafkaServer) -> None:
        async def body() -> None:
            async with opened(kafka) as publisher:
                (outcome,) = await publisher.publish([message("a", topic="no.such.topic")])
                assert isinstance(outcome, EnvironmentFault)

        asyncio.run(body())

    def test_more_in_flight_than_allowed_is_refused_before_anything_is_written(self, kafka: KafkaServer) -> None:
        async def body() -> None:
            async with opened(kafka, in_flight_records_max=3, in_flight_bytes_max=100) as publisher:
                with pytest.raises(Overloaded):
                    await publisher.publish([message("a")] * 4)
                with pytest.raises(Overloaded):
                    await publisher.publish([message("a", "x" * 101)])
                for _ in range(3):  # what is acknowledged makes room again
                    assert len(await publisher.publish([message("a")] * 3)) == 3

        asyncio.run(body())

    def test_caller_that_leaves_takes_no_room_with_it(self, kafka: KafkaServer) -> None:
        async def body() -> None:
            async with opened(kafka, in_flight_records_max=2) as publisher:
                task = asyncio.create_task(publisher.publish([message("a")] * 2))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait((task,))
                await settled(publisher)
                assert len(await publisher.publish([message("a")] * 2)) == 2

        asyncio.run(body())

    def test_time_out_of_the_producer_ends_before_the_deadline(self) -> None:
        options = publishing_options(KafkaOptions("127.0.0.1:1"))
        assert options.delivery_timeout_ms / 1000 < DEADLINE_S

    def test_many_callers_at_once_each_get_their_own(self, kafka: KafkaServer) -> None:
        async def body() -> None:
            async with opened(kafka) as publisher:
                calls = [publisher.publish([message(f"k{number}", f"v{number}")]) for number in range(500)]
                outcomes = [one for (one,) in await asyncio.gather(*calls)]
                stored = dict(read(kafka, TOPIC))
                assert [stored[one] for one in outcomes if isinstance(one, Acked)] == [
                    f"v{number}".encode() for number in range(500)
                ]

        asyncio.run(body())


@pytest.mark.services
class TestWholeWay:
    """HTTP in front, a real Kafka behind."""

    @pytest.fixture
    def gateway(self, kafka: KafkaServer, serve_gateway: Callable[..., Any]) -> Any:
        options = KafkaOptions(kafka.bootstrap, delivery_timeout_ms=3000, linger_ms=2)
        return serve_gateway(AsyncPublisher(Publisher(options)))

    @pytest.mark.parametrize("mode", ["structured", "batch", "binary"])
    def test_accepted_event_stands_where_its_receipt_says(
        self, gateway: Any, kafka: KafkaServer, event: Any, mode: str
    ) -> None:
        sent = event(id=str(uuid4()), subject="项目-1")
        (receipt,) = post(gateway, sent, mode).json["receipts"]
        record = read_one(kafka, receipt)
        assert record.key() == "项目-1".encode()
        assert record.headers() == HEADERS
        assert json.loads(record.value()) == sent | {"recordedtime": "2026-03-01T08:00:00Z"}

    def test_faulty_batch_leaves_the_topic_as_it_was(self, gateway: Any, kafka: KafkaServer, event: Any) -> None:
        before = end_offsets(kafka, TOPIC)
        assert gateway.post([event()] * 99 + [event(data={})], "application/cloudevents-batch+json").status == 422
        assert end_offsets(kafka, TOPIC) == before

    def test_kafka_away_is_503_and_nothing_is_written_behind_its_back(
        self, gateway: Any, kafka: KafkaServer, event: Any
    ) -> None:
        assert gateway.post(event()).status == 202
        before = end_offsets(kafka, TOPIC)
        kafka.stop()
        try:
            answer = gateway.post([event(id="lost-1"), event(id="lost-2")], "application/cloudevents-batch+json")
        finally:
            kafka.start()
        assert (answer.status, answer.kind) == (503, "not_confirmed")
        assert end_offsets(kafka, TOPIC) == before
        post_until_accepted(gateway, event(id="again"))
        ids = [json.loads(value)["id"] for _, value in read(kafka, TOPIC) if value.startswith(b"{")]
        assert "again" in ids
        assert {"lost-1", "lost-2"}.isdisjoint(ids)


async def settled(publisher: AsyncPublisher) -> None:
    for _ in range(1000):
        if not publisher.in_flight_records:
            return
        await asyncio.sleep(0.01)
    pytest.fail("records stayed in flight")


def post(gateway: Any, event: dict[str, Any], mode: str) -> Any:
    if mode == "structured":
        return gateway.post(event)
    if mode == "batch":
        return gateway.post([event], "application/cloudevents-batch+json")
    attributes = {name: value for name, value in event.items() if name not in {"data", "datacontenttype"}}
    headers = {f"ce_{name}": value for name, value in attributes.items()} | {"ce_subject": "%E9%A1%B9%E7%9B%AE-1"}
    return gateway.post(event["data"], event["datacontenttype"], **headers)


def reader(kafka: KafkaServer) -> Consumer:
    return new_consumer(KafkaOptions(kafka.bootstrap), f"test-{uuid4()}")


def read_one(kafka: KafkaServer, receipt: dict[str, Any]) -> Any:
    consumer = reader(kafka)
    consumer.assign([TopicPartition(receipt["topic"], receipt["partition"], receipt["offset"])])
    record = consumer.poll(10)
    consumer.close()
    return record


def read(kafka: KafkaServer, topic: str) -> list[tuple[Acked, bytes]]:
    consumer = reader(kafka)
    ends = end_offsets(kafka, topic)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found: list[tuple[Acked, bytes]] = []
    while len(found) < sum(ends):
        found += [(Acked(one.topic(), one.partition(), one.offset()), one.value()) for one in consumer.consume(1000, 0.2)]
    consumer.close()
    return found


def end_offsets(kafka: KafkaServer, topic: str) -> list[int]:
    consumer = reader(kafka)
    try:
        return [end_offset(consumer, TopicPartition(topic, partition)) for partition in range(PARTITIONS)]
    finally:
        consumer.close()


def end_offset(consumer: Consumer, place: TopicPartition) -> int:
    """A broker that has just started answers before it leads its partitions."""
    for _ in range(TRIES_MAX):
        try:
            return int(consumer.get_watermark_offsets(place, timeout=10)[1])
        except KafkaException:
            SystemClock().sleep(0.1)
    pytest.fail("Kafka does not lead its partitions")


def post_until_accepted(gateway: Any, event: dict[str, Any]) -> None:
    """As partners are told: the same again, until it is accepted."""
    for _ in range(TRIES_MAX):
        if gateway.post(event).status == 202:
            return
    pytest.fail("Kafka took nothing after it had come back")


def test_no_answer_within_the_deadline_is_not_confirmed() -> None:
    async def body() -> None:
        async with AsyncPublisher(Publisher(KafkaOptions("127.0.0.1:1")), deadline_s=0.2) as publisher:
            (outcome,) = await publisher.publish([message("a")])
            assert isinstance(outcome, TransientFault)
            assert "no acknowledgement within 0.2 s" in str(outcome)

    asyncio.run(body())
