"""W3C Trace Context: the `traceparent` of an event's way, in headers of HTTP and Kafka, and in CloudEvents attributes."""

import re
from collections.abc import Iterable
from typing import Final

NAME: Final = "traceparent"
_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def valid(text: object) -> str | None:
    """The text if it is one. Strangers send it, so what is none is ignored, as the norm has it."""
    return text if isinstance(text, str) and _FORM.fullmatch(text) else None


def is_sampled(text: str) -> bool:
    """Whether its sender keeps this trace."""
    return bool(int(text[-2:], 16) & 1)


def of_headers(headers: Iterable[tuple[str, bytes | None]] | None) -> str | None:
    """A Kafka record's, None for most."""
    for name, value in headers or ():
        if name == NAME and value is not None:
            return valid(value.decode("latin-1"))
    return None
