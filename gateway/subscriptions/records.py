"""A record of the log as readers share it: decoded when the first one looks at it, and only then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas import deprecation
from schemas.cloudevents import CloudEventError, json_format, kafka_binding
from schemas.filters import attributes_of
from schemas.filters.cesql.nodes import Value
from schemas.registry import ContractError, Registry
from schemas.subscriptions import Place, classification_of
from schemas.topics import TOPICS, Classification


class _WithData(msgspec.Struct):
    data: Any = None


_WITH_DATA: Final = msgspec.json.Decoder(_WithData)


@dataclass(frozen=True, slots=True)
class Readable:
    """An event ready to be judged and sent. `body` is structured JSON in one line."""

    type: str
    source: str
    attributes: Mapping[str, Value]
    body: bytes
    classification: Classification

    def data(self) -> object:
        """Its JSON data, parsed anew each time: only filters on data ask, and kept it would outweigh the body."""
        return _WITH_DATA.decode(self.body).data


class Record:
    """One offset of a partition. `event` is None for what no subscriber gets: no CloudEvent, or none of this topic."""

    __slots__ = ("_event", "_headers", "_is_decoded", "_registry", "_value", "offset", "place", "size_bytes", "timestamp_ms")

    def __init__(
        self,
        registry: Registry,
        place: Place,
        offset: int,
        timestamp_ms: int,
        headers: Sequence[tuple[str, bytes | None]],
        value: bytes | None,
    ) -> None:
        self.place = place
        self.offset = offset
        self.timestamp_ms = timestamp_ms
        self.size_bytes = len(value or b"")
        self._headers = headers
        self._value = value
        self._registry = registry
        self._event: Readable | None = None
        self._is_decoded = False

    @property
    def event(self) -> Readable | None:
        if not self._is_decoded:
            self._event = readable(self._registry, self.place.topic, self._headers, self._value)
            self._is_decoded = True
            self._headers = ()
            self._value = None if self._event is None else self._event.body
        return self._event


def readable(
    registry: Registry, topic: str, headers: Sequence[tuple[str, bytes | None]], value: bytes | None
) -> Readable | None:
    """The event of a record. What the engine would set aside as undecodable or of another topic is nobody's event."""
    try:
        event = registry.decode(headers, value)
        contract = registry.contract_of(event.type)
    except (CloudEventError, ContractError):
        return None
    if topic not in contract.topic_names:
        return None
    if contract.deprecated_on is not None:
        event, value = deprecation.told(event, deprecation.attributes_of(contract)), None
    return Readable(
        event.type,
        event.source,
        attributes_of(event),
        # As it was written where that is one line of JSON; else in our own form.
        value if value is not None and _is_one_line(headers, value) else json_format.encode(event),
        classification_of(TOPICS[topic].classification, event.extensions.get("dataclassification")),
    )


def _is_one_line(headers: Sequence[tuple[str, bytes | None]], value: bytes) -> bool:
    return kafka_binding.is_structured(headers) and b"\n" not in value and b"\r" not in value
