"""A log in memory, and events for it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from engine.errors import Fault
from gateway.subscriptions.log import Bounds, Stretch
from gateway.subscriptions.records import Record
from schemas.registry import Registry
from schemas.subscriptions import Place
from schemas.topics import TOPICS

SUSPENDED = "gov.stiib.research.project.suspended.v1"
ANNOUNCED = "gov.stiib.research.call.announced.v1"
MONITORED = "gov.stiib.infra.monitor.received.v1"
STRUCTURED_HEADERS: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json")]


class MemoryLog:
    """A Log in memory: `fault` as a Kafka that is away, `earliest` as retention."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.records: dict[Place, list[Record]] = {}
        self.earliest: dict[Place, int] = {}
        self.fault: Fault | None = None
        for topic in TOPICS.values():
            for partition in range(topic.partitions):
                self.records[Place(topic.name, partition)] = []

    def write(self, place: Place, *bodies: bytes, timestamp_ms: int = 0) -> None:
        """Structured events."""
        records = self.records[place]
        for body in bodies:
            records.append(Record(self._registry, place, len(records), timestamp_ms, STRUCTURED_HEADERS, body))

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        yield

    async def bounds(self, *, fresh: bool = False) -> Mapping[Place, Bounds]:  # noqa: ARG002 - always fresh
        if self.fault is not None:
            raise self.fault
        return {place: Bounds(self.earliest.get(place, 0), len(records)) for place, records in self.records.items()}

    async def at(self, topics: Sequence[str], instant: datetime) -> Mapping[Place, int]:
        wanted_ms = instant.timestamp() * 1000
        return {
            place: next((record.offset for record in records if record.timestamp_ms >= wanted_ms), len(records))
            for place, records in self.records.items()
            if place.topic in topics
        }

    async def read(self, positions: Mapping[Place, int], records_max: int) -> Sequence[Stretch]:
        if self.fault is not None:
            raise self.fault
        stretches = []
        for place, offset in positions.items():
            found = self.records[place][offset : offset + records_max]
            if found:
                stretches.append(Stretch(place, found, offset + len(found)))
        return stretches

    async def moved(self, timeout_s: float) -> None:
        await asyncio.sleep(min(timeout_s, 0.01))


def body_of(event_id: str, **changes: Any) -> bytes:
    """A structured event, as a publisher would write it."""
    members = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/partners/institute-7",
        "type": SUSPENDED,
        "subject": "P-1",
        "time": "2026-02-28T10:00:00Z",
        "datacontenttype": "application/json",
        "data": {"reason": "设备故障"},
    } | changes
    return json.dumps(members, ensure_ascii=False).encode()
