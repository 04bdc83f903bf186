"""Arrival at an entity, whatever the batches: pure properties of `arrive` and of the step's handler."""

import json
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from psycopg import Cursor

from dujiang.wiring import STEPS
from engine.database import Database
from engine.entity import HASH_BYTES, SEEN_MAX, arrive
from engine.handlers import StepHandler
from engine.kafka import Message, partition_of
from engine.ports import Entity, Outcome
from engine.records import Decoded, Record, Work, decode
from schemas.catalogue import default_registry
from tests.engine import traffic

STEP = STEPS["projects"]
REGISTRY = default_registry()
PARTITIONS = 4


class Shelf:
    """A store and its database in one: entities as `save` left them, copied as a table would."""

    def __init__(self) -> None:
        self.entities: dict[str, Entity[Any]] = {}

    def load(self, _: Any, keys: Any) -> dict[str, Entity[Any]]:
        return {key: self.entities[key].copy() for key in keys if key in self.entities}

    def save(self, _: Any, entities: Any) -> None:
        self.entities |= {key: entity.copy() for key, entity in entities}

    def statement(self) -> Any:
        return self

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def log_of(seed: int, events: int) -> list[Decoded]:
    """Events as records of a log, offsets per partition."""
    ends = [0] * PARTITIONS
    decoded = []
    for message in traffic.projects(seed, events).messages:
        home = partition_of(message.key, PARTITIONS)
        headers = cast(Any, message.headers)
        record = Record(message.topic, home, ends[home], 1_700_000_000_000, message.key, headers, message.value)
        ends[home] += 1
        item = decode(record, REGISTRY)
        assert isinstance(item, Decoded)
        decoded.append(item)
    return decoded


def run(shelf: Shelf, log: list[Decoded], sizes: list[int], *, cached_max: int = 100, overlap: bool = False) -> list[Message]:
    """The log in batches of these sizes, round and round; with `overlap` each is decided before the last one is kept."""
    handler = StepHandler(STEP, shelf, REGISTRY, cast(Database, shelf), cached_entities_max=cached_max)
    handler.assigned({STEP.topic: PARTITIONS})
    published: list[Message] = []
    flying: list[Work] = []
    position, turn = 0, 0
    while position < len(log):
        batch = log[position : position + sizes[turn % len(sizes)]]
        work = Work([item.record for item in batch], {}, {})
        handler.decide(batch, work)
        if not overlap:
            flying.append(work)
        for landed in flying:
            landed.save(cast("Cursor[Any]", NoTimers()))
            landed.keep()
        flying = [work] if overlap else []
        published += work.messages
        position, turn = position + len(batch), turn + 1
    for landed in flying:
        landed.save(cast("Cursor[Any]", NoTimers()))
    return published


class NoTimers:
    """A cursor for `timers.save`, which this test does not look at."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: self

    def __enter__(self) -> "NoTimers":
        return self

    def __exit__(self, *_: object) -> None: ...


def states(shelf: Shelf) -> dict[str, Entity[Any]]:
    return {key: replace(entity, timer_at=None) for key, entity in shelf.entities.items()}


def alone(log: list[Decoded]) -> dict[str, Entity[Any]]:
    entities: dict[str, Entity[Any]] = {}
    for item in log:
        entity = entities.setdefault(item.fact.key, Entity(STEP.initial()))
        arrive(STEP, entity, item.fact)
    return entities


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1_000),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=5),
    cached_max=st.sampled_from([0, 3, 100]),
    overlap=st.booleans(),
)
def test_batch_boundaries_do_not_matter(seed: int, sizes: list[int], cached_max: int, overlap: bool) -> None:
    log = log_of(seed, 150)
    whole, parts = Shelf(), Shelf()
    told = run(whole, log, [150])
    told_in_parts = run(parts, log, sizes, cached_max=cached_max, overlap=overlap)
    assert states(parts) == states(whole) == alone(log)
    assert told_in_parts == told


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1_000), at=st.integers(0, 150), size=st.integers(1, 40))
def test_going_on_from_any_offset_with_the_states_of_then_ends_the_same(seed: int, at: int, size: int) -> None:
    log = log_of(seed, 150)
    whole, resumed = Shelf(), Shelf()
    told = run(whole, log, [150])
    first = run(resumed, log[:at], [size])
    second = run(resumed, log[at:], [size])
    assert states(resumed) == states(whole)
    assert first + second == told


def test_a_log_made_anew_gives_no_id_again() -> None:
    """Else who drops repeats would drop what is new: the history, and subscribers. Times may be a publisher's own, so alike."""

    def ids(log: list[Decoded]) -> set[str]:
        return {json.loads(message.value or b"")["id"] for message in run(Shelf(), log, [150])}

    log = log_of(1, 150)
    others = [replace(item, fact=replace(item.fact, id=f"later-{item.fact.id}")) for item in log]
    before, again, anew = ids(log), ids(log), ids(others)
    assert before == again
    assert len(before) > 20
    assert len(anew) > 20
    assert not before & anew


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1_000), order=st.randoms(use_true_random=False))
def test_only_the_order_within_a_key_matters(seed: int, order: Any) -> None:
    log = log_of(seed, 120)
    keys = [item.fact.key for item in log]
    order.shuffle(keys)
    queues = {key: [item for item in log if item.fact.key == key] for key in set(keys)}
    mixed = [queues[key].pop(0) for key in keys]
    assert alone(mixed) == alone(log)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1_000), again=st.lists(st.integers(0, 119), max_size=20))
def test_a_repeat_changes_nothing_but_the_count_of_repeats(seed: int, again: list[int]) -> None:
    log = log_of(seed, 120)
    entities = alone(log)
    before = {key: entity.copy() for key, entity in entities.items()}
    for at in again:
        fact = log[at].fact
        decision = arrive(STEP, entities[fact.key], fact)
        assert decision.outcome is Outcome.DUPLICATE
        assert decision.derived == ()
    for key, entity in entities.items():
        repeats = sum(log[at].fact.key == key for at in again)
        assert entity == replace(before[key], duplicates=before[key].duplicates + repeats)


def test_no_more_ids_are_remembered_than_the_limit() -> None:
    entity = Entity(STEP.initial())
    template = log_of(1, 10)[0].fact
    for number in range(SEEN_MAX + 50):
        arrive(STEP, entity, replace(template, id=f"e{number}"))
    assert len(entity.seen) == SEEN_MAX * HASH_BYTES
    assert arrive(STEP, entity, replace(template, id=f"e{SEEN_MAX + 49}")).outcome is Outcome.DUPLICATE
    assert arrive(STEP, entity, replace(template, id="e0")).outcome is not Outcome.DUPLICATE


def test_where_a_key_belongs_follows_the_number_of_partitions() -> None:
    shelf = Shelf()
    handler = StepHandler(STEP, shelf, REGISTRY, cast(Database, shelf), cached_entities_max=100)
    log = log_of(3, 200)
    for partitions in (PARTITIONS, 3 * PARTITIONS, PARTITIONS):
        handler.assigned({STEP.topic: partitions})
        for item in log + log:
            fault = handler.examine(item)
            is_home = partition_of(item.fact.key.encode(), partitions) == item.record.partition
            assert (fault is None) if is_home else (fault is not None and fault.reason == "misrouted")
    handler.assigned({STEP.topic: 3 * PARTITIONS})
    assert any(handler.examine(item) for item in log)
