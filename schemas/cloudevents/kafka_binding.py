"""CloudEvents over Kafka: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md.

Header `content-type` chooses the mode: structured, else binary (attributes in `ce_` headers, plain UTF-8, no
percent-encoding). Kafka header names are case-sensitive; only lower case counts. There is no batch mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from schemas.cloudevents import json_format
from schemas.cloudevents.content import is_json, read_data, write_data
from schemas.cloudevents.errors import CloudEventError, quoted
from schemas.cloudevents.event import ABSENT, CloudEvent, attribute_texts, event_from, refuse_missing
from schemas.cloudevents.http_binding import binary_content_type
from schemas.cloudevents.limits import EVENT_BYTES_MAX, check_size

_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_STRUCTURED: Final = "application/cloudevents"


class Record(NamedTuple):
    """What a producer takes. A None `value` is a tombstone on a compacted topic."""

    key: bytes | None
    headers: list[tuple[str, bytes]]
    value: bytes | None


def decode(
    headers: Sequence[tuple[str, bytes | None]] | None,
    value: bytes | None,
    *,
    event_bytes_max: int = EVENT_BYTES_MAX,
) -> CloudEvent:
    """The event of a record. The record's key is no part of it. Raises CloudEventError.

    A header with a null value counts as absent. Names that are not lower case are ignored; when a required attribute is
    missing for that reason, the error is `header_case`. In binary mode a null value means no data, and so does an empty
    one under JSON content, because the official Python SDK writes that.
    """
    known = _collect(headers or ())
    content_type = known.pop(_CONTENT_TYPE, None)
    try:
        if content_type is not None and content_type.lower().startswith(_STRUCTURED):
            return _decode_structured(content_type, value, event_bytes_max)
        return _decode_binary(known, content_type, value, event_bytes_max)
    except CloudEventError as error:
        if error.reason == "missing_attribute" and (miscased := _miscased(headers or ())):
            raise _case_error(miscased, error) from None
        raise


def is_structured(headers: Sequence[tuple[str, bytes | None]] | None) -> bool:
    """Whether the value of a record that `decode` took is the whole event as JSON."""
    given = next((raw for name, raw in headers or () if name == _CONTENT_TYPE), None)
    return given is not None and given.lower().startswith(_STRUCTURED.encode("ascii"))


def encode_structured(event: CloudEvent, key: str | bytes | None = None) -> Record:
    """The whole event as JSON in the value, so never a tombstone. The key is the caller's; see `partition_key`."""
    headers = [(_CONTENT_TYPE, json_format.MEDIA_TYPE.encode("ascii"))]
    return Record(_key_bytes(key), headers, json_format.encode(event))


def encode_binary(event: CloudEvent, key: str | bytes | None = None, *, compacted: bool = False) -> Record:
    """Attributes in headers, the data alone in the value; without data the value is None.

    Raises `tombstone` for an event without data when the topic is `compacted`: its record would delete the key.
    """
    if compacted and event.data is ABSENT:
        raise CloudEventError(
            "tombstone",
            "an event without data would be a tombstone on a compacted topic; send it structured",
            pointer="/data",
        )
    headers = [(f"{_PREFIX}{name}", text.encode()) for name, text in attribute_texts(event)]
    content_type = binary_content_type(event)
    if content_type is not None:
        headers.append((_CONTENT_TYPE, content_type.encode("ascii")))
    value = None if event.data is ABSENT else write_data(event.data, content_type)
    return Record(_key_bytes(key), headers, value)


def partition_key(event: CloudEvent) -> str | None:
    """The opt-in key mapper: the extension `partitionkey` as it is, None without it. The event keeps the attribute."""
    key = event.extensions.get("partitionkey")
    return None if key is None else str(key)


def _collect(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Our headers by full name, as text."""
    known: dict[str, str] = {}
    for name, raw in headers:
        if raw is None or not (name == _CONTENT_TYPE or name.startswith(_PREFIX)):
            continue
        attribute = "datacontenttype" if name == _CONTENT_TYPE else name.removeprefix(_PREFIX)
        if name in known:
            raise CloudEventError(
                "duplicate_header", f"the header {quoted(name)} came more than once; send it once", attribute=attribute
            )
        try:
            known[name] = raw.decode()
        except UnicodeDecodeError:
            raise CloudEventError(
                "header_encoding", f"the header {quoted(name)} is not UTF-8; send UTF-8 as it is", attribute=attribute
            ) from None
    return known


def _decode_structured(content_type: str, value: bytes | None, event_bytes_max: int) -> CloudEvent:
    json_format.check_format(content_type, json_format.MEDIA_TYPE)
    if value is None:
        raise CloudEventError("tombstone", "a structured event has a value, this record has none; send the event as JSON")
    return json_format.decode(value, event_bytes_max=event_bytes_max)


def _decode_binary(headers: dict[str, str], content_type: str | None, value: bytes | None, event_bytes_max: int) -> CloudEvent:
    if "ce_datacontenttype" in headers:
        raise CloudEventError(
            "header_forbidden",
            "the header ce_datacontenttype must not be sent; say the data's type in content-type alone",
            attribute="datacontenttype",
        )
    size_bytes = len(value or b"") + sum(map(len, headers.values()))
    check_size(size_bytes, event_bytes_max, "the event (ce_ headers and value)")
    attributes: dict[str, Any] = {name.removeprefix(_PREFIX): text for name, text in headers.items()}
    attributes["datacontenttype"] = content_type
    refuse_missing(attributes)
    if value is None or (not value and content_type is not None and is_json(content_type)):
        return event_from(attributes, ABSENT)
    return event_from(attributes, read_data(value, content_type))


def _miscased(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """The first header that would be ours in lower case."""
    for name, _ in headers:
        lowered = name.lower()
        if name != lowered and (lowered == _CONTENT_TYPE or lowered.startswith(_PREFIX)):
            return name
    return None


def _case_error(header: str, missing: CloudEventError) -> CloudEventError:
    return CloudEventError(
        "header_case",
        f"attribute '{missing.attribute}' is missing, and the header {quoted(header)} is not lower case;"
        f" Kafka header names are case-sensitive: send {quoted(header.lower())}",
        attribute=missing.attribute,
    )


def _key_bytes(key: str | bytes | None) -> bytes | None:
    return key.encode() if isinstance(key, str) else key
