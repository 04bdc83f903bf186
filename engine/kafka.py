"""Kafka as the engine uses it: one way to publish, one to consume. confluent-kafka carries all data.

Every key goes to the partition that Kafka's own clients would choose (murmur2), so that partners who publish straight to a
topic and we agree on where an entity's log is.
"""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from msgspec import Struct

from engine.errors import EnvironmentFault, TransientFault
from engine.options import KafkaOptions
from engine.reach import Reach
from schemas.topics import RECORD_BYTES_MAX

LOOK_MS: Final = 5_000  # between two looks at the brokers

_ENVIRONMENT = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "grant this client write access to the topic",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "grant this client access to the cluster",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check the user and password in the Kafka settings",
    KafkaError._AUTHENTICATION: "check the user and password in the Kafka settings",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create the topics: dujiang topics create",
    KafkaError._UNKNOWN_TOPIC: "create the topics: dujiang topics create",
    KafkaError._UNKNOWN_PARTITION: "create the topics: dujiang topics create",
}


class Message(Struct, frozen=True, gc=False):
    """A record to publish. Headers are the CloudEvents Kafka binding's."""

    topic: str
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]


def fault_of(error: KafkaError) -> TransientFault | EnvironmentFault:
    """Sort a client's error by what helps."""
    remedy = _ENVIRONMENT.get(error.code())
    if remedy is not None:
        return EnvironmentFault(f"Kafka: {error.str()}", remedy)
    return TransientFault(f"Kafka: {error.str()}")


class Publisher:
    """An idempotent producer, acknowledged by all in-sync replicas, whose caller is told of every record. Thread-safe."""

    def __init__(self, options: KafkaOptions) -> None:
        self._producer = _producer(options)

    def send(self, message: Message, on_ack: Callable[[KafkaError | None, Any], None]) -> None:
        """Queue one record; `on_ack(error, record)` is called from `poll` once it is settled.

        Raises TransientFault when the local queue is full (come back later).
        """
        try:
            self._producer.produce(message.topic, message.value, message.key, headers=message.headers, on_delivery=on_ack)
        except BufferError:
            raise TransientFault("Kafka: the local queue of unsent records is full") from None
        except KafkaException as error:
            raise fault_of(error.args[0]) from error

    def poll(self, timeout_s: float = 0) -> int:
        """Serve acknowledgements; returns how many."""
        return int(self._producer.poll(timeout_s))

    def close(self, timeout_s: float = 10) -> int:
        """Flush; returns how many records were still unsent."""
        return int(self._producer.flush(timeout_s))


class BatchPublisher:
    """The same for whole batches: the caller is told of failures alone, so that a record costs no Python call.

    One batch at a time: a failure must not be taken for another thread's.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self._producer = _producer(options, {"delivery.report.only.error": True})
        self._failed: list[KafkaError] = []
        self._lock = Lock()

    def publish(self, messages: Sequence[Message], is_given_up: Callable[[], bool] = lambda: False) -> None:
        """Send all and wait until every one is acknowledged.

        Raises the fault of the first that failed, and TransientFault once `is_given_up` says so. Then some may have been
        written: callers repeat with the same ids.
        """
        with self._lock:
            self._publish(messages, is_given_up)

    def _publish(self, messages: Sequence[Message], is_given_up: Callable[[], bool]) -> None:
        produce, settled = self._producer.produce, self._settled
        for message in messages:
            while True:
                try:
                    produce(message.topic, message.value, message.key, headers=message.headers, on_delivery=settled)
                    break
                except BufferError:
                    self._producer.poll(0.1)
                    self._refuse(is_given_up)
                except KafkaException as error:
                    self._give_up()
                    raise fault_of(error.args[0]) from error
        while self._producer.flush(0.5) and not self._failed:
            self._refuse(is_given_up)
        if self._failed:
            first = self._failed[0]
            self._give_up()
            raise fault_of(first)

    def close(self) -> None:
        """Nothing is left to send after `publish`; the connections go with the object."""
        self._producer.flush(1)

    def _refuse(self, is_given_up: Callable[[], bool]) -> None:
        if is_given_up():
            self._give_up()
            raise TransientFault("Kafka: a batch was given up before it was acknowledged")

    def _settled(self, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._failed.append(error)

    def _give_up(self) -> None:
        """Nothing of this batch may linger: its repeat brings all of it again."""
        self._producer.purge()
        self._producer.flush(1)
        self._failed.clear()


def _producer(options: KafkaOptions, more: dict[str, Any] | None = None) -> Producer:
    return Producer(
        {
            "bootstrap.servers": options.bootstrap,
            "client.id": options.client_id,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": options.linger_ms,
            "delivery.timeout.ms": options.delivery_timeout_ms,
            "message.max.bytes": RECORD_BYTES_MAX,
            "queue.buffering.max.messages": 200_000,
            "topic.metadata.propagation.max.ms": 5_000,
            **options.security,
            **(more or {}),
        },
        logger=_silent,
    )


def new_consumer(options: KafkaOptions, name: str, reach: Reach | None = None, **more: Any) -> Consumer:
    """A consumer in the group of a step or sink. The ledger decides where it stands; Kafka's offsets are a hint.

    `reach` is told from within the caller's polls, every LOOK_MS, whether the client has a connection to any broker.
    """
    looks = {} if reach is None else {"statistics.interval.ms": LOOK_MS, "stats_cb": lambda told: reach(has_broker(told))}
    return Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "client.id": options.client_id,
            "group.id": f"{options.group_prefix}.{name}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # Going on at another offset than the ledger's is a decision for a person (docs/runbook/ledger.md).
            "auto.offset.reset": "error",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": options.session_timeout_ms,
            "heartbeat.interval.ms": max(500, options.session_timeout_ms // 3),
            "max.poll.interval.ms": 300_000,
            "queued.min.messages": 50_000,
            # An answer stays in memory whole until its last record is done with, and a worker has a consumer a step. From one
            # partition at a time: then a batch meets an entity more often, and has fewer rows to store.
            "queued.max.messages.kbytes": 16_384,
            "fetch.message.max.bytes": 8 * 1_048_576,
            "fetch.max.bytes": 8 * 1_048_576,
            "fetch.wait.max.ms": 20,
            # Once so much is fetched ahead, a partition is asked again after this. Its default of a second outlasts what was
            # fetched, so a worker that had a backlog stood still in each second.
            "fetch.queue.backoff.ms": 20,
            "isolation.level": "read_committed",
            **options.security,
            **looks,
            **more,
        },
        logger=_silent,
    )


class _Broker(Struct):
    state: str


class _Statistics(Struct):
    brokers: dict[str, _Broker]


_statistics = msgspec.json.Decoder(_Statistics)


def has_broker(statistics: str) -> bool:
    """Whether any broker is connected, by librdkafka's statistics. It keeps on connecting to those that it needs."""
    return any(broker.state == "UP" for broker in _statistics.decode(statistics).brokers.values())


def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's default partitioner: murmur2, seed 0x9747b28c, sign bit cleared (org.apache.kafka.common.utils.Utils)."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


class _Silent:
    """librdkafka's own log lines repeat what its errors say; the errors are reported with their place."""

    def log(self, *_: Any, **__: Any) -> None:
        return


_silent = _Silent()
