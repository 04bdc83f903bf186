"""Limits of filters, each with its name. A filter runs for every event, so what a subscriber sends is bounded."""

from typing import Final

# One CESQL expression, in characters.
EXPRESSION_CHARS_MAX: Final = 4096
# Operators and calls inside one another. Chains of binary operators (a OR b OR c) and bare parentheses do not nest.
EXPRESSION_NESTING_MAX: Final = 64
# Elements of one IN list.
IN_MEMBERS_MAX: Final = 500
# What a function may build. Attributes are short, but a function can repeat one a thousand times.
TEXT_CHARS_MAX: Final = 1024 * 1024
# Characters of the text times characters of the pattern, for the patterns that cannot be matched in linear time.
LIKE_STEPS_MAX: Final = 1_000_000

# Filter objects of one subscription, nested ones included, and how deep they nest.
FILTERS_MAX: Final = 200
FILTER_NESTING_MAX: Final = 16
# Pairs of one exact, prefix or suffix filter, and the length of a value.
FILTER_PAIRS_MAX: Final = 50
FILTER_VALUE_CHARS_MAX: Final = 4096
# A JSON Pointer into an event's data.
POINTER_CHARS_MAX: Final = 512
