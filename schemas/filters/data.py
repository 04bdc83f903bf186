"""The dialect `data`, ours beside the standard ones: what stands in an event's JSON data at a JSON Pointer (RFC 6901).

  {"data": {"/call_id": "C-1", "/budget": {"at_least": 5000000}, "/lead": {"prefix": "Institute"}}}

All pairs must hold. A bare value is equality; an object has one or more of TESTS. Numbers compare with numbers and text with
text by code point, so dates as YYYY-MM-DD compare too; all else, and a pointer that leads nowhere, is no match.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.cloudevents.errors import bounded, escaped, quoted
from schemas.filters.errors import FilterError
from schemas.filters.limits import FILTER_PAIRS_MAX, FILTER_VALUE_CHARS_MAX, IN_MEMBERS_MAX, POINTER_CHARS_MAX

# The event's data when it is asked for: parsing it costs more than most filters.
Data = Callable[[], object]
Test = Callable[[object], bool]

_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)+", re.DOTALL)
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_NOWHERE: Final = object()


class Field(NamedTuple):
    """One place in the data that a filter looks at. `at` is the pair's own pointer in the document it was sent in."""

    at: str
    tokens: tuple[str, ...]
    tests: tuple[Test, ...]

    def holds(self, data: object) -> bool:
        """Whether what stands there passes all tests."""
        value = _value_at(data, self.tokens)
        return value is not _NOWHERE and all(test(value) for test in self.tests)


def fields(content: object, pointer: str) -> list[Field]:
    """The pairs of one filter; `pointer` is where it stands. Raises FilterError."""
    if not isinstance(content, Mapping):
        raise _error(
            "value_type",
            pointer,
            f"expected an object of JSON Pointers and values, not {type(content).__name__}",
            "应为对象：键是 JSON 指针，值是要比较的内容",
        )
    if not 1 <= len(content) <= FILTER_PAIRS_MAX:
        raise _error(
            "no_pairs" if not content else "too_many",
            pointer,
            f"a filter names 1 to {FILTER_PAIRS_MAX} places in the data, this one {len(content)}; correct it",
            f"过滤器应列出数据中的 1 至 {FILTER_PAIRS_MAX} 处，此处有 {len(content)} 处",
        )
    return [_field(name, wanted, f"{pointer}/{escaped(str(name))}") for name, wanted in content.items()]


def _field(name: object, wanted: object, at: str) -> Field:
    if not isinstance(name, str) or len(name) > POINTER_CHARS_MAX or not _POINTER.fullmatch(name):
        raise _error(
            "data_pointer",
            at,
            f"{quoted(name)} is no JSON Pointer of at most {POINTER_CHARS_MAX} characters; write /budget or /lead/name",
            f"{quoted(name)} 不是 JSON 指针（至多 {POINTER_CHARS_MAX} 个字符），应写作 /budget 或 /lead/name",
        )
    tokens = tuple(token.replace("~1", "/").replace("~0", "~") for token in name.split("/")[1:])
    if not isinstance(wanted, Mapping):
        return Field(at, tokens, (_equal(wanted, at),))
    if not wanted:
        raise _error("no_pairs", at, f"no test is given; write a value, or some of {_NAMES}", f"缺少比较条件，可用：{_NAMES}")
    return Field(at, tokens, tuple(_test(test, value, f"{at}/{escaped(str(test))}") for test, value in wanted.items()))


def _test(name: object, wanted: object, at: str) -> Test:
    made = TESTS.get(name) if isinstance(name, str) else None
    if made is None:
        raise _error(
            "unknown_test",
            at,
            f"the test {quoted(name)} is not known; there are {_NAMES}",
            f"不支持比较条件 {quoted(name)}，可用的有 {_NAMES}",
        )
    return made(wanted, at)


def _equal(wanted: object, at: str) -> Test:
    kind = _kind_of(wanted, at, (str, float, bool))
    return lambda value: _kind(value) is kind and value == wanted


def _in(wanted: object, at: str) -> Test:
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= IN_MEMBERS_MAX:
        raise _error(
            "value_type", at, f"expected an array of 1 to {IN_MEMBERS_MAX} values", f"应为含 1 至 {IN_MEMBERS_MAX} 个值的数组"
        )
    members = {(_kind_of(one, f"{at}/{index}", (str, float, bool)), one) for index, one in enumerate(wanted)}
    return lambda value: (kind := _kind(value)) is not None and (kind, value) in members


def _prefix(wanted: object, at: str) -> Test:
    text = _text(wanted, at)
    return lambda value: isinstance(value, str) and value.startswith(text)


def _suffix(wanted: object, at: str) -> Test:
    text = _text(wanted, at)
    return lambda value: isinstance(value, str) and value.endswith(text)


def _at_least(wanted: Any, at: str) -> Test:
    kind = _kind_of(wanted, at, (str, float))
    return lambda value: _kind(value) is kind and value >= wanted


def _at_most(wanted: Any, at: str) -> Test:
    kind = _kind_of(wanted, at, (str, float))
    return lambda value: _kind(value) is kind and value <= wanted


TESTS: Final[Mapping[str, Callable[[object, str], Test]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "in": _in,
    "at_least": _at_least,
    "at_most": _at_most,
}
_NAMES: Final = ", ".join(TESTS)


def _kind(value: object) -> type | None:
    """What is comparable with what: text, number, boolean. JSON's true is no number, though Python's is."""
    if isinstance(value, str):
        return str
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else None


def _kind_of(wanted: object, at: str, kinds: Sequence[type]) -> type:
    kind = _kind(wanted)
    if kind is None or kind not in kinds:
        expected = "text or a number" if bool not in kinds else "text, a number or a boolean"
        raise _error("value_type", at, f"expected {expected}, not {type(wanted).__name__}", "此处的值类型不对：应为文本或数字")
    if kind is str:
        _text(wanted, at)
    return kind


def _text(wanted: object, at: str) -> str:
    if not isinstance(wanted, str):
        raise _error("value_type", at, f"expected text, not {type(wanted).__name__}", "此处应为文本")
    if not wanted:
        raise _error("empty_value", at, "the value is empty; write at least one character", "比较值不能为空")
    if len(wanted) > FILTER_VALUE_CHARS_MAX:
        raise _error(
            "value_too_long",
            at,
            f"the value has {len(wanted)} characters, at most {FILTER_VALUE_CHARS_MAX} are taken; shorten it",
            f"比较值超过 {FILTER_VALUE_CHARS_MAX} 个字符，请缩短",
        )
    return wanted


def _value_at(data: object, tokens: Sequence[str]) -> object:
    for token in tokens:
        if isinstance(data, dict):
            data = data.get(token, _NOWHERE)
        elif isinstance(data, list) and _INDEX.fullmatch(token) and int(token) < len(data):
            data = data[int(token)]
        else:
            return _NOWHERE
    return data


def _error(reason: Any, at: str, message: str, message_zh: str) -> FilterError:
    return FilterError(reason, bounded(at), message, message_zh)
