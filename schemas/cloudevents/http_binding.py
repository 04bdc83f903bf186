"""CloudEvents over HTTP: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.

The content type alone chooses the mode: batch, else structured, else binary (attributes in `ce-` headers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from schemas.cloudevents import json_format
from schemas.cloudevents.content import read_data, write_data
from schemas.cloudevents.errors import CloudEventError, quoted
from schemas.cloudevents.event import ABSENT, CloudEvent, attribute_texts, event_from, refuse_missing
from schemas.cloudevents.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, check_size

Headers = list[tuple[str, str]]

_PREFIX: Final = "ce-"
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
_UNSAFE: Final = re.compile(r"[^\x21\x23\x24\x26-\x7e]")  # space, '"', '%' and all outside printable ASCII
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Mode(StrEnum):
    BINARY = "binary"
    STRUCTURED = "structured"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Message:
    """What a request or an answer carried: one event, or those of a batch in order (maybe none)."""

    mode: Mode
    events: tuple[CloudEvent, ...]


def decode(
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    event_bytes_max: int = EVENT_BYTES_MAX,
    batch_bytes_max: int = BATCH_BYTES_MAX,
    batch_events_max: int = BATCH_EVENTS_MAX,
) -> Message:
    """The events of an HTTP message. Header names in any case. Raises CloudEventError.

    Structured and batch mode take every attribute from the body, whatever headers say. An event format we do not know
    (`application/cloudevents+avro`) raises `format_unsupported`. In binary mode an empty body means no data: HTTP
    cannot tell it from empty data.
    """
    attributes, content_type = _collect(headers)
    mode = mode_of(content_type)
    if mode is Mode.BATCH:
        json_format.check_format(content_type, json_format.BATCH_MEDIA_TYPE)
        events = json_format.decode_batch(
            body,
            batch_bytes_max=batch_bytes_max,
            batch_events_max=batch_events_max,
            event_bytes_max=event_bytes_max,
        )
        return Message(mode, tuple(events))
    if mode is Mode.STRUCTURED:
        json_format.check_format(content_type, json_format.MEDIA_TYPE)
        return Message(mode, (json_format.decode(body, event_bytes_max=event_bytes_max),))
    return Message(mode, (_decode_binary(attributes, content_type, body, event_bytes_max),))


def encode_structured(event: CloudEvent) -> tuple[Headers, bytes]:
    """Headers and body; the body holds the whole event as JSON."""
    return [("content-type", json_format.MEDIA_TYPE)], json_format.encode(event)


def encode_batch(events: Iterable[CloudEvent]) -> tuple[Headers, bytes]:
    """Headers and body of a batch. Only for a receiver that asked for batches."""
    return [("content-type", json_format.BATCH_MEDIA_TYPE)], json_format.encode_batch(events)


def encode_binary(event: CloudEvent) -> tuple[Headers, bytes]:
    """Headers (lower case, values percent-encoded) and body; the body is the data alone, empty when there is none.

    JSON data without a `datacontenttype` gets `application/json` written out, since only the JSON format implies it.
    """
    headers = [(f"{_PREFIX}{name}", encode_value(text)) for name, text in attribute_texts(event)]
    content_type = binary_content_type(event)
    if content_type is not None:
        headers.append(("content-type", content_type))
    return headers, b"" if event.data is ABSENT else write_data(event.data, content_type)


def mode_of(content_type: str | None) -> Mode:
    """The mode a content type declares. Batch is tested first: it begins like structured."""
    lowered = (content_type or "").lower()
    if lowered.startswith("application/cloudevents-batch"):
        return Mode.BATCH
    return Mode.STRUCTURED if lowered.startswith("application/cloudevents") else Mode.BINARY


def binary_content_type(event: CloudEvent) -> str | None:
    """The content type of the event's data alone. Refuses an event format: a receiver would read structured mode."""
    if event.datacontenttype is None:
        return None if event.data is ABSENT or isinstance(event.data, bytes) else "application/json"
    if mode_of(event.datacontenttype) is not Mode.BINARY:
        raise CloudEventError(
            "content_type",
            f"'datacontenttype' {quoted(event.datacontenttype)} would read as an event format; send it structured",
            attribute="datacontenttype",
        )
    return event.datacontenttype


def encode_value(text: str) -> str:
    """A header value: UTF-8, percent-encoded with upper-case digits where the binding demands (3.1.3.2)."""
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def decode_value(name: str, value: str) -> str:
    """The reverse: double quotes and their backslashes undone first, then exactly one round of percent-decoding.

    Raises `header_encoding` for raw characters outside ASCII, a stray `%`, and bytes that are not UTF-8 (`%C0%A0`).
    """
    if not value.isascii():
        raise _encoding_error(name, "holds raw characters outside ASCII")
    if value.startswith('"') and (whole := _QUOTED.fullmatch(value)):
        value = _QUOTED_PAIR.sub(r"\1", whole[1])
    if "%" not in value:
        return value
    if _BAD_PERCENT.search(value):
        raise _encoding_error(name, "holds a '%' without two hexadecimal digits")
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise _encoding_error(name, "does not decode to UTF-8") from None


def _collect(headers: Iterable[tuple[str, str]]) -> tuple[dict[str, str], str | None]:
    """The `ce-` headers, still encoded, and the content type."""
    attributes: dict[str, str] = {}
    content_types: list[str] = []
    repeated: str | None = None
    for raw_name, raw_value in headers:
        name = raw_name.lower()
        if name == "content-type":
            content_types.append(raw_value.strip(" \t"))
        elif name.startswith(_PREFIX):
            if name in attributes:
                repeated = name
            attributes[name] = raw_value.strip(" \t")
    content_type = content_types[0] if content_types else None
    if len(content_types) > 1:
        raise _repeated_error("content-type", "datacontenttype")
    if repeated is not None and mode_of(content_type) is Mode.BINARY:
        raise _repeated_error(repeated, repeated.removeprefix(_PREFIX))
    return attributes, content_type


def _decode_binary(headers: dict[str, str], content_type: str | None, body: bytes, event_bytes_max: int) -> CloudEvent:
    if "ce-datacontenttype" in headers:
        raise CloudEventError(
            "header_forbidden",
            "the header ce-datacontenttype must not be sent; say the data's type in Content-Type alone",
            attribute="datacontenttype",
        )
    check_size(len(body) + sum(map(len, headers.values())), event_bytes_max, "the event (ce- headers and body)")
    attributes: dict[str, Any] = {}
    for header, value in headers.items():
        name = header.removeprefix(_PREFIX)
        attributes[name] = decode_value(name, value)
    attributes["datacontenttype"] = content_type
    refuse_missing(attributes)
    return event_from(attributes, read_data(body, content_type) if body else ABSENT)


def _repeated_error(header: str, attribute: str) -> CloudEventError:
    return CloudEventError(
        "duplicate_header", f"the header {quoted(header)} came more than once; send it once", attribute=attribute
    )


def _encoding_error(name: str, fault: str) -> CloudEventError:
    return CloudEventError(
        "header_encoding",
        f"the header {quoted(_PREFIX + name)} {fault}; percent-encode the value's UTF-8 bytes, for example %E7%A7%91",
        attribute=name,
    )
