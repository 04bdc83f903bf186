"""What a runner can run: a step (rules, state) or a sink (rows). Both fill the same Work; neither touches Kafka."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol

from psycopg import Cursor

from engine import timers
from engine.database import Database
from engine.entity import arrive, derived_ids
from engine.errors import RecordFault
from engine.kafka import Message, partition_of
from engine.ports import Derived, Entity, Outcome, Row, S, Sink, Step, Store
from engine.records import DAY_MS, Decoded, Record, Work, runs_of
from engine.remembered import Remembered
from schemas import traceparent
from schemas.cloudevents import json_format
from schemas.contract import Fact
from schemas.platform import TIMER_FIRED
from schemas.registry import Registry

Entities = dict[int, dict[str, Entity[S]]]  # by partition and key
HOMES_MAX = 50_000  # keys whose partition is remembered
_APPLIED, _DUPLICATE = Outcome.APPLIED, Outcome.DUPLICATE  # looked up for every record
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
        self,
        step: Step[S],
        store: Store[S],
        registry: Registry,
        database: Database,
        *,
        cached_entities_max: int,
        is_traced: bool = False,
    ) -> None:
        self.name = step.name
        self.topics = (step.topic,)
        self._source = f"/streams/{step.name}"
        self._step = step
        self._store = store
        self._registry = registry
        self._database = database
        self._remembered: Remembered[S] = Remembered(cached_entities_max)
        self._held: list[Entities[S]] = []
        self._partitions = 0
        self._homes: dict[str, int] = {}  # a key's partition costs as much to compute as its rule
        # Chosen once, so that who does not trace does not ask for each event.
        self._headers_of = _traced_headers if is_traced else _plain_headers
        self._outputs = {name: contract.topics[0].name for name, contract in _by_name(registry).items()}

    def assigned(self, partitions: dict[str, int]) -> None:
        self._partitions = partitions[self._step.topic]
        self._homes.clear()

    @property
    def remembered(self) -> int:
        return len(self._remembered)

    def examine(self, decoded: Decoded) -> RecordFault | None:
        """An entity's log is one partition; a record elsewhere would race with it."""
        record, fact = decoded.record, decoded.fact
        if fact.name == TIMER_FIRED and fact.source != timers.SOURCE:
            return RecordFault("type_reserved", "/type", f"{record}: timers are published by the platform alone")
        home = self._homes.get(fact.key)
        if home is None:
            home = self._home_of(fact.key)
        if home == record.partition:
            return None
        message = f"{record}: the log of {fact.key!r} is partition {home}; key records by 'subject' and partition by murmur2"
        return RecordFault("misrouted", "/subject", message)

    def _home_of(self, key: str) -> int:
        if len(self._homes) >= HOMES_MAX:
            self._homes.clear()
        home = self._homes[key] = partition_of(key.encode(), self._partitions)
        return home

    def decide(self, decoded: Sequence[Decoded], work: Work) -> None:
        entities = self._entities(decoded)
        fired: set[str] = set()
        step, told = self._step, work.event_times.append
        place, mine, counter = None, {}, Counter[str]()
        for item in decoded:
            record, fact = item.record, item.fact
            if place != (place := (record.partition, record.timestamp_ms // DAY_MS)):
                mine, counter = entities[record.partition], work.counter(record)
            told(fact.time.timestamp())
            decision = arrive(step, mine[fact.key], fact)
            counter[decision.outcome] += 1
            if decision.late:
                work.book_late(record, decision.late)
            if decision.derived:
                work.messages += self._messages(record, fact, decision.derived)
            if fact.name == TIMER_FIRED:
                fired.add(fact.key)
        due = self._timers(entities, fired)
        rows = [row for mine in entities.values() for row in mine.items()]

        def save(cursor: Cursor[Any]) -> None:
            self._store.save(cursor, rows)
            if due:
                timers.save(cursor, self.name, due)

        work.save = save
        work.keep = lambda: self._keep(entities)
        self._held.append(entities)

    def forget(self) -> None:
        self._held.clear()
        self._remembered.clear()

    def close(self) -> None:
        self._database.close()

    def _entities(self, decoded: Sequence[Decoded]) -> Entities[S]:
        """Working copies: what the batches before left, else what is remembered, else the store's, else new ones."""
        entities: Entities[S] = {}
        missing: dict[str, int] = {}
        partition, mine = -1, {}
        known: list[Mapping[str, Entity[S]]] = []
        for item in decoded:
            if partition != item.record.partition:
                partition = item.record.partition
                mine = entities.setdefault(partition, {})
                known = [
                    *(held[partition] for held in reversed(self._held) if partition in held),
                    self._remembered.by_key,
                ]
            key = item.fact.key
            if key in mine:
                continue
            for source in known:
                if key in source:
                    mine[key] = source[key].copy()
                    break
            else:
                missing[key] = partition
                mine[key] = Entity(self._step.initial())
        if missing:
            with self._database.statement() as cursor:
                found = self._store.load(cursor, list(missing))
            for key, entity in found.items():
                entities[missing[key]][key] = entity
        return entities

    def _timers(self, entities: Entities[S], fired: set[str]) -> dict[str, tuple[int, Any]]:
        """Rows to set or, after firing with nothing further due, to delete. A row that is too early stays as it is."""
        due: dict[str, tuple[int, Any]] = {}
        due_at = self._step.due_at
        for partition, mine in entities.items():
            for key, entity in mine.items():
                instant = due_at(entity.state)
                if instant is None:
                    if key in fired:
                        due[key] = (partition, None)
                elif entity.timer_at is None or instant < entity.timer_at:
                    entity.timer_at = instant
                    due[key] = (partition, instant)
        return due

    def _messages(self, record: Record, cause: Fact, derived: Sequence[Derived]) -> list[Message]:
        """Derived events, under ids that a repeat of the batch gives again."""
        messages, headers = [], self._headers_of(record)
        ids = derived_ids(record.topic, record.partition, record.offset, cause.source, cause.id, len(derived))
        for fact, event_id in zip(derived, ids, strict=True):
            value = self._registry.encode(fact.name, event_id, self._source, fact.key, fact.time, fact.data, cause.id)
            messages.append(Message(self._outputs[fact.name], fact.key.encode(), value, headers))
        return messages

    def _keep(self, entities: Entities[S]) -> None:
        """Committed: the copies are the truth now."""
        self._remembered.keep(entities.values())
        if self._held and self._held[0] is entities:
            del self._held[0]


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
        write = self._sink.prepare([_row(item) for item in decoded])
        work.event_times = [item.fact.time.timestamp() for item in decoded]
        # `save` says nothing of `work`: a batch that holds itself stays until the collector comes, hundreds of MiB later.
        outcomes, records = work.outcomes, [item.record for item in decoded]
        runs = [(begin, end, work.counter(records[begin])) for begin, end in runs_of(records)]

        def save(cursor: Cursor[Any]) -> None:
            # Booked here, since only the store can tell a repeat; a retry of the transaction books anew.
            repeats = sorted(write(cursor))
            for counter in outcomes.values():
                counter.pop(_APPLIED, None)
                counter.pop(_DUPLICATE, None)
            for begin, end, counter in runs:
                repeated = bisect_left(repeats, end) - bisect_left(repeats, begin)
                if repeated:
                    counter[_DUPLICATE] += repeated
                if repeated < end - begin:
                    counter[_APPLIED] += end - begin - repeated

        work.save = save

    def forget(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is open."""


def _row(decoded: Decoded) -> Row:
    """A plain structured event as it came; any other as structured JSON."""
    record, event = decoded.record, decoded.event
    value = (record.value or b"") if event is None else json_format.encode(event)
    return Row(record.topic, record.partition, record.offset, record.timestamp_ms, decoded.fact, decoded.wire_type, value)


def _plain_headers(_: Record) -> list[tuple[str, bytes]]:
    return _HEADERS


def _traced_headers(record: Record) -> list[tuple[str, bytes]]:
    """What is derived belongs to its cause's trace."""
    parent = traceparent.of_headers(record.headers)
    return _HEADERS if parent is None else [*_HEADERS, (traceparent.NAME, parent.encode())]


def _by_name(registry: Registry) -> dict[str, Any]:
    return {contract.name: contract for contract in registry.contracts.values()}
