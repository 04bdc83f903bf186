"""The peers' events: W1 as it is, and a flat copy with a schema for Kafka Connect; what the end must look like."""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.harness import Bench, create_topics, load_topic
from benchmarks.traffic import Event, status_events
from schemas.topics import FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE, Topic

FLAT = replace(PROJECT_EVENT, name="research.project.flat")
READ_TIMEOUT_S = 10.0

_SCHEMA = json.dumps(
    {
        "type": "struct",
        "name": "status",
        "fields": [
            {"field": "project_id", "type": "string"},
            {"field": "version", "type": "int64"},
            {"field": "last_type", "type": "string"},
            {"field": "last_id", "type": "string"},
            {"field": "source", "type": "string"},
            {"field": "event_time", "type": "string", "name": "io.debezium.time.ZonedTimestamp", "version": 1},
            {"field": "amount", "type": "int64", "optional": True},
            {"field": "milestone", "type": "string", "optional": True},
            {"field": "remark", "type": "string", "optional": True},
        ],
    },
    separators=(",", ":"),
)


class Final(NamedTuple):
    """A project after its last event: how many events it had, that event's amount, all that was paid out."""

    version: int
    amount: int | None
    disbursed: int


@dataclass(frozen=True)
class Load:
    """Events in a topic, and a check on their effect. `last` has each partition's last key and its version."""

    at: Bench
    topic: str
    events: int
    finals: dict[str, Final]
    last: dict[str, int] = field(default_factory=dict)


def load(at: Bench, events: int, *, flat: bool) -> Load:
    """`events` of W1 in fresh topics, with a flat copy if wanted."""
    at = replace(at, prefix=f"{at.prefix}.{secrets.token_hex(2)}")
    create_topics(at, (PROJECT_EVENT, PROJECT_STATE, FINDING_EVENT))
    finals: dict[str, Final] = {}
    load_topic(at, at.topic(PROJECT_EVENT.name), _noting(status_events(events, events // 10), finals))
    if flat:
        create_topics(at, (FLAT,))
        load_topic(at, at.topic(FLAT.name), map(flattened, status_events(events, events // 10)))
    topic = at.topic(PROJECT_EVENT.name)
    return Load(at, topic, events, finals, _last(at.bootstrap, topic, finals))


def _noting(events: Iterable[Event], finals: dict[str, Final]) -> Iterator[Event]:
    for event in events:
        row = row_of(json.loads(event.value))
        key = row["project_id"]
        paid = finals[key].disbursed if key in finals else 0
        if row["last_type"].endswith(".funds.disbursed.v1"):
            paid += row["amount"]
        finals[key] = Final(row["version"], row["amount"], paid)
        yield event


def row_of(event: dict[str, Any]) -> dict[str, Any]:
    """The row that every peer with a table writes. An event's number in its project is the end of its id."""
    data = event["data"]
    return {
        "project_id": event["subject"],
        "version": int(event["id"].rpartition("-")[2]) + 1,
        "last_type": event["type"],
        "last_id": event["id"],
        "source": event["source"],
        "event_time": event["time"],
        "amount": data.get("amount"),
        "milestone": data.get("milestone_id"),
        "remark": data.get("remark"),
    }


def flattened(event: Event) -> Event:
    """The row with its schema: the form in which Connect's JSON converter hands rows to a JDBC sink."""
    row = json.dumps(row_of(json.loads(event.value)), separators=(",", ":"))
    return Event(event.key, f'{{"schema":{_SCHEMA},"payload":{row}}}'.encode())


def _last(bootstrap: str, topic: str, finals: dict[str, Final]) -> dict[str, int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}.last", "enable.auto.commit": False})
    found = {}
    for partition in _partitions(consumer, topic):
        end = consumer.get_watermark_offsets(TopicPartition(topic, partition))[1]
        if end:
            consumer.assign([TopicPartition(topic, partition, end - 1)])
            message = consumer.poll(READ_TIMEOUT_S)
            key = message.key().decode()
            found[key] = finals[key].version
    consumer.close()
    return found


def latest(bootstrap: str, topic: str, decode: Callable[[bytes, bytes], tuple[str, Final]]) -> dict[str, Final]:
    """Each key's latest committed record in a topic of state."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}.latest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    waiting = set(_partitions(consumer, topic))
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in waiting])
    found: dict[str, Final] = {}
    while waiting:
        messages = consumer.consume(10_000, READ_TIMEOUT_S if not found else 1.0)
        if not messages:
            raise RuntimeError(f"{topic} could not be read to its end")
        for message in messages:
            if message.error() is not None:
                waiting.discard(message.partition())
            elif message.value() is not None:
                key, final = decode(message.key(), message.value())
                found[key] = final
    consumer.close()
    return found


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    return list(consumer.list_topics(topic, timeout=READ_TIMEOUT_S).topics[topic].partitions)


def state_topic(name: str) -> Topic:
    """A topic of state for one run."""
    return replace(PROJECT_STATE, name=name)
