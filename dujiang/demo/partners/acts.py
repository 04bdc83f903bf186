"""What a partner can do: publish an event, send a wrong one, call a webhook, write to Kafka without looking."""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from engine.clock import Clock

STRUCTURED = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent as its JSON object; the gateway shall take it."""

    body: dict[str, Any]

    @property
    def identity(self) -> tuple[str, str]:
        return self.body["source"], self.body["id"]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A request that the gateway shall refuse; `why` is for readers of the demo's code."""

    why: str
    body: bytes
    content_type: str = STRUCTURED


@dataclass(frozen=True, slots=True)
class Webhook:
    """An Alertmanager body for a monitor's name. `is_wrong`: the gateway shall refuse it."""

    monitor: str
    body: dict[str, Any]
    is_wrong: bool = False

    @property
    def alerts(self) -> int:
        return len(self.body["alerts"])


@dataclass(frozen=True, slots=True)
class Straight:
    """A bad record past the gateway, as a careless Kafka producer writes it: it ends in quarantine."""

    why: str
    topic: str
    key: bytes
    value: bytes


Act = Event | Wrong | Webhook | Straight


@dataclass
class Stage:
    """What a script stands on. `run` names this start of the demo and is a part of every id, so that none comes twice."""

    draw: random.Random
    clock: Clock
    run: str
    prefix: str = "gov.stiib"
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def event(self, source: str, name: str, subject: str, time: datetime, data: dict[str, Any]) -> Event:
        """A whole CloudEvent with the next id of its source."""
        return Event(
            {
                "specversion": "1.0",
                "id": f"{self.run}-{next(self._ids):06d}",
                "source": source,
                "type": f"{self.prefix}.{name}.v1",
                "subject": subject,
                "time": text_of(time),
                "datacontenttype": "application/json",
                "data": data,
            }
        )

    def chance(self, of_one: float) -> bool:
        """True so often."""
        return self.draw.random() < of_one


def seeded(seed: int, run: str, role: str) -> random.Random:
    """The same seed, run and role draw the same."""
    return random.Random(f"{seed}/{run}/{role}")  # noqa: S311 - made-up demo data, no secret


def text_of(time: datetime) -> str:
    """RFC 3339 in whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bytes_of(body: Any) -> bytes:
    """As a partner writes its JSON."""
    return json.dumps(body, ensure_ascii=False).encode()
