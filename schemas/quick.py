"""The quick way from a structured event's bytes to a fact: what it accepts, the strict codec accepts with the same result.

It answers None wherever it is not sure (an unusual attribute, a character beyond printable ASCII, any fault), and the strict
codec then decides and explains. About a third of the codec's time, which was half of a worker's
(docs/explanation/performance.md); a property test holds the two together.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.cloudevents import DATA_DEPTH_MAX, EVENT_BYTES_MAX, CloudEventError, json_format
from schemas.cloudevents.json_text import is_deeper
from schemas.contract import KEY_CHARS_MAX, Contract, Fact
from schemas.structs import struct_of

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_convert: Final = msgspec.convert
_instant: Final = datetime.fromisoformat
PLAIN_EXTENSIONS: Final = ("partitionkey", "causationid", "correlationid", "recordedtime")
_KNOWN: Final = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", *PLAIN_EXTENSIONS}
)
_SOURCES_MAX: Final = 10_000
_JSON: Final = "application/json"
_DEPTH_MAX: Final = 16
_UNSURE: Final = 1 << 40


class QuickReader:
    """For one set of contracts. Not for two threads at once to write to; sources are only ever added."""

    def __init__(self, contracts: dict[str, Contract]) -> None:
        self._kinds = {wire: (contract.name, struct_of(contract.data), contract) for wire, contract in contracts.items()}
        self._sources: set[str] = set()

    def read(self, value: bytes | None) -> tuple[Fact, str, Contract, dict[str, Any]] | None:
        """(fact, wire type, contract, the JSON's members), or None: ask the strict codec."""
        try:
            if value is None:
                return None
            event = _decode(value)
            wire_type, event_id, source, key, time = (
                event["type"],
                event["id"],
                event["source"],
                event["subject"],
                event["time"],
            )
            name, form, contract = self._kinds[wire_type]
            data = event["data"]
            if event["specversion"] != "1.0" or len(value) > EVENT_BYTES_MAX or form is None:
                return None
            # The usual members; any others are looked at one by one.
            is_usual = len(event) == 9 and event.get("datacontenttype") == _JSON and event.get("partitionkey") == key
            if not is_usual and not _has_plain_members(event):
                return None
            if _encode(event) != value and not _has_each_key_once(event, value):
                return None
            if b"\\" in value and b"\\u0000" in value:
                return None
            if (
                not _is_flat(data)
                and value.count(b"{") + value.count(b"[") > DATA_DEPTH_MAX
                and is_deeper(data, DATA_DEPTH_MAX)
            ):
                return None
            both = event_id + key
            if not (both.isascii() and both.isprintable() and event_id and key and len(key) <= KEY_CHARS_MAX):
                return None
            if source not in self._sources and not self._admits(source, value):
                return None
            if time[4:20:3] != "--T::Z" or len(time) != 20:
                _check_fraction(time)
            return Fact(name, event_id, source, key, _instant(time), _convert(data, form)), wire_type, contract, event
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
            return None  # whatever is wrong, the strict codec names it

    def _admits(self, source: str, value: bytes) -> bool:
        """A source seen for the first time is judged by the strict codec, once."""
        if len(self._sources) >= _SOURCES_MAX:
            return False
        try:
            json_format.decode(value)
        except CloudEventError:
            return False
        self._sources.add(source)
        return True


def _has_each_key_once(event: dict[str, Any], value: bytes) -> bool:
    """For JSON that is not written as we would (then it has no key twice): as many keys in the text as in the objects.

    White space before a colon would hide a key from the count.
    """
    if value.count(b'":') != len(event) + _keys_in(event["data"], 0):
        return False
    return not (b" :" in value or b"\n:" in value or b"\t:" in value or b"\r:" in value)


def _has_plain_members(event: dict[str, Any]) -> bool:
    if not event.keys() <= _KNOWN or event.get("datacontenttype", _JSON) != _JSON:
        return False
    return all(_is_plain(event[extension]) for extension in PLAIN_EXTENSIONS if extension in event)


def _is_flat(data: Any) -> bool:
    """Whether no member of an object is itself an object or array."""
    if type(data) is not dict:
        return False
    for member in data.values():  # noqa: SIM110 - a generator takes thrice the time
        if type(member) is dict or type(member) is list:
            return False
    return True


def _is_plain(text: Any) -> bool:
    """Non-empty printable ASCII: no attribute rule can forbid it."""
    return type(text) is str and text.isascii() and text.isprintable() and text != ""


def _check_fraction(text: str) -> None:
    """Beside `YYYY-MM-DDThh:mm:ssZ` only a fraction of three or six digits is sure. Raises ValueError."""
    if text[4:20:3] != "--T::." or len(text) not in (24, 27) or text[-1] != "Z":
        raise ValueError("unusual form")


def _keys_in(value: Any, depth: int) -> int:
    """How many keys the objects in a JSON value have; an impossible number where it goes too deep to be sure."""
    if depth > _DEPTH_MAX:
        return _UNSURE
    if type(value) is dict:
        count = len(value)
        for inner in value.values():
            if type(inner) is dict or type(inner) is list:
                count += _keys_in(inner, depth + 1)
        return count
    if type(value) is list:
        return sum(_keys_in(inner, depth + 1) for inner in value if type(inner) is dict or type(inner) is list)
    return 0
