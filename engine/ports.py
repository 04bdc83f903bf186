"""The vocabulary of the engine: outcome, decision, entity, step, store. Types only, so that rules may import them.

A step's rule is a pure function of state and fact. The same step runs in the worker, in a unit test and in a replay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from schemas.contract import Fact

if TYPE_CHECKING:
    from psycopg import Cursor

S = TypeVar("S")


class Outcome(StrEnum):
    """What became of an event. A parked one waits for an earlier event; until that comes it counts as rejected."""

    __hash__ = str.__hash__  # Enum's own is a Python call, on every look-up of a table

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"
    PARKED = "parked"


class Derived(Struct, frozen=True, gc=False):
    """A fact that a rule derives. The engine gives it id, source and cause; `data` is a JSON object of the contract's form."""

    name: str
    key: str
    time: datetime
    data: dict[str, Any]


class Late(NamedTuple):
    """What became of an event that had been parked."""

    fact: Fact
    outcome: Outcome
    reason: str = ""


class Decision(Struct, Generic[S], frozen=True, gc=False):
    """A rule's answer: the state after the event, what became of it, what follows from it."""

    state: S
    outcome: Outcome
    reason: str = ""
    derived: tuple[Derived, ...] = ()
    late: tuple[Late, ...] = ()


class Rejection(NamedTuple):
    """An event that changed nothing, and why."""

    id: str
    reason: str


class Entity(Struct, Generic[S], gc=False):
    """A key's state and its account. Mutable: the engine works on a copy and keeps it only once it is committed.

    `seen` holds 64-bit hashes of (source, id), oldest first. `timer_at` is the instant for which the timer table will wake it.
    """

    state: S
    seen: bytes = b""
    applied: int = 0
    duplicates: int = 0
    superseded: int = 0
    rejected: tuple[Rejection, ...] = ()
    timer_at: datetime | None = None

    def copy(self) -> "Entity[S]":
        """Independent of this one, since all fields are immutable."""
        twin: Entity[S] = self.__copy__()  # type: ignore[attr-defined]  # msgspec's, and left out of its stubs
        return twin


@dataclass(frozen=True)
class Step(Generic[S]):
    """A subject's rules, declared for the engine.

    rule: one event. advance: all timers due at or before an instant. due_at: the next timer, or None. report: what a
    reader at an instant sees (timers due by then fired, parked events rejected), keys in print order.
    """

    name: str
    topic: str
    initial: Callable[[], S]
    rule: Callable[[S, Fact], Decision[S]]
    advance: Callable[[S, datetime, str], Decision[S]]
    due_at: Callable[[S], datetime | None]
    report: Callable[[str, Entity[S], datetime], dict[str, Any]]
    state_name: Callable[[S], str | None]


class Store(Protocol[S]):
    """Where a step's entities live. `save` runs inside the caller's transaction and never commits."""

    def load(self, cursor: "Cursor[Any]", keys: Sequence[str]) -> dict[str, Entity[S]]:
        """The entities of those keys that exist, by one statement."""
        ...

    def save(self, cursor: "Cursor[Any]", entities: Sequence[tuple[str, Entity[S]]]) -> None:
        """Insert or replace, in bulk. Keys are distinct."""
        ...


class Row(Struct, frozen=True, gc=False):
    """A record that a sink writes: where it came from and what it carries (`value` is structured JSON in UTF-8)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    fact: Fact
    wire_type: str
    value: bytes


class Sink(Protocol):
    """A downstream store in PostgreSQL fed from topics."""

    name: str
    topics: Sequence[str]

    def prepare(self, rows: Sequence[Row]) -> "Callable[[Cursor[Any]], set[int]]":
        """All that can be done ahead of the database, while the batch before is written. Returns what writes these rows.

        That runs inside the caller's transaction, once for each try of it, and never commits; repeats of an event are harmless.
        It returns the positions in `rows` of repeats that were left out. Another thread may call it while the next batch is
        prepared; it may never be called, when the batch is given up.
        """
        ...
