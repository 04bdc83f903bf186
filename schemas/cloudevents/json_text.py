"""Strict JSON text on the standard library: what Python's `json` lets pass and RFC 8259 or our stores do not.

Refused: encodings other than UTF-8, a byte order mark, duplicate keys, NaN, Infinity, numbers that overflow a float,
integers longer than Python converts (4,300 digits), lone surrogates (`\\ud800`), nesting beyond the limit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

from schemas.cloudevents.errors import CloudEventError, Reason, escaped, quoted
from schemas.cloudevents.limits import DATA_DEPTH_MAX

_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class _Fault(Exception):
    def __init__(self, reason: Reason, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message
        self.key = key


def parse(body: bytes, *, wrapping: int = 0, pointer: str = "") -> Any:
    """The JSON value of a body. Raises CloudEventError.

    `wrapping` is how many levels stand around the data in it (an event 1, a batch 2); `pointer` is where the body
    itself stands in the event's JSON form.
    """
    try:
        text = body.decode()
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise CloudEventError(
            "invalid_utf8", f"byte {error.start} of the JSON text is not UTF-8; send UTF-8", pointer=pointer
        ) from None
    except json.JSONDecodeError as error:
        raise _syntax_error(error, pointer) from None
    except RecursionError:
        raise _depth_error(pointer) from None
    except (_Fault, ValueError):  # the ValueError is Python's limit on the digits of an integer
        raise _located(text, pointer) from None
    if _brackets(text) > DATA_DEPTH_MAX and is_deeper(value, DATA_DEPTH_MAX + wrapping):
        raise _depth_error(pointer)
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        _refuse_lone_surrogates(value, pointer)
    return value


def dump(value: object, *, wrapping: int = 0) -> bytes:
    """Compact UTF-8 JSON, keys in the order given; nothing that `parse` would refuse. Raises CloudEventError."""
    try:
        text = _ENCODER.encode(value)
        body = text.encode()
    except RecursionError:
        raise _depth_error("/data") from None
    except UnicodeEncodeError:
        raise CloudEventError(
            "lone_surrogate", "a string holds a lone surrogate, which is no character; remove it", pointer="/data"
        ) from None
    except (TypeError, ValueError) as error:
        raise CloudEventError(
            "data_not_json", f"the data cannot be written as JSON: {error}; use JSON types only", pointer="/data"
        ) from None
    if _brackets(text) > DATA_DEPTH_MAX and is_deeper(value, DATA_DEPTH_MAX + wrapping):
        raise _depth_error("/data")
    return body


def is_deeper(value: object, depth_max: int) -> bool:
    """Whether arrays and objects nest deeper than that: level by level, so no stack is at risk."""
    level = [value] if isinstance(value, dict | list | tuple) else []
    for _ in range(depth_max):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list | tuple)
        ]
        if not level:
            return False
    return bool(level)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    raise _Fault("duplicate_key", f"the key {quoted(key)} appears twice in one object; send each key once", key)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Fault("not_finite", f"the number {quoted(digits)} is too large for a float; send a string")
    return number


def _no_constant(name: str) -> NoReturn:
    raise _Fault("not_finite", f"{name} is not a JSON number; send null or leave the member out")


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise _Fault("number_too_long", f"an integer of {len(digits)} digits is too long; send a string") from None


def _kept(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def keep_fault(argument: Any) -> Any:
        try:
            return hook(argument)
        except _Fault as fault:
            return fault

    return keep_fault


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)


def _located(text: str, pointer: str) -> CloudEventError:
    """Reads a faulty text again, this time keeping faults as values, to say where the first one stands."""
    decoder = json.JSONDecoder(
        object_pairs_hook=_kept(_unique),
        parse_float=_kept(_finite),
        parse_constant=_kept(_no_constant),
        parse_int=_kept(_integer),
    )
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:  # the fault came first, but the text is not JSON either
        return _syntax_error(error, pointer)
    except RecursionError:
        return _depth_error(pointer)
    for place, node in _walk(value, pointer):
        if isinstance(node, _Fault):
            key = "" if node.key is None else f"/{escaped(node.key)}"
            return CloudEventError(node.reason, f"{_named(place)}: {node.message}", pointer=f"{place}{key}")
    raise AssertionError("a fault was raised, so the second reading keeps one")


def _refuse_lone_surrogates(value: object, pointer: str) -> None:
    for place, node in _walk(value, pointer):
        texts = node if isinstance(node, dict) else (node,) if isinstance(node, str) else ()
        if any(_LONE_SURROGATE.search(text) for text in texts):
            raise CloudEventError(
                "lone_surrogate",
                f"{_named(place)}: a lone surrogate escape is no character; send both halves or none",
                pointer=place,
            )


def _walk(value: object, pointer: str) -> Iterator[tuple[str, object]]:
    """Every value with its JSON pointer, in the order of the text."""
    waiting = [(pointer, value)]
    while waiting:
        place, node = waiting.pop()
        yield place, node
        if isinstance(node, dict):
            waiting.extend((f"{place}/{escaped(key)}", child) for key, child in reversed(node.items()))
        elif isinstance(node, list):
            waiting.extend((f"{place}/{index}", node[index]) for index in reversed(range(len(node))))


def _syntax_error(error: json.JSONDecodeError, pointer: str) -> CloudEventError:
    fault = "it begins with a byte order mark" if error.doc.startswith("\ufeff") else error.msg
    message = f"the text is not JSON: {fault}, at character {error.pos}; correct it there"
    return CloudEventError("invalid_json", message, pointer=pointer)


def _brackets(text: str) -> int:
    """More than the depth, and cheap."""
    return text.count("{") + text.count("[")


def _named(place: str) -> str:
    return quoted(place) if place else "top level"


def _depth_error(pointer: str) -> CloudEventError:
    return CloudEventError(
        "too_deep", f"arrays and objects in data nest deeper than {DATA_DEPTH_MAX}; flatten the data", pointer=pointer
    )
