"""What goes wrong in CESQL: a text that is no expression, and the errors an evaluation returns beside its value.

ValueError
└── ParseError    reason, position, message, message_zh

`Failure` is no exception: evaluation is total (norm, 3.3), so its errors are values.
"""

from dataclasses import dataclass
from typing import Final, Literal

# The words of the official test kit.
Kind = Literal["parse", "math", "cast", "missingAttribute", "missingFunction", "functionEvaluation", "generic"]

ParseReason = Literal[
    "empty", "syntax", "unterminated_string", "integer_range", "reserved_word", "too_long", "too_deep", "too_many_members"
]


class ParseError(ValueError):
    """A text that is no CESQL expression, or exceeds a limit. `position` counts characters from 0."""

    kind: Final = "parse"

    def __init__(self, reason: ParseReason, position: int, message: str, message_zh: str) -> None:
        super().__init__(message)
        self.reason: ParseReason = reason
        self.position = position
        self.message = message
        self.message_zh = message_zh


@dataclass(frozen=True, slots=True)
class Failure:
    """One error of an evaluation."""

    kind: Kind
    message: str
