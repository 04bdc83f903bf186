"""What a subject's story is made of: stored events, and what the rules made of each. Types only; `dujiang/` tells it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple


class StoredEvent(NamedTuple):
    """A row of the event history. `event`: structured JSON."""

    topic: str
    partition: int
    offset: int
    recorded_at: datetime
    event: str


class Move(NamedTuple):
    """A field that an event changed: texts, or instants."""

    field: str
    before: str | datetime
    after: str | datetime


class Fired(NamedTuple):
    """A timer that had come due before the event, and moved the state first."""

    name: str
    at: datetime
    before: str | None
    after: str | None


class Change(NamedTuple):
    """One event and what it changed.

    outcome: applied, parked, rejected, superseded, duplicate, unreadable. reason: of a refusal. before, after: base states.
    fired: timers that the event's time had let go first. late: (event id, outcome, reason) of events that had been parked until
    this one came.
    """

    at: datetime
    stored: StoredEvent
    wire_type: str
    source: str
    event_id: str
    outcome: str
    reason: str
    before: str | None
    after: str | None
    moves: tuple[Move, ...]
    fired: tuple[Fired, ...]
    late: tuple[tuple[str, str, str], ...]
    data: dict[str, Any]


class Story(NamedTuple):
    """All changes in the log's order, and the base state that they lead to at the reader's instant."""

    changes: tuple[Change, ...]
    state: str | None


# (step, key, events in the log's order, the reader's instant) -> story
Tell = Callable[[str, str, Sequence[StoredEvent], datetime], Story]
