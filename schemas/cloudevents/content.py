"""Data as bytes under a media type: the body of binary mode, in HTTP as in Kafka.

| content type | data in the event |
| --- | --- |
| `*/json`, `*/*+json` | the JSON value |
| `text/*`, `*/xml`, `*/*+xml`, in UTF-8 | a string (bytes when they are not UTF-8 and no charset is named) |
| anything else, or none | the bytes: nothing may be assumed |
"""

from __future__ import annotations

import re
from typing import Final

from schemas.cloudevents import json_text
from schemas.cloudevents.errors import CloudEventError, quoted

_CHARSET: Final = re.compile(r';[ \t]*charset="?([^\s;"]*)', re.IGNORECASE)
_UTF8_NAMES: Final = frozenset(("utf-8", "utf8", "us-ascii"))


def is_json(content_type: str) -> bool:
    """Whether a content type declares JSON: subtype `json` or suffix `+json`; parameters and case do not matter."""
    if content_type == "application/json":
        return True
    subtype = _essence(content_type).partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def is_text(content_type: str) -> bool:
    """Whether a content type declares characters other than JSON: `text/*` or XML."""
    kind, _, subtype = _essence(content_type).partition("/")
    return kind == "text" or subtype == "xml" or subtype.endswith("+xml")


def foreign_charset(content_type: str) -> str | None:
    """The charset named, unless there is none or it is UTF-8 (or its part US-ASCII)."""
    found = _CHARSET.search(content_type)
    return None if found is None or found[1].lower() in _UTF8_NAMES else found[1]


def read_data(body: bytes, content_type: str | None) -> object:
    """The data that a body carries. JSON content that is empty or not JSON is an error. Raises CloudEventError."""
    if content_type is None:
        return body
    if is_json(content_type):
        _refuse_foreign_charset(content_type)
        return json_text.parse(body, pointer="/data")
    if is_text(content_type) and foreign_charset(content_type) is None:
        try:
            return body.decode()
        except UnicodeDecodeError:
            return body
    return body


def write_data(data: object, content_type: str | None) -> bytes:
    """The body that carries the data. Without a content type everything but bytes is JSON. Raises CloudEventError."""
    if isinstance(data, bytes):
        return data
    if content_type is None or is_json(content_type):
        if content_type is not None:
            _refuse_foreign_charset(content_type)
        return json_text.dump(data)
    if isinstance(data, str):
        _refuse_foreign_charset(content_type)
        try:
            return data.encode()
        except UnicodeEncodeError:
            raise CloudEventError(
                "lone_surrogate", "the data holds a lone surrogate, which is no character; remove it", pointer="/data"
            ) from None
    raise data_type_error(data, content_type)


def data_type_error(data: object, content_type: str) -> CloudEventError:
    return CloudEventError(
        "data_type",
        f"data under {quoted(content_type)}, which is not JSON content, is {type(data).__name__}, expected a string;"
        " send a string, or bytes as data_base64, or say application/json",
        pointer="/data",
    )


def _refuse_foreign_charset(content_type: str) -> None:
    if (charset := foreign_charset(content_type)) is not None:
        raise CloudEventError(
            "charset_unsupported",
            f"the charset {quoted(charset)} in 'datacontenttype' is not taken for text; send UTF-8",
            attribute="datacontenttype",
        )


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
