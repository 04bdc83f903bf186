"""The Bureau's calls for proposals: some open or close within the minute, so that timers have something to do."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from dujiang.demo.partners.acts import Act, Event, Stage, text_of

SOURCE = "/partners/bureau-innovation"
KNOWN_CALLS = 20
CLOSING_SOON = timedelta(days=14)
PROGRAMMES = ("重点研发计划", "科技成果转化", "中小企业数字化转型", "Industrial internet pilots")


def bureau(stage: Stage) -> Iterator[Act]:
    """Announces, extends, closes, cancels; corrects itself with an older announcement now and then."""
    known: deque[tuple[str, datetime, dict[str, Any]]] = deque(maxlen=KNOWN_CALLS)
    number = 0
    while True:
        if not known or stage.chance(0.6):
            number += 1
            call_id, now, data = f"ZN-{stage.run}-{number:04d}", stage.clock.now(), _announcement(stage)
            known.append((call_id, now, data))
            yield stage.event(SOURCE, "research.call.announced", call_id, now, data)
        else:
            yield _follow_up(stage, *stage.draw.choice(known))


def _announcement(stage: Stage) -> dict[str, Any]:
    now = stage.clock.now()
    soon = timedelta(seconds=stage.draw.uniform(4, 12))
    opens, closes = stage.draw.choice(
        (
            (now + soon, now + timedelta(days=60)),  # opens in a moment
            (now - timedelta(days=30), now + soon),  # closes in a moment
            (None, now + CLOSING_SOON + soon),  # closing soon in a moment
            (now + timedelta(days=20), now + timedelta(days=90)),
            (now, None),
        )
    )
    return {
        "title": f"{stage.draw.choice(PROGRAMMES)} {now:%Y} 年度指南",
        "programme": stage.draw.choice(PROGRAMMES),
        "opens_at": text_of(opens) if opens else None,
        "closes_at": text_of(closes) if closes else None,
        "budget": stage.draw.randrange(1_000_000, 90_000_000, 500_000),
    }


def _follow_up(stage: Stage, call_id: str, announced: datetime, data: dict[str, Any]) -> Event:
    now = stage.clock.now()
    name, time, told = stage.draw.choice(
        (
            ("research.call.extended", now, {"closes_at": text_of(now + timedelta(days=stage.draw.randint(60, 120)))}),
            ("research.call.announced", announced - timedelta(hours=1), data),  # a late copy of an earlier wording
            ("research.call.closed", now, {}),
            ("research.call.cancelled", now, {}),
        )
    )
    return stage.event(SOURCE, name, call_id, time, told)
