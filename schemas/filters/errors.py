"""The one error of filter lists: which filter is wrong, why, and what to do.

ValueError
└── FilterError    reason, pointer, position, message, message_zh
"""

from typing import Literal

FilterReason = Literal[
    "not_an_array",
    "not_an_object",
    "not_one_dialect",
    "unknown_dialect",
    "no_members",
    "no_pairs",
    "attribute_name",
    "data_pointer",
    "unknown_test",
    "value_type",
    "empty_value",
    "value_too_long",
    "expression",
    "too_many",
    "too_deep",
]


class FilterError(ValueError):
    """A filter list that breaks the Subscriptions API or a limit of ours.

    `pointer` is a JSON pointer (RFC 6901) into the list, or behind the prefix the caller gave. `position` is the character
    (from 0) in a CESQL expression that does not parse, else None.
    """

    def __init__(
        self, reason: FilterReason, pointer: str, message: str, message_zh: str, *, position: int | None = None
    ) -> None:
        super().__init__(message)
        self.reason: FilterReason = reason
        self.pointer = pointer
        self.position = position
        self.message = message
        self.message_zh = message_zh
