"""The quick way from a structured event's bytes to a fact: what it accepts, the strict codec accepts with the same result.

It answers None wherever it is not sure (an unusual attribute, a character beyond printable ASCII, any fault), and the strict
codec then decides and explains. About a quarter of the codec's time, which was half of a worker's
(docs/explanation/performance.md); a property test holds the two together.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from schemas import traceparent
from schemas.cloudevents import DATA_DEPTH_MAX, EVENT_BYTES_MAX, CloudEvent, CloudEventError, json_format
from schemas.cloudevents.event import event_vouched_for
from schemas.contract import KEY_CHARS_MAX, Contract, Fact
from schemas.structs import struct_of


class Plain(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The members that a plain event has; any other member makes it unusual."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Any
    datacontenttype: str | UnsetType = UNSET
    partitionkey: str | UnsetType = UNSET
    causationid: str | UnsetType = UNSET
    correlationid: str | UnsetType = UNSET
    recordedtime: str | UnsetType = UNSET

    def event(self, time: datetime) -> CloudEvent:
        """The same as a CloudEvent; `time` is the fact's."""
        return event_vouched_for(
            id=self.id,
            source=self.source,
            type=self.type,
            subject=self.subject,
            time=time,
            datacontenttype=None if self.datacontenttype is UNSET else self.datacontenttype,
            extensions={name: value for name in PLAIN_EXTENSIONS if (value := getattr(self, name)) is not UNSET},
            data=self.data,
        )


_decode: Final = msgspec.json.Decoder(Plain).decode
_convert: Final = msgspec.convert
_instant: Final = datetime.fromisoformat
PLAIN_EXTENSIONS: Final = ("partitionkey", "causationid", "correlationid", "recordedtime")
_SOURCES_MAX: Final = 10_000
_JSON: Final = "application/json"
_REQUIRED: Final = 7  # members
_COLONS_IN_TIME: Final = 2
_UNSURE: Final = 1 << 40
_USUAL: Final[list[tuple[str, bytes | None]]] = [("content-type", b"application/cloudevents+json")]
_STRUCTURED: Final = frozenset({b"application/cloudevents+json", b"application/cloudevents+json; charset=utf-8"})


def is_plain(headers: Sequence[tuple[str, bytes | None]] | None) -> bool:
    """Of a record: structured JSON and nothing else said of it but the trace that it belongs to."""
    if headers == _USUAL:
        return True
    if headers is None or not headers or headers[0][0] != "content-type" or headers[0][1] not in _STRUCTURED:
        return False
    return len(headers) == 1 or (len(headers) == 2 and headers[1][0] == traceparent.NAME)


class QuickReader:
    """For one set of contracts. Threads may share it: all that it keeps is sources, and these are only ever added."""

    def __init__(self, contracts: dict[str, Contract]) -> None:
        self._kinds = {wire: (contract.name, struct_of(contract.data), contract) for wire, contract in contracts.items()}
        self._sources: set[str] = set()

    def read(self, value: bytes | None) -> tuple[Fact, Contract, Plain] | None:
        """(fact, contract, the members), or None: ask the strict codec."""
        try:
            if value is None:
                return None
            event = _decode(value)
            name, form, contract = self._kinds[event.type]
            event_id, source, key, time, data = event.id, event.source, event.subject, event.time, event.data
            if event.specversion != "1.0" or len(value) > EVENT_BYTES_MAX or form is None or type(data) is not dict:
                return None
            keys = _keys_of(event) + len(data)  # of data as `_keys_in` has it, without the call: a twentieth of the whole
            for member in data.values():
                if type(member) is dict or type(member) is list:
                    keys += _keys_in(member, 2)
            is_escaped = 0x5C in value  # a number is looked for quicker than b"\\", which is taken for one first, in vain
            # Every key has a colon, so has the time twice, and an escape could hide one: no key can be there twice.
            if (is_escaped or value.count(b":") != keys + _COLONS_IN_TIME) and not _has_as_many_keys(value, keys):
                return None
            if is_escaped and b"\\u0000" in value:
                return None
            both = event_id + key
            if not (both.isascii() and both.isprintable() and event_id and key and len(key) <= KEY_CHARS_MAX):
                return None
            if source not in self._sources and not self._admits(source, value):
                return None
            if time[4:20:3] != "--T::Z" or len(time) != 20:
                _check_fraction(time)
            return Fact(name, event_id, source, key, _instant(time), _convert(data, form)), contract, event
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError):
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


def _keys_of(event: Plain) -> int:
    """How many members it has; an impossible number where one of them is not plain."""
    if event.datacontenttype is UNSET:
        keys = _REQUIRED
    elif event.datacontenttype == _JSON:
        keys = _REQUIRED + 1
    else:
        return _UNSURE
    if event.partitionkey is not UNSET:
        keys += 1 if event.partitionkey == event.subject else _plain(event.partitionkey)
    if event.causationid is not UNSET:
        keys += _plain(event.causationid)
    if event.correlationid is not UNSET:
        keys += _plain(event.correlationid)
    if event.recordedtime is not UNSET:
        keys += _plain(event.recordedtime)
    return keys


def _plain(text: str) -> int:
    """One member, if it is non-empty printable ASCII: no attribute rule can forbid it."""
    return 1 if text.isascii() and text.isprintable() and text else _UNSURE


def _has_as_many_keys(value: bytes, keys: int) -> bool:
    """As many keys in the text as in the objects: none is there twice. White space before a colon would hide one."""
    return value.count(b'":') == keys and not (b" :" in value or b"\n:" in value or b"\t:" in value or b"\r:" in value)


def _check_fraction(text: str) -> None:
    """Beside `YYYY-MM-DDThh:mm:ssZ` only a fraction of three or six digits is sure. Raises ValueError."""
    if text[4:20:3] != "--T::." or len(text) not in (24, 27) or text[-1] != "Z":
        raise ValueError("unusual form")


def _keys_in(value: Any, depth: int) -> int:
    """How many keys the objects in an object or array have; an impossible number where it goes too deep."""
    if depth > DATA_DEPTH_MAX:
        return _UNSURE
    count = 0
    members = value
    if type(value) is dict:
        count, members = len(value), value.values()
    for member in members:
        if type(member) is dict or type(member) is list:
            count += _keys_in(member, depth + 1)
    return count
