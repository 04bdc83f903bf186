"""A partner's scorecard: what came of its events in a day, how late they were, and whether it kept its promise. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from math import ceil
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gateway.console.queries import SCORE_DAYS, SCORE_HOURS, TURNED_AWAY, Tally

CAUSES_MAX: Final = 5
_HOUR: Final = timedelta(hours=1)
REFUSALS: Final = ("rejected", "quarantined")


class Refusal(NamedTuple):
    """Why events were not accepted, and how many."""

    outcome: str
    reason: str
    events: int


class Score(NamedTuple):
    """Of all that came: what holds, what the rules rejected, what waits in quarantine; and what came again.

    What the gateway turned away never came in, and may have been sent again corrected: it stands apart from all of them.

    Lateness is that of the class that half of the events, or 95 in 100, are within; None: nothing was taken.
    """

    accepted: int
    rejected: int
    quarantined: int
    duplicates: int
    late_p50_s: int | None
    late_p95_s: int | None
    causes: tuple[Refusal, ...] = ()
    turned_away: int = 0

    @property
    def refused_share(self) -> float:
        """Rejected or quarantined, of all that came for the first time."""
        refused = self.rejected + self.quarantined
        return refused / (self.accepted + refused) if refused else 0.0


class Day(NamedTuple):
    """One bar of the trend."""

    day: date
    score: Score


class Kept(NamedTuple):
    """In how many periods of the promised length something was heard."""

    kept: int
    periods: int


def score_of(tallies: Iterable[Tally]) -> Score:
    """All of them as one."""
    by_outcome: Counter[str] = Counter()
    late: Counter[int] = Counter()
    causes: Counter[tuple[str, str]] = Counter()
    for tally in tallies:
        by_outcome[tally.outcome] += tally.events
        if tally.outcome == "taken":
            late[tally.late_s] += tally.events
        elif tally.outcome in REFUSALS:
            causes[tally.outcome, tally.reason] += tally.events
    ranked = sorted(causes.items(), key=lambda cause: (-cause[1], cause[0]))[:CAUSES_MAX]
    return Score(
        # What a rule rejects was taken before.
        accepted=max(0, by_outcome["taken"] - by_outcome["rejected"]),
        rejected=by_outcome["rejected"],
        quarantined=by_outcome["quarantined"],
        duplicates=by_outcome["duplicate"],
        late_p50_s=_within(late, 0.5),
        late_p95_s=_within(late, 0.95),
        causes=tuple(Refusal(*cause, events) for cause, events in ranked),
        turned_away=by_outcome[TURNED_AWAY],
    )


def kinds_of(tallies: Iterable[Tally]) -> list[tuple[str, int]]:
    """What the gateway turned away, by the problem's slug; the most frequent first. There are no more than kinds."""
    kinds: Counter[str] = Counter()
    for tally in tallies:
        if tally.outcome == TURNED_AWAY:
            kinds[tally.reason] += tally.events
    return sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))


def last_day(tallies: Iterable[Tally], now: datetime) -> list[Tally]:
    """Those of the last SCORE_HOURS, the hour under way among them."""
    return [tally for tally in tallies if tally.hour > now - SCORE_HOURS * _HOUR]


def trend(tallies: Sequence[Tally], now: datetime, zone: ZoneInfo) -> list[Day]:
    """The last SCORE_DAYS as the calendar has them, today last and not over."""
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=back) for back in reversed(range(SCORE_DAYS))]
    return [Day(day, score_of(one for one in tallies if one.hour.astimezone(zone).date() == day)) for day in days]


def kept_of(tallies: Iterable[Tally], promised_s: int, promised_at: datetime, now: datetime) -> Kept:
    """Of the last SCORE_HOURS, and since it promises that: periods as long as promised, in whole hours.

    Hours are what is kept of the past; whether it is silent just now is asked of when it was last heard of.
    """
    heard = {tally.hour for tally in last_day(tallies, now) if tally.outcome != TURNED_AWAY}
    length = ceil(promised_s / 3600)
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    hours = min(SCORE_HOURS, int((now - promised_at) / _HOUR))
    # The hour under way may still bring something.
    past = [this_hour - back * _HOUR for back in range(1, hours + 1)]
    periods = [past[at : at + length] for at in range(0, len(past), length)]
    whole = [period for period in periods if len(period) == length]
    return Kept(sum(not heard.isdisjoint(period) for period in whole), len(whole))


def _within(late: Counter[int], share: float) -> int | None:
    total, passed = late.total(), 0
    for bound in sorted(late):
        passed += late[bound]
        if passed >= share * total:
            return bound
    return None
