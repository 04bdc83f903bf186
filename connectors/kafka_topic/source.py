"""The partner's topic: all partitions, from the positions that we keep. Needs the right to read the topic, and no group."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka_topic.mapping import Given
from connectors.kafka_topic.settings import KafkaTopicSettings
from engine.errors import EnvironmentFault, TransientFault

ANSWER_S = 10.0
_NO_TIMESTAMP = 0
_REMEDIES = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "ask the partner to let our user read the topic",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check connectors.kafka_topic.sasl_username and sasl_password",
    KafkaError._AUTHENTICATION: "check connectors.kafka_topic.sasl_username and sasl_password",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "check connectors.kafka_topic.topic, or ask the partner to create it",
    KafkaError._UNKNOWN_TOPIC: "check connectors.kafka_topic.topic, or ask the partner to create it",
}


class Bounds(NamedTuple):
    """Of a partition: the first offset that is kept, and the one after the last."""

    first: int
    end: int


class Feed:
    """A consumer that is told where to stand. Use as a context manager; not for two threads."""

    def __init__(self, settings: KafkaTopicSettings) -> None:
        self._topic = settings.topic
        self._ends: dict[int, int] = {}
        self._highs: dict[int, int] = {}
        self._consumer = Consumer(
            {
                "client.id": "dujiang",
                # Demanded by the library; without subscribe and commit no group comes to be.
                "group.id": f"dujiang.{settings.partner}",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # To go on elsewhere than told would lose records unseen.
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "allow.auto.create.topics": False,
                **settings.client(),
            },
            logger=_silent,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._consumer.close()

    def bounds(self) -> dict[int, Bounds]:
        """Of every partition. Raises TransientFault or EnvironmentFault."""
        try:
            found = self._consumer.list_topics(self._topic, ANSWER_S).topics[self._topic]
            if found.error is not None:
                raise _fault_of(found.error)
            bounds = {
                partition: Bounds(*self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), ANSWER_S))
                for partition in sorted(found.partitions)
            }
        except KafkaException as error:
            raise _fault_of(error.args[0]) from error
        self._highs = {partition: kept.end for partition, kept in bounds.items()}
        return bounds

    def stand(self, positions: Mapping[int, int]) -> None:
        """Read from these next offsets."""
        self._ends.clear()
        self._consumer.assign([TopicPartition(self._topic, partition, offset) for partition, offset in positions.items()])

    def ends(self) -> dict[int, int]:
        """Where a partition ended when its last record had been given, markers of transactions passed over."""
        return dict(self._ends)

    def behind(self, positions: Mapping[int, int]) -> int:
        """Offsets from these positions to the topic's end, as `bounds` or the last fetch told it; asks for nothing.

        Raises a fault when the topic is gone.
        """
        behind = 0
        for partition, offset in positions.items():
            try:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            except KafkaException as error:
                raise _fault_of(error.args[0]) from error
            behind += max(0, max(high, self._highs.get(partition, 0)) - offset)  # below 0: no fetch was answered yet
        return behind

    def poll(self, records_max: int, wait_s: float) -> list[Given]:
        """Up to so many records, each partition's in order; none after `wait_s`. Raises TransientFault or EnvironmentFault."""
        given = []
        for message in self._consumer.consume(records_max, wait_s):
            error = message.error()
            if error is None:
                given.append(_given(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ends[message.partition()] = message.offset()
            else:
                raise _fault_of(error)
        return given


def _given(message: Any) -> Given:
    kind, timestamp_ms = message.timestamp()
    return Given(
        message.topic(),
        message.partition(),
        message.offset(),
        timestamp_ms if kind != _NO_TIMESTAMP else 0,
        message.headers() or [],
        message.value(),
    )


def _fault_of(error: KafkaError) -> TransientFault | EnvironmentFault:
    remedy = _REMEDIES.get(error.code())
    text = f"the partner's Kafka: {error.str()}"
    return TransientFault(text) if remedy is None else EnvironmentFault(text, remedy)


class _Silent:
    """librdkafka's own log lines repeat what its errors say."""

    def log(self, *_: Any, **__: Any) -> None:
        return


_silent = _Silent()
