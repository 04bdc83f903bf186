"""How much a partner may send: a token bucket for the rate, a count for the day (UTC). Both live in this process.

With n gateways a partner has up to n times its allowance, and a restart forgets what was used (docs/adr/0009).
"""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from math import ceil
from typing import Final, NamedTuple

from engine.clock import Clock
from gateway import catalogue
from gateway.kind import Kind
from gateway.problems import Problem

DAY_S: Final = 86_400


class Allowance(NamedTuple):
    """A batch may be as long as the burst, so the burst is at least the longest batch."""

    events_per_s: int
    burst_events: int
    events_per_day: int


class Meter:
    """What one partner has used."""

    def __init__(self, allowance: Allowance, clock: Clock) -> None:
        self.allowance = allowance
        self._clock = clock
        self._left = float(allowance.burst_events)
        self._filled_s = clock.monotonic_s()
        self._day = clock.now().date()
        self._used = 0

    def count_request(self) -> None:
        """Of the rate a request takes as much as one event, whatever comes of it; of the day nothing. Raises Problem."""
        self._take(1, 1)

    def count_events(self, events: int) -> None:
        """The events of a request that was counted already. Raises Problem; then nothing is taken."""
        now = self._today()
        if self._used + events > self.allowance.events_per_day:
            raise self._too_much(catalogue.QUOTA_EXCEEDED, _until_midnight_s(now), events)
        self._take(events - 1, events)
        self._used += events

    def headers(self) -> Mapping[str, str]:
        """RateLimit and RateLimit-Policy: what is left, and of how much."""
        now = self._today()
        self._fill()
        rate, burst, day = self.allowance
        refill_s = ceil((burst - self._left) / rate)
        return {
            "ratelimit-policy": f'"rate";q={burst};w={ceil(burst / rate)}, "day";q={day};w={DAY_S}',
            "ratelimit": f'"rate";r={max(0, int(self._left))};t={refill_s},'
            f' "day";r={max(0, day - self._used)};t={_until_midnight_s(now)}',
        }

    def _take(self, cost: int, events: int) -> None:
        self._fill()
        if cost > self._left:
            raise self._too_much(catalogue.RATE_EXCEEDED, ceil((cost - self._left) / self.allowance.events_per_s), events)
        self._left -= max(0, cost)

    def _fill(self) -> None:
        now_s = self._clock.monotonic_s()
        gained = (now_s - self._filled_s) * self.allowance.events_per_s
        self._left = min(self.allowance.burst_events, self._left + gained)
        self._filled_s = now_s

    def _today(self) -> datetime:
        now = self._clock.now()
        if now.date() != self._day:
            self._day, self._used = now.date(), 0
        return now

    def _too_much(self, kind: Kind, wait_s: int, events: int) -> Problem:
        return Problem(kind, kind.meaning, headers={"retry-after": str(max(1, wait_s)), **self.headers()}, events=events)


class Meters:
    """One for each partner that has asked; there are no more than partners."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meters: dict[str, Meter] = {}

    def of(self, partner_id: str, allowance: Allowance) -> Meter:
        """The partner's meter; what it used stays when its allowance is changed."""
        meter = self._meters.get(partner_id)
        if meter is None:
            meter = self._meters[partner_id] = Meter(allowance, self._clock)
        meter.allowance = allowance
        return meter


def _until_midnight_s(now: datetime) -> int:
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    return ceil((midnight - now).total_seconds())
