"""CloudEvents JSON format, one event and batch: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md.

Kafka carries events in this form (`application/cloudevents+json`); HTTP takes it as structured and batch mode.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Final

from schemas.cloudevents import json_text
from schemas.cloudevents.attributes import format_time
from schemas.cloudevents.content import foreign_charset
from schemas.cloudevents.errors import CloudEventError, quoted
from schemas.cloudevents.event import ABSENT, SPECVERSION, CloudEvent, event_from
from schemas.cloudevents.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, check_size

MEDIA_TYPE: Final = "application/cloudevents+json"
BATCH_MEDIA_TYPE: Final = "application/cloudevents-batch+json"


def decode(body: bytes, *, event_bytes_max: int = EVENT_BYTES_MAX) -> CloudEvent:
    """One event from its JSON object. Raises CloudEventError."""
    check_size(len(body), event_bytes_max, "the event")
    return _event_of(json_text.parse(body, wrapping=1))


def decode_batch(
    body: bytes,
    *,
    batch_bytes_max: int = BATCH_BYTES_MAX,
    batch_events_max: int = BATCH_EVENTS_MAX,
    event_bytes_max: int = EVENT_BYTES_MAX,
) -> list[CloudEvent]:
    """The events of a JSON array, in its order; `[]` is a valid batch.

    All or nothing: the first faulty event raises CloudEventError with its index in pointer and message. The size of one
    event is that of the form `encode` gives it.
    """
    check_size(len(body), batch_bytes_max, "the batch")
    items = json_text.parse(body, wrapping=2)
    if not isinstance(items, list):
        raise CloudEventError("not_an_array", f"a batch is a JSON array, not {type(items).__name__}: send [...]")
    if len(items) > batch_events_max:
        raise CloudEventError(
            "too_many_events", f"the batch has {len(items)} events, at most {batch_events_max} are taken; split it"
        )
    may_exceed = len(body) > event_bytes_max
    events = []
    for index, item in enumerate(items):
        try:
            event = _event_of(item)
            if may_exceed:
                check_size(len(encode(event)), event_bytes_max, "the event")
        except CloudEventError as error:
            raise error.in_batch(index) from None
        events.append(event)
    return events


def encode(event: CloudEvent) -> bytes:
    """Compact UTF-8 JSON, the same bytes for the same event. Raises CloudEventError when the data is not JSON."""
    return json_text.dump(_members(event), wrapping=1)


def encode_batch(events: Iterable[CloudEvent]) -> bytes:
    """A JSON array. Send it only to a receiver that asked for batches (HTTP binding, 3)."""
    return b"[" + b",".join([encode(event) for event in events]) + b"]"


def check_format(content_type: str | None, expected: str) -> None:
    """Whether a content type of an event format is the one expected. Raises `format_unsupported` (HTTP: 415)."""
    given = content_type or ""
    if given.partition(";")[0].strip().lower() != expected:
        raise CloudEventError("format_unsupported", f"the event format {quoted(given)} is not known here; send {expected}")
    if foreign_charset(given) is not None:
        raise CloudEventError("charset_unsupported", f"the charset in {quoted(given)} is not taken; JSON is UTF-8")


def _event_of(value: Any) -> CloudEvent:
    if not isinstance(value, dict):
        raise CloudEventError("not_an_object", f"an event is a JSON object, not {type(value).__name__}; send {{...}}")
    data = value.pop("data", ABSENT)
    encoded = value.pop("data_base64", None)
    if encoded is not None:
        if data is not ABSENT:
            raise CloudEventError(
                "data_conflict", "'data' and 'data_base64' exclude each other; send one", pointer="/data_base64"
            )
        data = _from_base64(encoded)
    return event_from(value, data)


def _from_base64(encoded: object) -> bytes:
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise CloudEventError(
        "invalid_base64",
        "'data_base64' is not Base64 text; send RFC 4648's standard alphabet with padding, no line breaks",
        pointer="/data_base64",
    )


def _members(event: CloudEvent) -> dict[str, object]:
    members: dict[str, object] = {
        "specversion": SPECVERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
    }
    if event.subject is not None:
        members["subject"] = event.subject
    if event.time is not None:
        members["time"] = format_time(event.time)
    if event.datacontenttype is not None:
        members["datacontenttype"] = event.datacontenttype
    if event.dataschema is not None:
        members["dataschema"] = event.dataschema
    members.update(sorted(event.extensions.items()))
    if isinstance(event.data, bytes):
        members["data_base64"] = base64.b64encode(event.data).decode("ascii")
    elif event.data is not ABSENT:
        members["data"] = event.data
    return members
