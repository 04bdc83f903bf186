"""Rules of context attributes: names, types, characters, URIs, times, media types (CloudEvents 1.0.2, section 3).

Every check takes the attribute's name and value, returns nothing (or the parsed value) and raises `CloudEventError`.
The happy path is compiled regular expressions only.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from schemas.cloudevents.errors import CloudEventError, quoted

INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1
CORE_ATTRIBUTES: Final = frozenset(("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"))
# `data` may not name an attribute at all; the core names may not name an extension.
RESERVED_NAMES: Final = CORE_ATTRIBUTES | {"data"}

# A wrong name up to this long is repeated whole in the error.
NAME_SHOWN_MAX: Final = 60

_NAME: Final = re.compile(r"[a-z0-9]+")
_NONCHARACTERS: Final = "".join(chr(plane << 16 | low) for plane in range(1, 17) for low in (0xFFFE, 0xFFFF))
# U+0000-001F, U+007F-009F, lone surrogates, noncharacters (core specification, type String).
_FORBIDDEN: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff{_NONCHARACTERS}]")

_URI_CHARS: Final = r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]*"
_URI_REST: Final = rf"{_URI_CHARS}(?:%[0-9A-Fa-f]{{2}}{_URI_CHARS})*"
_URI_REFERENCE: Final = re.compile(rf"{_URI_REST}(?:#{_URI_REST})?")
_ABSOLUTE_URI: Final = re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*:(?!\Z){_URI_REST}(?:#{_URI_REST})?")

_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?P<second>[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110's word for a name, no secret
_MEDIA_TYPE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}[ \t]*(?:;[\t\x20-\x7e]*)?")


def check_text(name: str, value: object) -> str:
    """A string without control characters, lone surrogates and noncharacters; it may be empty."""
    if not isinstance(value, str):
        raise CloudEventError(
            "attribute_type",
            f"attribute '{name}' is {type(value).__name__}, expected a string; send it as a string",
            attribute=name,
        )
    # Printable ASCII is the common case and needs no search.
    if not (value.isascii() and value.isprintable()) and (found := _FORBIDDEN.search(value)):
        raise CloudEventError(
            "forbidden_character",
            f"attribute '{name}' holds U+{ord(found[0]):04X} at character {found.start()}; control characters,"
            " lone surrogates and noncharacters are forbidden: remove it",
            attribute=name,
        )
    return value


def check_filled(name: str, value: object) -> str:
    """A string as in `check_text`, of at least one character."""
    text = check_text(name, value)
    if not text:
        raise CloudEventError(
            "empty_attribute",
            f"attribute '{name}' is empty; send at least one character, or leave out an optional attribute",
            attribute=name,
        )
    return text


def check_source(value: object) -> None:
    """A non-empty URI-reference (RFC 3986, 4.1): ASCII, no spaces, complete percent triplets, one fragment."""
    if isinstance(value, str) and value and _URI_REFERENCE.fullmatch(value):
        return  # those characters are a part of the allowed ones
    text = check_filled("source", value)
    raise CloudEventError(
        "not_a_uri_reference",
        f"attribute 'source' is {quoted(text)}, not a URI-reference of RFC 3986; percent-encode spaces, quotes"
        " and everything outside ASCII, for example /bureau/%E7%A7%91",
        attribute="source",
    )


def check_dataschema(value: object) -> None:
    """An absolute URI (RFC 3986, 4.3). A fragment is tolerated, because schema registries point with it."""
    text = check_filled("dataschema", value)
    if not _ABSOLUTE_URI.fullmatch(text):
        raise CloudEventError(
            "not_an_absolute_uri",
            f"attribute 'dataschema' is {quoted(text)}, not an absolute URI; send it with its scheme,"
            " for example https://example.org/schema.json",
            attribute="dataschema",
        )


def check_content_type(value: object) -> None:
    """A media type `type/subtype` with optional parameters, in ASCII (RFC 2046)."""
    if value == "application/json":
        return
    text = check_text("datacontenttype", value)
    if not _MEDIA_TYPE.fullmatch(text):
        raise CloudEventError(
            "content_type",
            f"attribute 'datacontenttype' is {quoted(text)}, not a media type; send for example application/json",
            attribute="datacontenttype",
        )


def check_extension(name: object, value: object) -> None:
    """An extension: name of a-z and 0-9, not reserved (longer than 20 is only discouraged); text, int32 or bool."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        shown = name if isinstance(name, str) and name.isprintable() and len(name) <= NAME_SHOWN_MAX else quoted(name)
        raise CloudEventError(
            "attribute_name",
            f"attribute name {quoted(name)} is not allowed; use only a-z and 0-9, and none of the reserved names",
            attribute=shown,
        )
    if isinstance(value, str):
        check_text(name, value)
    elif isinstance(value, int):  # bool is an int, and in range
        if not INT32_MIN <= value <= INT32_MAX:
            raise CloudEventError(
                "integer_range",
                f"attribute '{name}' is outside the signed 32-bit range {INT32_MIN}..{INT32_MAX}; send a string",
                attribute=name,
            )
    else:
        raise CloudEventError(
            "attribute_type",
            f"attribute '{name}' is {type(value).__name__}, expected string, integer or boolean;"
            " put structured values into 'data'",
            attribute=name,
        )


def check_time(value: object) -> None:
    """An aware datetime that exists in UTC too."""
    if isinstance(value, datetime) and value.tzinfo is UTC:
        return
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise CloudEventError(
            "attribute_type",
            f"attribute 'time' is {quoted(value)}, expected a datetime with a time zone; attach one",
            attribute="time",
        )
    _in_utc(value)


def parse_time(value: object) -> datetime:
    """RFC 3339 text as an aware datetime in UTC.

    `T`/`t` and `Z`/`z` or a numeric offset; nothing looser. Fractions finer than a microsecond are cut off, not
    rounded, and the original text is not kept. A leap second (`:60`) is refused: Python's datetime cannot hold it.
    """
    text = check_text("time", value)
    match = _TIME.fullmatch(text)
    if match is None:
        raise _time_error(text)
    if match["second"] == "60":
        raise CloudEventError(
            "leap_second",
            f"attribute 'time' is {quoted(text)}, a leap second, which cannot be stored;"
            " send second 59 or the next minute's 00",
            attribute="time",
        )
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:  # the calendar: month 13, 30 February, year 0
        raise _time_error(text) from None
    return _in_utc(instant)


def format_time(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z`; six digits of fraction, or none when it is zero."""
    return f"{_in_utc(instant).replace(tzinfo=None).isoformat()}Z"


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is UTC:
        return instant
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise _time_error(str(instant)) from None


def _time_error(text: str) -> CloudEventError:
    return CloudEventError(
        "time_format",
        f"attribute 'time' is {quoted(text)}, not a time of RFC 3339; send for example 2026-03-01T08:00:00Z",
        attribute="time",
    )
