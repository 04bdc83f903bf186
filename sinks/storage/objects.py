"""Where an event stands in a store: below the sink's URL, by day, number and id. Pure.

The same delivery has the same key in every attempt and in every replay, so what comes twice overwrites itself.
"""

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec

from schemas.contract import parse_instant

NUMBER_DIGITS: Final = 19  # of 2**63: listed in their order
ID_CHARS_MAX: Final = 200
UNDATED: Final = "undated"
TRIAL_NAME: Final = "dujiang-trial.json"
_ESCAPED: Final = re.compile(rb"[^A-Za-z0-9._-]")


class _Delivery(msgspec.Struct):
    deliverynumber: str
    id: str
    time: str | None = None


# Made once: two threads that use a class first, at once, end the process (schemas/structs.py).
_decode = msgspec.json.Decoder(_Delivery).decode


def key_of(body: bytes) -> str:
    """`2026/03/02/0000000000000000017-a-1.json` of a numbered event. The day is the event's own (UTC)."""
    delivery = _decode(body)
    return f"{_day(delivery.time)}/{int(delivery.deliverynumber):0{NUMBER_DIGITS}}-{escaped(delivery.id)}.json"


def escaped(event_id: str) -> str:
    """An id in characters that no URL and no file system changes: others as ~XX. A long one ends in its digest."""
    text = _ESCAPED.sub(lambda found: b"~%02X" % found[0][0], event_id.encode()).decode("ascii")
    if len(text) <= ID_CHARS_MAX:
        return text
    return f"{text[: ID_CHARS_MAX - 34]}~~{sha256(event_id.encode()).hexdigest()[:32]}"


def _day(time: str | None) -> str:
    try:
        instant = parse_instant(time)
    except ValueError:
        return UNDATED
    return instant.astimezone(UTC).strftime("%Y/%m/%d") if isinstance(instant, datetime) else UNDATED
