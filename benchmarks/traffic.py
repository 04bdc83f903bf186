"""Made-up events for the benchmarks, seeded, in order per key, about 450 bytes each."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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


def _event(key: str, number: int, name: str, at: datetime, data: dict[str, Any]) -> Event:
    body = {
        "specversion": "1.0",
        "id": f"{key}-{number:03d}",
        "source": f"/partners/institute-{int(key[-2:]) % 7}",
        "type": f"{PREFIX}.{name}.v1",
        "subject": key,
        "time": at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "partitionkey": key,
        "data": data,
    }
    return Event(key.encode(), json.dumps(body, separators=(",", ":")).encode())


def _lifecycle(key: str, start: datetime) -> list[tuple[str, dict[str, Any]]]:
    """A project's first year: half of the events move the base state, half report on milestones and money."""
    begin, end = start.date() + timedelta(days=30), start.date() + timedelta(days=900)
    milestones = [{"id": f"M{number}", "due": (begin + timedelta(days=200 * number)).isoformat()} for number in (1, 2, 3)]
    contract = {
        "contract_no": f"C-{key}",
        "amount": 900_000,
        "start": begin.isoformat(),
        "end": end.isoformat(),
        "milestones": milestones,
    }
    return [
        ("research.application.submitted", {"call_id": "C-7", "title": f"Project {key}", "lead": "ORG-12", "budget": 900_000}),
        ("research.review.started", {"remark": _REMARK}),
        ("research.project.approved", {"remark": _REMARK}),
        ("research.project.contracted", contract),
        ("research.project.started", {"remark": _REMARK}),
        ("research.funds.disbursed", {"amount": 300_000, "tranche": 1, "remark": _REMARK}),
        ("research.milestone.reported", {"milestone_id": "M1", "remark": _REMARK}),
        ("research.milestone.accepted", {"milestone_id": "M1", "remark": _REMARK}),
        ("research.funds.disbursed", {"amount": 200_000, "tranche": 2, "remark": _REMARK}),
        ("research.milestone.reported", {"milestone_id": "M2", "remark": _REMARK}),
    ]


def status_events(count: int, keys: int, seed: int = 7) -> Iterator[Event]:
    """W1, W3: `count` project events over `keys` projects, in random order of projects.

    With more than ten events a project the money and milestones go on in small steps.
    """
    draw = random.Random(seed)
    names = [f"P-{number:07d}" for number in range(keys)]
    progress: dict[str, int] = dict.fromkeys(names, 0)
    for number in range(count):
        key = names[draw.randrange(keys)]
        step = progress[key]
        progress[key] = step + 1
        start = _EPOCH + timedelta(minutes=hash_of(key) % 10_000)
        at = start + timedelta(days=3 * min(step, 10), minutes=number % 1440 + step)
        life = _lifecycle(key, start)
        if step < len(life):
            name, data = life[step]
        else:
            name, data = "research.funds.disbursed", {"amount": 10, "tranche": step, "remark": _REMARK}
        yield _event(key, step, name, at, data)


def alert_events(count: int, keys: int, seed: int = 7) -> Iterator[Event]:
    """W4: monitors' words on `keys` alerts; nine in ten are repeats."""
    draw = random.Random(seed)
    seen: dict[str, int] = {}
    for number in range(count):
        key = f"am/{draw.randrange(keys):012x}"
        step = seen.get(key, 0)
        seen[key] = step + 1
        at = _EPOCH + timedelta(seconds=number // 20, milliseconds=0)
        status = "resolved" if step % 20 == 19 else "firing"
        data = {
            "status": status,
            "severity": ("info", "low", "warning", "high", "critical")[draw.randrange(5)] if step % 20 == 0 else "warning",
            "title": "disk of host nearly full",
            "starts_at": "2023-12-31T23:50:00Z",
            "refresh_s": 14_400,
            "remark": _REMARK,
        }
        body = {
            "specversion": "1.0",
            "id": f"{key}-{step}",
            "source": "/connectors/alertmanager/am",
            "type": f"{PREFIX}.infra.monitor.received.v1",
            "subject": key,
            "time": at.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": data,
        }
        yield Event(key.encode(), json.dumps(body, separators=(",", ":")).encode())


def hash_of(key: str) -> int:
    """A stable small number for a key."""
    return sum(ord(letter) * 31**index for index, letter in enumerate(key)) & 0xFFFF
