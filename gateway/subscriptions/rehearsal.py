"""What a filter would have let through: it runs over retained history, bounded in records and time, and says what it saw."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from engine.errors import Fault
from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.log import Log
from gateway.subscriptions.reading import Page, Selection, bounds_of, log_away, next_page
from schemas.contract import instant_text
from schemas.subscriptions import Reader

RECORDS_MAX: Final = 20_000
SECONDS_MAX: Final = 10.0
SAMPLES_MAX: Final = 10
PAGE_EVENTS_MAX: Final = 1_000


@dataclass
class Rehearsal:
    """What was looked at, and what came of it. Days are those of the records' time stamps, in UTC."""

    since: datetime
    until: datetime
    examined: int = 0
    matched: int = 0
    days: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    samples: list[bytes] = field(default_factory=list)
    stopped_by: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "looked_at": {
                "since": instant_text(self.since),
                "until": instant_text(self.until),
                "records": self.examined,
                "is_complete": self.stopped_by is None,
                "stopped_by": self.stopped_by,
            },
            "matched": self.matched,
            "matched_by_day": dict(sorted(self.days.items())),
            "withheld": {reason: self.withheld[reason] for reason in ("right", "classification")},
            "samples": [msgspec.Raw(sample) for sample in self.samples],
        }


async def rehearse(
    log: Log, selection: Selection, reader: Reader, topics: list[str], now: datetime, days: int, elapsed_s: Callable[[], float]
) -> Rehearsal:
    """Raises Problem when Kafka is away."""
    since = now - timedelta(days=days)
    positions, ends = await _range(log, topics, since)
    rehearsal = Rehearsal(since, now)
    while any(positions[place] < end for place, end in ends.items()):
        if rehearsal.examined >= RECORDS_MAX or elapsed_s() >= SECONDS_MAX:
            rehearsal.stopped_by = "records" if rehearsal.examined >= RECORDS_MAX else "time"
            break
        page = await next_page(log, selection, reader, positions, PAGE_EVENTS_MAX)
        if page.positions == positions:
            break
        _count(rehearsal, page)
        positions = page.positions
        await asyncio.sleep(0)
    return rehearsal


async def _range(log: Log, topics: list[str], since: datetime) -> tuple[Positions, Positions]:
    try:
        begins = await log.at(topics, since)
    except Fault as fault:
        raise log_away(fault) from None
    bounds = await bounds_of(log, fresh=True)
    begins = {place: max(offset, bounds[place].earliest) for place, offset in begins.items() if place in bounds}
    return begins, {place: bounds[place].end for place in begins}


def _count(rehearsal: Rehearsal, page: Page) -> None:
    rehearsal.examined += page.examined
    rehearsal.matched += len(page.events)
    rehearsal.withheld.update(page.withheld)
    for passed in page.events:
        rehearsal.days[datetime.fromtimestamp(passed.timestamp_ms / 1000, UTC).date().isoformat()] += 1
        if len(rehearsal.samples) < SAMPLES_MAX:
            rehearsal.samples.append(passed.event.body)
