"""A record of a partner's topic -> a record for ours, or a finding that says why not. Pure.

What an event must be is for `judge` to say: the same checks as at the gateway, with the partner's rights.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from engine.filedrop import Finding, Refused, finding_fact, finding_of, message_of
from engine.filedrop.seam import is_subject
from engine.kafka import Message
from schemas.cloudevents import CloudEvent, CloudEventError, kafka_binding
from schemas.registry import Registry

SOURCE = "/connectors/kafka_topic"

Judge = Callable[[CloudEvent], Message | Refused]


class Given(NamedTuple):
    """A record as it stands in the partner's topic. `timestamp_ms` may be the producer's or the broker's."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None

    @property
    def place(self) -> str:
        return f"{self.topic} p{self.partition}@{self.offset}"


class Accepted(NamedTuple):
    """The event for our topic, keyed by its entity; `time` is the event's own."""

    message: Message
    time: datetime | None


def answer(record: Given, judge: Judge) -> Accepted | Refused:
    """What we take of the record, or what is wrong with it."""
    try:
        event = kafka_binding.decode(record.headers, record.value)
    except CloudEventError as error:
        return Refused(error.reason, error.message, error.pointer, record.place)
    judged = judge(event)
    if isinstance(judged, Message):
        return Accepted(judged, event.time)
    key = event.subject if event.subject is not None and is_subject(event.subject) else ""
    return Refused(judged.reason, judged.message, judged.pointer, record.place, key)


def finding(registry: Registry, partner: str, record: Given, refused: Refused) -> Message:
    """Told where every refusal is told. The same record of the topic gives the same id, so a repeat is dropped."""
    told: Finding = finding_of(refused)
    time = datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, UTC)
    return message_of(registry, finding_fact(told, SOURCE, refused.key or f"{partner}/{record.topic}"[:200], time))
