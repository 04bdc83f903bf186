"""What must hold after any fault: computed anew from the log alone, and compared with what the workers stored."""

import time
from collections import defaultdict
from typing import Any

import msgspec
import psycopg
from confluent_kafka import Consumer, TopicPartition

from dujiang.wiring import STEPS, STORES
from engine import timers
from engine.entity import arrive
from engine.kafka import new_consumer, partition_of
from engine.ports import Entity
from engine.records import Place, Record, Refused, decode
from schemas.platform import TIMER_FIRED
from schemas.topics import TOPICS

SILENCE_S = 5.0


class Identity(msgspec.Struct):
    """The part of an event that names it."""

    id: str
    source: str


def assert_exact(stage: Any, step: str = "projects", *, history: bool = True) -> None:
    """States equal a pure re-computation, nothing is unaccounted, the history has each event once, derived events are one."""
    assert_states(stage, step)
    assert stage.account(step).unaccounted == 0
    assert stage.account(step).lag == 0
    assert_one_derivation(stage, step)
    if history:
        assert_history(stage)
        assert stage.account("history").unaccounted == 0


def assert_states(stage: Any, step: str = "projects") -> None:
    """Every entity is, in all its fields, what the log says. A timer's row may be early, never late."""
    expected, found = recomputed(stage, step), stored(stage, step)
    assert found.keys() == expected.keys()
    rows = dict(stage.rows("SELECT key, due_at FROM timer WHERE step = %s", step))
    for key, entity in found.items():
        due = STEPS[step].due_at(entity.state)
        if due is not None:
            assert entity.timer_at is not None
            assert rows[key] == entity.timer_at <= due
        entity.timer_at = None
        assert entity == expected[key], key


def assert_states_of(stage: Any, step: str, keys: list[str]) -> None:
    """The same for some keys, where other records of the log are misrouted on purpose."""
    expected, found = recomputed(stage, step, is_at_home=True), stored(stage, step)
    for key in keys:
        found[key].timer_at = None
        assert found[key] == expected[key]


def assert_history(stage: Any) -> None:
    """Every identity that stands in the log stands in the history, once (its primary key says so)."""
    published: set[tuple[str, str]] = set()
    for record in log_of(stage, _beginnings(stage, "history")):
        item = decode(record, stage.registry)
        if not isinstance(item, Refused):
            published.add((item.fact.source, item.fact.id))
    kept = stage.rows("SELECT event_source, event_id FROM event_history")
    assert len(kept) == len(published)
    assert set(kept) == published


def assert_one_derivation(stage: Any, step: str) -> None:
    """A derived event that was published again is the same to the byte."""
    bodies: dict[str, set[bytes]] = defaultdict(set)
    starts = {place: low for place, low in stage.begins.items() if place[0] != STEPS[step].topic}
    for record in log_of(stage, starts):
        identity = msgspec.json.decode(record.value or b"", type=Identity)
        if identity.source == f"/streams/{step}":
            bodies[identity.id].add(record.value or b"")
    assert not [event_id for event_id, found in bodies.items() if len(found) > 1]


def recomputed(stage: Any, step: str, *, is_at_home: bool = False) -> dict[str, Entity[Any]]:
    """The log through the rules, in memory, partition by partition; with `is_at_home` without what a worker would refuse."""
    rules, entities = STEPS[step], dict[str, Entity[Any]]()
    for record in log_of(stage, _beginnings(stage, step)):
        item = decode(record, stage.registry)
        if isinstance(item, Refused):
            continue
        if is_at_home and (
            partition_of(item.fact.key.encode(), TOPICS[record.topic].partitions) != record.partition
            or (item.fact.name == TIMER_FIRED and item.fact.source != timers.SOURCE)
        ):
            continue
        entity = entities.get(item.fact.key)
        if entity is None:
            entity = entities[item.fact.key] = Entity(rules.initial())
        arrive(rules, entity, item.fact)
        entity.timer_at = None
    return entities


def stored(stage: Any, step: str) -> dict[str, Entity[Any]]:
    """What the workers left."""
    with psycopg.connect(stage.dsn, options="-c timezone=UTC") as connection, connection.cursor() as cursor:
        return dict(STORES[step].scan(cursor))


def log_of(stage: Any, starts: dict[Place, int]) -> list[Record]:
    """All records from the given offsets to the log's end, by partition, in order."""
    records: list[Record] = []
    consumer = new_consumer(stage.options.kafka, "oracle")
    for place, start in sorted(starts.items()):
        records += _partition(consumer, place, start)
    consumer.close()
    return records


def _partition(consumer: Consumer, place: Place, start: int) -> list[Record]:
    """Up to the last record: behind it there may be markers, so silence at the end counts too."""
    _, end = consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)
    if start >= end:
        return []
    consumer.assign([TopicPartition(*place, start)])
    found: list[Record] = []
    quiet_until = time.monotonic() + SILENCE_S
    while (not found or found[-1].offset < end - 1) and time.monotonic() < quiet_until:
        messages = consumer.consume(10_000, 0.02)  # waits for all of them or so long
        if messages:
            quiet_until = time.monotonic() + SILENCE_S
        for m in messages:
            assert m.error() is None, m.error()
            found.append(Record(*place, m.offset(), m.timestamp()[1], m.key(), m.headers(), m.value()))
    return found


def _beginnings(stage: Any, step: str) -> dict[Place, int]:
    rows = stage.rows("SELECT topic, partition, start_offset FROM ledger WHERE step = %s", step)
    return {(topic, partition): start for topic, partition, start in rows}
