"""Comparison and arithmetic of CESQL (norm, 3.4.2), on values whose evaluation did not fail."""

from collections.abc import Callable
from typing import Final

from schemas.cloudevents.attributes import INT32_MAX, INT32_MIN
from schemas.filters.cesql.casts import CASTS, to_integer
from schemas.filters.cesql.errors import Failure
from schemas.filters.cesql.nodes import Value

Compare = Callable[[Value, Value, list[Failure]], bool]
Calculate = Callable[[int, int, list[Failure]], int]


def equal(x: Value, y: Value, failures: list[Failure]) -> bool:
    """`=` exists for all three types, so the right operand's type decides (3.7)."""
    kind = type(y)
    if type(x) is not kind:
        x = CASTS[kind](x, failures)
        if failures:
            return False
    return x == y


def unequal(x: Value, y: Value, failures: list[Failure]) -> bool:
    return not equal(x, y, failures) and not failures


def _ordered(holds: Callable[[int, int], bool]) -> Compare:
    def compare(x: Value, y: Value, failures: list[Failure]) -> bool:
        left, right = to_integer(x, failures), to_integer(y, failures)
        return not failures and holds(left, right)

    return compare


def _within(result: int, failures: list[Failure]) -> int:
    """The norm leaves overflow open; a result that is no Integer cannot be one (3.1), so it is a math error and 0."""
    if INT32_MIN <= result <= INT32_MAX:
        return result
    failures.append(Failure("math", f"the result {result} is no 32-bit integer"))
    return 0


def negative(x: int, failures: list[Failure]) -> int:
    return _within(-x, failures)


def _add(x: int, y: int, failures: list[Failure]) -> int:
    return _within(x + y, failures)


def _subtract(x: int, y: int, failures: list[Failure]) -> int:
    return _within(x - y, failures)


def _multiply(x: int, y: int, failures: list[Failure]) -> int:
    return _within(x * y, failures)


def _divide(x: int, y: int, failures: list[Failure]) -> int:
    """Rounded towards 0, where Python's // rounds down."""
    if y == 0:
        failures.append(Failure("math", f"{x} / 0: division by zero"))
        return 0
    quotient = abs(x) // abs(y)
    return _within(quotient if (x < 0) is (y < 0) else -quotient, failures)


def _remainder(x: int, y: int, failures: list[Failure]) -> int:
    """With the sign of `x`, where Python's % has that of `y`."""
    if y == 0:
        failures.append(Failure("math", f"{x} % 0: division by zero"))
        return 0
    rest = abs(x) % abs(y)
    return -rest if x < 0 else rest


COMPARISONS: Final[dict[str, Compare]] = {
    "=": equal,
    "!=": unequal,
    "<>": unequal,
    "<": _ordered(int.__lt__),
    "<=": _ordered(int.__le__),
    ">": _ordered(int.__gt__),
    ">=": _ordered(int.__ge__),
}
CALCULATIONS: Final[dict[str, Calculate]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _remainder,
}
