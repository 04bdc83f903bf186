"""The filter dialects of the CloudEvents Subscriptions API 0.1-wip (3.2.4.1): exact, prefix, suffix, all, any, not, sql.
And `data`, which is ours (`data.py`); the API lets there be others.

https://github.com/cloudevents/spec/blob/main/subscriptions/spec.md. A filter object has one dialect; the list is ANDed, and
empty it passes everything. Values are compared with an attribute's string form, case-sensitive; an attribute that is absent
matches nothing, so `not` of it is true. The same holds for `sql`: an error, or a value that is no Boolean, is false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from schemas.cloudevents import CloudEvent
from schemas.cloudevents.errors import bounded, escaped, quoted
from schemas.filters import cesql, data
from schemas.filters.attributes import attributes_of
from schemas.filters.cesql.nodes import Attributes
from schemas.filters.data import Data
from schemas.filters.errors import FilterError
from schemas.filters.limits import FILTER_NESTING_MAX, FILTER_PAIRS_MAX, FILTER_VALUE_CHARS_MAX, FILTERS_MAX

Predicate = Callable[[Attributes, Data], bool]

_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
}
DIALECTS: Final = (*_TESTS, "all", "any", "not", "sql", "data")
_NAME: Final = re.compile(r"[a-z0-9]+")


class Filters:
    """A compiled filter list. Immutable, so threads may share it; evaluation never raises.

    Ask first whether the event may be received, data and all: then what passes tells nothing that the event itself does not.
    """

    __slots__ = ("_predicates", "fields")

    def __init__(self, predicates: Sequence[Predicate], fields: Sequence[data.Field] = ()) -> None:
        self._predicates = tuple(predicates)
        self.fields = tuple(fields)

    def matches(self, event: CloudEvent) -> bool:
        return not self._predicates or self.passes(attributes_of(event), lambda: event.data)

    def passes(self, attributes: Attributes, seen: Data) -> bool:
        """The same for `attributes_of(event)`, when it is at hand; `seen` gives the event's data."""
        return all(predicate(attributes, seen) for predicate in self._predicates)


def compile_filters(filters: object, *, pointer: str = "") -> Filters:
    """The list of filter objects, as JSON gives it, checked whole. Raises FilterError.

    `pointer` is where the list stands in the document it comes from, for example `/filters`.
    """
    compiler = _Compiler()
    predicates = compiler.members(filters, pointer, depth=0)
    return Filters(predicates, compiler.fields)


class _Compiler:
    """Counts the filters of one list and keeps its fields; everything else is in the arguments."""

    def __init__(self) -> None:
        self._filters = 0
        self.fields: list[data.Field] = []

    def members(self, filters: object, pointer: str, depth: int) -> list[Predicate]:
        if not isinstance(filters, list):
            raise FilterError(
                "not_an_array",
                bounded(pointer),
                f"filters are a JSON array, not {type(filters).__name__}; send [{{...}}]",
                "过滤器应为 JSON 数组，其元素为过滤器对象",
            )
        return [self.one(member, f"{pointer}/{index}", depth) for index, member in enumerate(filters)]

    def one(self, member: object, pointer: str, depth: int) -> Predicate:
        self._check_limits(pointer, depth)
        dialect, content = _dialect_of(member, pointer)
        place = f"{pointer}/{dialect}"
        if dialect in _TESTS:
            return _on_texts(_TESTS[dialect], _pairs(content, place))
        if dialect == "sql":
            return _sql(content, place)
        if dialect == "data":
            fields = data.fields(content, place)
            self.fields += fields
            return lambda _, seen: _hold(fields, seen())
        if dialect == "not":
            inner = self.one(content, place, depth + 1)
            return lambda attributes, seen: not inner(attributes, seen)
        return self._several(dialect, content, place, depth)

    def _several(self, dialect: str, content: object, pointer: str, depth: int) -> Predicate:
        inner = self.members(content, pointer, depth + 1)
        if not inner:
            raise FilterError(
                "no_members",
                bounded(pointer),
                f"'{dialect}' has no filters; put in at least one, or leave it out",
                f"{dialect} 至少要包含一个过滤器",
            )
        join = all if dialect == "all" else any
        return lambda attributes, seen: join(predicate(attributes, seen) for predicate in inner)

    def _check_limits(self, pointer: str, depth: int) -> None:
        self._filters += 1
        if self._filters > FILTERS_MAX:
            raise FilterError(
                "too_many",
                bounded(pointer),
                f"more than {FILTERS_MAX} filters in one list; join them in one 'sql' with IN, or subscribe twice",
                f"过滤器超过 {FILTERS_MAX} 个，请用 sql 的 IN 合并，或拆成多个订阅",
            )
        if depth > FILTER_NESTING_MAX:
            raise FilterError(
                "too_deep",
                bounded(pointer),
                f"filters nest deeper than {FILTER_NESTING_MAX}; flatten them",
                f"过滤器嵌套超过 {FILTER_NESTING_MAX} 层，请简化",
            )


