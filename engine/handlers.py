"""What a runner can run: a step (rules, state) or a sink (rows). Both fill the same Work; neither touches Kafka."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Generic, Protocol

from psycopg import Cursor

from engine import timers
from engine.database import Database
from engine.entity import arrive
from engine.errors import RecordFault
from engine.kafka import Message, partition_of
from engine.ports import Derived, Entity, Outcome, Row, S, Sink, Step, Store
from engine.records import DAY_MS, Decoded, Record, Work
from schemas.cloudevents import json_format
from schemas.contract import Fact
from schemas.platform import TIMER_FIRED
from schemas.registry import Registry

_HEADERS = [("content-type", json_format.MEDIA_TYPE.encode())]


class Handler(Protocol):
    """The part of a runner that knows what records mean to it."""

    name: str

    @property
    def topics(self) -> Sequence[str]:
        """What it consumes."""
        ...

    def examine(self, decoded: Decoded) -> RecordFault | None:
        """A last look at one record before it is decided: does it stand where it belongs?"""
        ...

    def decide(self, decoded: Sequence[Decoded], work: Work) -> None:
        """Fill `work`. Raises TransientFault or EnvironmentFault when state cannot be read."""
        ...

    def forget(self) -> None:
        """Drop what is remembered."""
        ...

    def assigned(self, partitions: dict[str, int]) -> None:
        """Partitions per topic, as the broker says now."""
        ...

    @property
    def remembered(self) -> int:
        """Entities in memory."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...


