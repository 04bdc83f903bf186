"""The one error of the identifier rules.

ValueError
└── IdentifierError    reason
"""


class IdentifierError(ValueError):
    """Not an identifier of its kind. `reason` is a stable code of the module that raised it; the message says more."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def shown(text: str, *, chars_max: int = 40) -> str:
    """An input as it may stand in a message: printable and bounded."""
    return ascii(text[:chars_max]) if not text.isprintable() else repr(text[:chars_max])
