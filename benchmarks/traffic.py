"""Made-up events for the benchmarks, seeded, in order per key, about 450 bytes each."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

PREFIX = "gov.stiib"
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_REMARK = (
    "Progress as planned; the consortium met its partners, results were recorded and the next period was agreed. "
    "No change of budget, staff or scope is asked for in this period."
)


class Event(NamedTuple):
    """A record to be produced."""

    key: bytes
    value: bytes


def _event(key: str, number: int, source: str, name: str, time: str, data: str) -> Event:
    body = (
        f'{{"specversion":"1.0","id":"{key}-{number:03d}","source":"{source}","type":"{PREFIX}.{name}.v1","subject":"{key}",'
        f'"time":"{time}","datacontenttype":"application/json","partitionkey":"{key}","data":{data}}}'
    )
    return Event(key.encode(), body.encode())


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data | {"remark": _REMARK}, separators=(",", ":"))


@cache
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).date().isoformat()


@cache
def _contract(start_day: int) -> str:
    """Three milestones in nine hundred days."""
    milestones = [{"id": f"M{number}", "due": _day(start_day + 30 + 200 * number)} for number in (1, 2, 3)]
    return json.dumps(
        {
            "contract_no": f"C-{start_day}",
            "amount": 900_000,
            "start": _day(start_day + 30),
            "end": _day(start_day + 900),
            "milestones": milestones,
        },
        separators=(",", ":"),
    )


# A project's first year: half of the events move the base state, half report on milestones and money.
_LIFE = (
    (
        "research.application.submitted",
        _json({"call_id": "C-7", "title": "A project of the benchmark", "lead": "ORG-12", "budget": 900_000}),
    ),
    ("research.review.started", _json({})),
    ("research.project.approved", _json({})),
    ("research.project.contracted", ""),
    ("research.project.started", _json({})),
    ("research.funds.disbursed", _json({"amount": 300_000, "tranche": 1})),
    ("research.milestone.reported", _json({"milestone_id": "M1"})),
    ("research.milestone.accepted", _json({"milestone_id": "M1"})),
    ("research.funds.disbursed", _json({"amount": 200_000, "tranche": 2})),
    ("research.milestone.reported", _json({"milestone_id": "M2"})),
)
_FURTHER = ("research.funds.disbursed", _json({"amount": 10, "tranche": 3}))


def status_events(count: int, keys: int, seed: int = 7) -> Iterator[Event]:
    """W1, W3: `count` project events over `keys` projects, the projects in random order.

    With more than ten events a project small sums are paid on and on.
    """
    draw = random.Random(seed)
    names = [f"P-{number:07d}" for number in range(keys)]
    progress = [0] * keys
    for number in range(count):
        index = int(draw.random() * keys)
        step = progress[index]
        progress[index] = step + 1
        name, data = _LIFE[step] if step < len(_LIFE) else _FURTHER
        start = index % 100
        day = _day(start + 3 * min(step, 60))
        time = f"{day}T{number // 60 % 24:02d}:{number % 60:02d}:{step % 60:02d}Z"
        yield _event(names[index], step, f"/partners/institute-{index % 7}", name, time, data or _contract(start))


def alert_events(count: int, keys: int, seed: int = 7) -> Iterator[Event]:
    """W4: monitors' words on `keys` alerts; nine in ten are repeats."""
    draw = random.Random(seed)
    progress = [0] * keys
    firing, resolved = (
        [
            _json(
                {
                    "status": status,
                    "severity": severity,
                    "title": "disk of host nearly full",
                    "starts_at": "2023-12-31T23:50:00Z",
                    "refresh_s": 14_400,
                }
            )
            for severity in ("info", "low", "warning", "high", "critical")
        ]
        for status in ("firing", "resolved")
    )
    for number in range(count):
        index = int(draw.random() * keys)
        step = progress[index]
        progress[index] = step + 1
        second = number // 20
        time = f"{_day(second // 86_400)}T{second // 3_600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
        data = (resolved if step % 20 == 19 else firing)[index % 5]
        yield _event(f"am/{index:012x}", step, "/connectors/alertmanager", "infra.monitor.received", time, data)
