"""What a filter sees of an event: its context attributes by name, never its data.

Integers and booleans keep their type for CESQL; everything else is text (CESQL, 3.2). `time` is the text a receiver gets:
RFC 3339 in UTC from an event of ours, or as it is written where only the text of an event is at hand.
"""

import re
from typing import Final

from schemas.cloudevents import CloudEvent, json_format, json_text
from schemas.cloudevents.attributes import format_time
from schemas.cloudevents.event import SPECVERSION
from schemas.filters.cesql.nodes import Value

# RFC 3339 allows a space for the T, for people's sake (5.6, note); the codec does not.
_SPACED_TIME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ")


def attributes_of(event: CloudEvent) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        **event.extensions,
        "specversion": SPECVERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
    }
    if event.subject is not None:
        attributes["subject"] = event.subject
    if event.time is not None:
        attributes["time"] = format_time(event.time)
    if event.datacontenttype is not None:
        attributes["datacontenttype"] = event.datacontenttype
    if event.dataschema is not None:
        attributes["dataschema"] = event.dataschema
    return attributes


def attributes_as_written(body: bytes) -> dict[str, Value]:
    """Of an event's JSON text: the same, but `time` keeps its offset and digits. Raises CloudEventError."""
    members = json_text.parse(body, wrapping=1)
    time = members.get("time") if isinstance(members, dict) else None
    if not isinstance(time, str):
        return attributes_of(json_format.decode(body))
    members["time"] = _SPACED_TIME.sub(r"\1T", time, count=1)
    attributes = attributes_of(json_format.decode(json_text.dump(members, wrapping=1)))
    attributes["time"] = time
    return attributes
