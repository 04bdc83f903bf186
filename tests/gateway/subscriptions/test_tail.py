"""The shared log on a real Kafka: what a hundred ask for at once is read once."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from engine.errors import Fault
from gateway.subscriptions.log import Stretch
from gateway.subscriptions.tail import SharedLog
from schemas.registry import Registry
from schemas.subscriptions import Place
from tests.conftest import Stage

pytestmark = pytest.mark.services

TOPIC = "research.call.event"
READERS = 20


def _read_by_many(
    stage: Stage, registry: Registry, monkeypatch: pytest.MonkeyPatch, read: Callable[..., list[Stretch]]
) -> tuple[list[Any], list[Mapping[Place, int]]]:
    """What READERS at one place found or met, and what was asked of Kafka."""
    asked: list[Mapping[Place, int]] = []

    def counted(log: SharedLog, positions: Mapping[Place, int], records_max: int) -> list[Stretch]:
        asked.append(dict(positions))
        return read(log, positions, records_max)

    monkeypatch.setattr(SharedLog, "_read_behind", counted)

    async def run() -> list[Any]:
        async with SharedLog(stage.options.kafka, registry) as log, log.joined():
            bounds = await log.bounds()
            starts = {place: bound.earliest for place, bound in bounds.items() if place.topic == TOPIC}
            return await asyncio.gather(*(log.read(starts, 1_000) for _ in range(READERS)), return_exceptions=True)

    return asyncio.run(run()), asked


def test_who_begins_where_another_does_waits_for_what_he_reads(
    stage: Stage, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        stage.send_raw(TOPIC, b"k%d" % number, b"{}")
    found, asked = _read_by_many(stage, registry, monkeypatch, SharedLog._read_behind)
    counts = {sum(len(stretch.records) for stretch in stretches) for stretches in found}
    assert len(counts) == 1
    assert counts.pop() >= 30
    assert len(asked) == 1


def test_a_fault_is_told_to_all_who_waited(stage: Stage, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would meet it again after its time-out, one behind the other."""
    stage.send_raw(TOPIC, b"k", b"{}")

    def away(*_: Any) -> list[Stretch]:
        raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))

    found, asked = _read_by_many(stage, registry, monkeypatch, away)
    assert {isinstance(one, Fault) for one in found} == {True}
    assert len(asked) == 1