class StepHandler(Generic[S]):
    """Rules over keyed state. Between decision and commit a batch's entities are held apart; the next builds on them."""

    def __init__(
        self, step: Step[S], store: Store[S], registry: Registry, database: Database, *, cached_entities_max: int
    ) -> None:
        self.name = step.name
        self.topics = (step.topic,)
        self._source = f"/streams/{step.name}"
        self._step = step
        self._store = store
        self._registry = registry
        self._database = database
        self._cache: dict[int, dict[str, Entity[S]]] = {}
        self._held: list[dict[str, Entity[S]]] = []
        self._cached_max = cached_entities_max
        self._partitions = 0
        self._outputs = {name: contract.topics[0].name for name, contract in _by_name(registry).items()}

    def assigned(self, partitions: dict[str, int]) -> None:
        self._partitions = partitions[self._step.topic]

    @property
    def remembered(self) -> int:
        return sum(map(len, self._cache.values()))

    def examine(self, decoded: Decoded) -> RecordFault | None:
        """An entity's log is one partition; a record elsewhere would race with it."""
        record, fact = decoded.record, decoded.fact
        if fact.name == TIMER_FIRED and fact.source != timers.SOURCE:
            return RecordFault("type_reserved", "/type", f"{record}: timers are published by the platform alone")
        if fact.key in self._cache.get(record.partition, ()):
            return None
        home = partition_of(fact.key.encode(), self._partitions)
        if home == record.partition:
            return None
        message = f"{record}: the log of {fact.key!r} is partition {home}; key records by 'subject' and partition by murmur2"
        return RecordFault("misrouted", "/subject", message)

    def decide(self, decoded: Sequence[Decoded], work: Work) -> None:
        homes = {item.fact.key: item.record.partition for item in decoded}
        entities = self._entities(homes)
        fired: set[str] = set()
        step, day_of, counter = self._step, None, Counter[str]()
        for item in decoded:
            record, fact = item.record, item.fact
            decision = arrive(step, entities[fact.key], fact)
            if day_of != (day := (record.partition, record.timestamp_ms // DAY_MS)):
                day_of, counter = day, work.counter(record)
            counter[decision.outcome] += 1
            if decision.late:
                work.book_late(record, decision.late)
            if decision.derived:
                work.messages += self._messages(record, fact, decision.derived)
            if fact.name == TIMER_FIRED:
                fired.add(fact.key)
        work.event_times = [item.fact.time.timestamp() for item in decoded]
        due = self._timers(entities, homes, fired)
        rows = list(entities.items())

        def save(cursor: Cursor[Any]) -> None:
            self._store.save(cursor, rows)
            if due:
                timers.save(cursor, self.name, due)

        work.save = save
        work.keep = lambda: self._keep(entities, homes)
        self._held.append(entities)

    def forget(self) -> None:
        self._held.clear()
        self._cache.clear()

    def close(self) -> None:
        self._database.close()

    def _entities(self, keys: dict[str, int]) -> dict[str, Entity[S]]:
        """Working copies: what the batches before left, else the cache, else the store, else new ones."""
        entities: dict[str, Entity[S]] = {}
        missing: list[str] = []
        for key, partition in keys.items():
            known = self._known(key, partition)
            if known is None:
                missing.append(key)
            else:
                entities[key] = known.copy()
        if missing:
            with self._database.transaction() as cursor:
                found = self._store.load(cursor, missing)
            for key in missing:
                entities[key] = found.get(key) or Entity(self._step.initial())
        return entities

    def _known(self, key: str, partition: int) -> Entity[S] | None:
        for held in reversed(self._held):
            if key in held:
                return held[key]
        return self._cache.get(partition, {}).get(key)

    def _timers(self, entities: dict[str, Entity[S]], homes: dict[str, int], fired: set[str]) -> dict[str, tuple[int, Any]]:
        """Rows to set or, after firing with nothing further due, to delete. A row that is too early stays as it is."""
        due: dict[str, tuple[int, Any]] = {}
        for key, entity in entities.items():
            instant = self._step.due_at(entity.state)
            if instant is None:
                if key in fired:
                    due[key] = (homes[key], None)
            elif entity.timer_at is None or instant < entity.timer_at:
                entity.timer_at = instant
                due[key] = (homes[key], instant)
        return due

    def _messages(self, record: Record, cause: Fact, derived: Sequence[Derived]) -> list[Message]:
        """Derived events, their ids made of the cause's place in the log: a repeat of the batch gives the same again."""
        messages = []
        for index, fact in enumerate(derived):
            event_id = f"{record.topic}-{record.partition}-{record.offset}-{index}"
            value = self._registry.encode(fact.name, event_id, self._source, fact.key, fact.time, fact.data, cause.id)
            messages.append(Message(self._outputs[fact.name], fact.key.encode(), value, _HEADERS))
        return messages

    def _keep(self, entities: dict[str, Entity[S]], homes: dict[str, int]) -> None:
        """Committed: the copies are the truth now. The oldest leave when there are too many."""
        for key, entity in entities.items():
            cached = self._cache.setdefault(homes[key], {})
            cached.pop(key, None)
            cached[key] = entity
        if self._held and self._held[0] is entities:
            del self._held[0]
        surplus = self.remembered - self._cached_max
        if surplus > 0:
            self._evict(surplus)

    def _evict(self, surplus: int) -> None:
        for cached in sorted(self._cache.values(), key=len, reverse=True):
            share = min(len(cached), surplus)
            for key in list(cached)[:share]:
                del cached[key]
            surplus -= share
            if surplus <= 0:
                return


class SinkHandler:
    """The engine without a rule: every event whose contract holds becomes a row."""

    def __init__(self, sink: Sink) -> None:
        self.name = sink.name
        self.topics = tuple(sink.topics)
        self._sink = sink

    def assigned(self, partitions: dict[str, int]) -> None:
        """A sink keeps every record, wherever it stands."""

    @property
    def remembered(self) -> int:
        return 0

    def examine(self, decoded: Decoded) -> RecordFault | None:
        """Nothing to add to the contract."""

    def decide(self, decoded: Sequence[Decoded], work: Work) -> None:
        rows = [_row(item) for item in decoded]
        work.event_times = [item.fact.time.timestamp() for item in decoded]

        def save(cursor: Cursor[Any]) -> None:
            # Booked here, since only the store can tell a repeat; a retry of the transaction books anew.
            repeats = self._sink.write(cursor, rows)
            for counter in work.outcomes.values():
                counter.pop(Outcome.APPLIED, None)
                counter.pop(Outcome.DUPLICATE, None)
            for position, item in enumerate(decoded):
                work.counter(item.record)[Outcome.DUPLICATE if position in repeats else Outcome.APPLIED] += 1

        work.save = save

    def forget(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is open."""


def _row(decoded: Decoded) -> Row:
    """A plain structured event as it came; any other as structured JSON."""
    record, event = decoded.record, decoded.event
    value = (record.value or b"") if event is None else json_format.encode(event)
    return Row(
        record.topic, record.partition, record.offset, record.timestamp_ms, decoded.fact, decoded.wire_type, value.decode()
    )


def _by_name(registry: Registry) -> dict[str, Any]:
    return {contract.name: contract for contract in registry.contracts.values()}
