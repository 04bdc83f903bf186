"""The built-in functions (norm, 3.5, and the casts that its examples and test kit name), by name and arity.

IS_INT and IS_BOOL are no part of 1.0.0; earlier drafts had them: whether the cast would succeed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from schemas.cloudevents.attributes import INT32_MAX, INT32_MIN
from schemas.filters.cesql.casts import to_boolean, to_integer, to_text
from schemas.filters.cesql.errors import Failure, Kind
from schemas.filters.cesql.nodes import Value
from schemas.filters.limits import TEXT_CHARS_MAX

# Unicode's property White_Space. Python's strip() takes U+001C to U+001F too, which are control characters.
_WHITE_SPACE: Final = "\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

Failures = list[Failure]


@dataclass(frozen=True, slots=True)
class Function:
    """`apply` takes the failures first, then the arguments, cast to `parameters` and then `rest`.

    A type is str, int, bool, or object for the norm's Any; `returns()` is the zero value.
    """

    apply: Callable[..., Value]
    parameters: tuple[type, ...]
    returns: type[str] | type[int] | type[bool]
    rest: type | None = None

    def types(self, arity: int) -> tuple[type, ...]:
        """The parameter types of a call with so many arguments."""
        return self.parameters if self.rest is None else self.parameters + (self.rest,) * (arity - len(self.parameters))


def resolve(name: str, arity: int) -> Function | None:
    """The function of an upper-case name that takes so many arguments."""
    fixed = _FIXED.get((name, arity))
    if fixed is not None:
        return fixed
    variadic = _VARIADIC.get(name)
    return variadic if variadic is not None and arity >= len(variadic.parameters) else None


def _fails(failures: Failures, function: str, why: str, kind: Kind = "functionEvaluation") -> None:
    failures.append(Failure(kind, f"{function}: {why}"))


def _bounded(failures: Failures, function: str, chars: int) -> bool:
    if chars > TEXT_CHARS_MAX:
        _fails(failures, function, f"the result would have {chars} characters, at most {TEXT_CHARS_MAX} are built")
    return chars <= TEXT_CHARS_MAX


def _abs(failures: Failures, x: int) -> int:
    if x == INT32_MIN:
        _fails(failures, "ABS", f"{-x} is no 32-bit integer", "math")
        return INT32_MAX
    return abs(x)


def _length(_: Failures, x: str) -> int:
    return len(x)


def _concat(failures: Failures, *texts: str) -> str:
    return "".join(texts) if _bounded(failures, "CONCAT", sum(map(len, texts))) else ""


def _concat_ws(failures: Failures, delimiter: str, *texts: str) -> str:
    chars = sum(map(len, texts)) + len(delimiter) * max(len(texts) - 1, 0)
    return delimiter.join(texts) if _bounded(failures, "CONCAT_WS", chars) else ""


def _lower(_: Failures, x: str) -> str:
    return x.lower()


def _upper(_: Failures, x: str) -> str:
    return x.upper()


def _trim(_: Failures, x: str) -> str:
    return x.strip(_WHITE_SPACE)


def _left(failures: Failures, x: str, y: int) -> str:
    if y < 0:
        _fails(failures, "LEFT", f"{y} characters cannot be taken")
        return x
    return x[:y]


def _right(failures: Failures, x: str, y: int) -> str:
    if y < 0:
        _fails(failures, "RIGHT", f"{y} characters cannot be taken")
        return x
    return x[max(len(x) - y, 0) :]


def _substring(failures: Failures, x: str, position: int, length: int = INT32_MAX) -> str:
    """Positions count from 1, negative ones from the end; 0 is the empty string, no error."""
    if length < 0:
        _fails(failures, "SUBSTRING", f"the length {length} is negative")
        return ""
    if not -len(x) <= position <= len(x):
        _fails(failures, "SUBSTRING", f"position {position} is outside a string of {len(x)} characters")
        return ""
    if position == 0:
        return ""
    start = position - 1 if position > 0 else len(x) + position
    return x[start : start + length]


def _int(failures: Failures, x: Value) -> int:
    return to_integer(x, failures)


def _bool(failures: Failures, x: Value) -> bool:
    return to_boolean(x, failures)


def _string(failures: Failures, x: Value) -> str:
    return to_text(x, failures)


def _is(cast: Callable[[Value, Failures], Any]) -> Callable[[Failures, Value], bool]:
    def succeeds(_: Failures, x: Value) -> bool:
        ignored: Failures = []
        cast(x, ignored)
        return not ignored

    return succeeds


_FIXED: Final[dict[tuple[str, int], Function]] = {
    ("ABS", 1): Function(_abs, (int,), int),
    ("LENGTH", 1): Function(_length, (str,), int),
    ("LOWER", 1): Function(_lower, (str,), str),
    ("UPPER", 1): Function(_upper, (str,), str),
    ("TRIM", 1): Function(_trim, (str,), str),
    ("LEFT", 2): Function(_left, (str, int), str),
    ("RIGHT", 2): Function(_right, (str, int), str),
    ("SUBSTRING", 2): Function(_substring, (str, int), str),
    ("SUBSTRING", 3): Function(_substring, (str, int, int), str),
    ("INT", 1): Function(_int, (object,), int),
    ("BOOL", 1): Function(_bool, (object,), bool),
    ("STRING", 1): Function(_string, (object,), str),
    ("IS_INT", 1): Function(_is(to_integer), (object,), bool),
    ("IS_BOOL", 1): Function(_is(to_boolean), (object,), bool),
}
_VARIADIC: Final[dict[str, Function]] = {
    "CONCAT": Function(_concat, (), str, rest=str),
    "CONCAT_WS": Function(_concat_ws, (str,), str, rest=str),
}
