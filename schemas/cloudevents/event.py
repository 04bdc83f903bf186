"""The event every other part passes on: CloudEvents 1.0.2 attributes and data, checked when it is made.

Norm: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. Where an event came from (JSON, HTTP headers,
Kafka headers) leaves no trace in it, and nothing is invented: no `time`, no `id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final

from schemas.cloudevents import attributes as rules
from schemas.cloudevents.content import data_type_error, is_json
from schemas.cloudevents.errors import CloudEventError, Reason, quoted
from schemas.cloudevents.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, DATA_DEPTH_MAX, EVENT_BYTES_MAX

__all__ = [
    "ABSENT",
    "BATCH_BYTES_MAX",
    "BATCH_EVENTS_MAX",
    "DATA_DEPTH_MAX",
    "EVENT_BYTES_MAX",
    "SPECVERSION",
    "CloudEvent",
    "CloudEventError",
    "Reason",
    "attribute_texts",
    "event_from",
    "refuse_missing",
]

SPECVERSION: Final = "1.0"
_REQUIRED: Final = ("specversion", "id", "source", "type")


class _Absent(Enum):
    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent.ABSENT  # no data at all; None is a JSON null


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. Its identity is (`source`, `id`). Making one checks every attribute and raises `CloudEventError`.

    `time` is aware; decoders give it in UTC. `data` is a JSON value when `datacontenttype` is JSON or None, a string
    for other text, bytes for anything (they go into JSON as Base64), or ABSENT. What is inside JSON data is checked
    when it is read or written, not here. Do not change `extensions` or `data` afterwards.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)
    data: object = ABSENT

    def __post_init__(self) -> None:
        rules.check_filled("id", self.id)
        rules.check_source(self.source)
        rules.check_filled("type", self.type)
        if self.subject is not None:
            rules.check_filled("subject", self.subject)
        if self.time is not None:
            rules.check_time(self.time)
        if self.dataschema is not None:
            rules.check_dataschema(self.dataschema)
        for name, value in self.extensions.items():
            rules.check_extension(name, value)
        if self.datacontenttype is not None:
            rules.check_content_type(self.datacontenttype)
            if not (isinstance(self.data, str | bytes | _Absent) or is_json(self.datacontenttype)):
                raise data_type_error(self.data, self.datacontenttype)


def event_vouched_for(
    *,
    id: str,  # noqa: A002 - the attribute's name
    source: str,
    type: str,  # noqa: A002 - the attribute's name
    subject: str,
    time: datetime,
    datacontenttype: str | None,
    extensions: dict[str, str],
    data: Any,
) -> CloudEvent:
    """An event whose every rule was checked elsewhere (schemas/quick.py): nothing is checked again."""
    event = object.__new__(CloudEvent)
    put = object.__setattr__
    put(event, "id", id)
    put(event, "source", source)
    put(event, "type", type)
    put(event, "subject", subject)
    put(event, "time", time)
    put(event, "datacontenttype", datacontenttype)
    put(event, "dataschema", None)
    put(event, "extensions", extensions)
    put(event, "data", data)
    return event


def event_from(attributes: dict[str, Any], data: object) -> CloudEvent:
    """The event of decoded attributes, all still unchecked; `time` is text, None means absent. Empties `attributes`."""
    refuse_missing(attributes)
    take = attributes.pop
    version = take("specversion")
    if version != SPECVERSION:
        raise _version_error(version)
    time = take("time", None)
    return CloudEvent(
        id=take("id"),
        source=take("source"),
        type=take("type"),
        subject=take("subject", None),
        time=None if time is None else rules.parse_time(time),
        datacontenttype=take("datacontenttype", None),
        dataschema=take("dataschema", None),
        extensions={name: value for name, value in attributes.items() if value is not None},
        data=data,
    )


def refuse_missing(attributes: Mapping[str, Any]) -> None:
    """Raises `missing_attribute` for the first required attribute that is absent or None."""
    for name in _REQUIRED:
        if attributes.get(name) is None:
            raise CloudEventError(
                "missing_attribute",
                f"attribute '{name}' is missing; send it as a JSON member '{name}' (structured),"
                f" as HTTP header ce-{name} or as Kafka header ce_{name} (binary)",
                attribute=name,
            )


def attribute_texts(event: CloudEvent) -> Iterator[tuple[str, str]]:
    """Name and canonical string of every attribute but `datacontenttype`, which the bindings place on their own.

    Binary modes lose the type of an extension: 5 and true come back as the strings "5" and "true" (core, 3.1).
    """
    yield "specversion", SPECVERSION
    yield "id", event.id
    yield "source", event.source
    yield "type", event.type
    if event.subject is not None:
        yield "subject", event.subject
    if event.time is not None:
        yield "time", rules.format_time(event.time)
    if event.dataschema is not None:
        yield "dataschema", event.dataschema
    for name, value in sorted(event.extensions.items()):
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _version_error(version: object) -> CloudEventError:
    return CloudEventError(
        "specversion",
        f"attribute 'specversion' is {quoted(version)}, only the string '{SPECVERSION}' is known; send CloudEvents 1.0",
        attribute="specversion",
    )