def _dialect_of(member: object, pointer: str) -> tuple[str, object]:
    if not isinstance(member, dict):
        raise FilterError(
            "not_an_object",
            bounded(pointer),
            f'a filter is a JSON object, not {type(member).__name__}; send for example {{"exact": {{"type": "..."}}}}',
            "过滤器应为 JSON 对象",
        )
    for name in member:
        if name not in DIALECTS:
            raise FilterError(
                "unknown_dialect",
                bounded(f"{pointer}/{escaped(str(name))}"),
                f"the dialect {quoted(name)} is not known; there are {', '.join(DIALECTS)}",
                f"不支持过滤方言 {quoted(name)}，可用的有 {'、'.join(DIALECTS)}",
            )
    if len(member) != 1:
        raise FilterError(
            "not_one_dialect",
            bounded(pointer),
            f"a filter has exactly one dialect, this one has {len(member)}; join several with 'all'",
            f"每个过滤器只能有一种方言，此处有 {len(member)} 种，请用 all 组合",
        )
    return next(iter(member.items()))


def _pairs(content: object, pointer: str) -> list[tuple[str, str]]:
    if not isinstance(content, Mapping):
        raise _value_error(pointer, f"expected an object of attributes and values, not {type(content).__name__}")
    if not 1 <= len(content) <= FILTER_PAIRS_MAX:
        raise FilterError(
            "no_pairs" if not content else "too_many",
            bounded(pointer),
            f"a filter names 1 to {FILTER_PAIRS_MAX} attributes, this one {len(content)}; correct it",
            f"过滤器应列出 1 至 {FILTER_PAIRS_MAX} 个属性，此处有 {len(content)} 个",
        )
    for name, value in content.items():
        _check_pair(name, value, bounded(f"{pointer}/{escaped(str(name))}"))
    return list(content.items())


def _check_pair(name: object, value: object, pointer: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "data":
        raise FilterError(
            "attribute_name",
            pointer,
            f"{quoted(name)} is no attribute's name; use a-z and 0-9 only; for the data there is the dialect 'data'",
            f"属性名 {quoted(name)} 不合规：只能用小写字母和数字；数据内容请用 data 方言",
        )
    if not isinstance(value, str):
        raise _value_error(pointer, f"the value for '{name}' is {type(value).__name__}, expected a string, as in \"5\"")
    if not value:
        raise FilterError(
            "empty_value",
            pointer,
            f"the value for '{name}' is empty; write at least one character",
            f"属性 {name} 的比较值不能为空",
        )
    if len(value) > FILTER_VALUE_CHARS_MAX:
        raise FilterError(
            "value_too_long",
            pointer,
            f"the value for '{name}' has {len(value)} characters, at most {FILTER_VALUE_CHARS_MAX} are taken; shorten it",
            f"属性 {name} 的比较值超过 {FILTER_VALUE_CHARS_MAX} 个字符，请缩短",
        )


def _on_texts(test: Callable[[str, str], bool], pairs: list[tuple[str, str]]) -> Predicate:
    def predicate(attributes: Attributes, _: Data) -> bool:
        for name, wanted in pairs:
            value = attributes.get(name)
            if value is None or not test(value if type(value) is str else str(value).lower(), wanted):
                return False
        return True

    return predicate


def _hold(fields: Sequence[data.Field], value: object) -> bool:
    return all(field.holds(value) for field in fields)


def _sql(content: object, pointer: str) -> Predicate:
    if not isinstance(content, str):
        raise _value_error(pointer, f"'sql' is {type(content).__name__}, expected an expression as a string")
    try:
        expression = cesql.parse(content)
    except cesql.ParseError as error:
        raise FilterError("expression", bounded(pointer), error.message, error.message_zh, position=error.position) from None
    return lambda attributes, _: expression.matches(attributes)


def _value_error(pointer: str, message: str) -> FilterError:
    return FilterError("value_type", bounded(pointer), message, "此处的值类型不对，请按过滤方言的格式填写")
