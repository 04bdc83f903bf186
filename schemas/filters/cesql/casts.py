"""Type casts of CESQL (norm, 3.7). A cast that fails appends a Failure and gives the type's zero value."""

import re
from collections.abc import Callable
from typing import Final

from schemas.cloudevents.attributes import INT32_MAX, INT32_MIN
from schemas.cloudevents.errors import quoted
from schemas.filters.cesql.errors import Failure
from schemas.filters.cesql.nodes import Value

# ASCII digits only, no spaces; leading zeros are harmless, however many.
_INTEGER: Final = re.compile(r"([+-]?)0*([0-9]{1,10})")
# An integer of as many digits may be outside the range.
_DIGITS_MAX: Final = len(str(INT32_MAX))

Cast = Callable[[Value, list[Failure]], Value]


def to_integer(value: Value, failures: list[Failure]) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str):
        if len(value) < _DIGITS_MAX and value.isdecimal() and value.isascii():
            return int(value)  # nearly all there are
        match = _INTEGER.fullmatch(value)
        number = int(match[1] + match[2]) if match else None
        if number is not None and INT32_MIN <= number <= INT32_MAX:
            return number
        failures.append(Failure("cast", f"the string {quoted(value)} is no 32-bit integer"))
        return 0
    return int(value)


def to_boolean(value: Value, failures: list[Failure]) -> bool:
    if type(value) is bool:
        return value
    if isinstance(value, str):
        lowered = value.lower()
        if lowered == "true":
            return True
        if lowered != "false":
            failures.append(Failure("cast", f"the string {quoted(value)} is neither true nor false"))
        return False
    return value != 0


def to_text(value: Value, failures: list[Failure]) -> str:  # noqa: ARG001 - one shape for all casts; this one never fails
    if type(value) is str:
        return value
    return str(value).lower()  # True is "true"


def unchanged(value: Value, failures: list[Failure]) -> Value:  # noqa: ARG001
    return value


# By target; `object` is the norm's Any.
CASTS: Final[dict[type, Cast]] = {int: to_integer, bool: to_boolean, str: to_text, object: unchanged}
