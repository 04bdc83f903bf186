"""When to try again, and how long to wait before."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Nobody knows what became of these, or they ask to come again. 409 only where the first request is still under way.
AGAIN = frozenset((207, 408, 425, 429, 500, 502, 503, 504))
IN_FLIGHT = "in_flight"


@dataclass(frozen=True, slots=True)
class Retries:
    """Doubling waits, drawn anew between half and all so that partners do not come back together.

    A Retry-After longer than `wait_s_max` is not waited for: the refusal is raised and says it.
    """

    attempts: int = 6
    first_s: float = 0.5
    last_s: float = 30.0
    wait_s_max: float = 120.0

    def wait_s(self, attempt: int, retry_after_s: float | None, draw: Callable[[], float] = random.random) -> float:
        """Seconds to wait after the attempt of that number, from 1. `draw` gives 0 to 1."""
        backoff_s = min(self.last_s, self.first_s * 2.0 ** (attempt - 1)) * (0.5 + draw() / 2)
        return backoff_s if retry_after_s is None else max(backoff_s, retry_after_s + draw() * self.first_s)

    def is_last(self, attempt: int, retry_after_s: float | None) -> bool:
        """Whether to give up after this attempt."""
        return attempt >= self.attempts or (retry_after_s or 0) > self.wait_s_max


def retry_after_s(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3); None for neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
