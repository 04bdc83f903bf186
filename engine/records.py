"""A record of the log on its way through the engine, and what was decided of it."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from msgspec import Struct
from psycopg import Cursor

from engine.errors import RecordFault
from engine.kafka import Message
from engine.ports import Late, Outcome
from schemas.cloudevents import CloudEvent, CloudEventError, kafka_binding
from schemas.contract import Fact
from schemas.quick import is_plain
from schemas.registry import ContractError, Registry

DAY_MS = 86_400_000
GLIMPSE_CHARS_MAX = 512
Place = tuple[str, int]  # topic, partition
# Stands for headers of which one has a name that is not UTF-8; the client shows none of them then.
UNREADABLE: list[tuple[str, bytes | None]] = [("(unreadable)", None)]


class Record(Struct, frozen=True, gc=False):
    """One record as it came. `timestamp_ms` is its time in the log, which its publisher may set."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: list[tuple[str, bytes | None]] | None
    value: bytes | None

    @property
    def place(self) -> Place:
        return (self.topic, self.partition)

    @property
    def day(self) -> date:
        """The account's day."""
        return datetime.fromtimestamp(max(0, self.timestamp_ms) / 1000, UTC).date()

    def __str__(self) -> str:
        return f"{self.topic} p{self.partition}@{self.offset}"


def runs_of(records: Sequence[Record]) -> list[tuple[int, int]]:
    """(first position, one after the last) wherever records of one partition and day follow one another without a hole.

    Batches are long runs, and what is the same in a run is done once for it.
    """
    begins: list[int] = []
    topic, partition, day, following = "", -1, -1, -1
    for position, record in enumerate(records):
        if (
            record.offset != following
            or record.partition != partition
            or record.topic != topic
            or record.timestamp_ms // DAY_MS != day
        ):
            begins.append(position)
            topic, partition, day = record.topic, record.partition, record.timestamp_ms // DAY_MS
        following = record.offset + 1
    return list(pairwise([*begins, len(records)]))


class Glimpse(NamedTuple):
    """Attributes of what is no event, as they stand in it; a CloudEvent would refuse them, as it refused the record."""

    id: str
    source: str
    type: str


class Refused(NamedTuple):
    """A record on its way to quarantine."""

    record: Record
    fault: RecordFault
    event: CloudEvent | Glimpse | None


@dataclass(slots=True)
class Work:
    """A decided batch: what to publish, what to store, what to book. `save` runs inside the transaction."""

    records: Sequence[Record]
    start: dict[Place, int]
    next: dict[Place, int]
    arrivals: list[float] = field(default_factory=list)  # unix times of the records
    outcomes: dict[tuple[str, int, date], Counter[str]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    event_times: list[float] = field(default_factory=list)  # unix times
    began_s: float = 0.0  # unix time
    committed_s: float = 0.0  # unix time
    save: Callable[[Cursor[Any]], None] = lambda _: None
    keep: Callable[[], None] = lambda: None

    def book(self, record: Record, outcome: Outcome) -> None:
        """Count one record's outcome on its day."""
        self.counter(record)[outcome] += 1

    def book_late(self, record: Record, late: Sequence[Late]) -> None:
        """Parked records that this one settled, on the day of this one."""
        applied = sum(item.outcome is Outcome.APPLIED for item in late)
        counter = self.counter(record)
        counter["late_applied"] += applied
        counter["late_rejected"] += len(late) - applied

    def book_gap(self, record: Record, offsets: int) -> None:
        """Offsets before this record that hold none."""
        self.counter(record)["gap"] += offsets

    def counter(self, record: Record) -> Counter[str]:
        """The outcomes of a record's partition and day."""
        days = record.timestamp_ms // DAY_MS
        at = (record.topic, record.partition, _day(days))
        counter = self.outcomes.get(at)
        if counter is None:
            counter = self.outcomes[at] = Counter()
        return counter


_days: dict[int, date] = {}


def _day(days: int) -> date:
    day = _days.get(days)
    if day is None:
        if len(_days) > 10_000:
            _days.clear()
        day = _days[days] = datetime.fromtimestamp(max(0, days) * 86_400, UTC).date()
    return day


class Decoded(Struct, frozen=True, gc=False):
    """A record whose event keeps its contract. `event` only where the strict codec had to look."""

    record: Record
    fact: Fact
    wire_type: str
    event: CloudEvent | None


def decode(record: Record, registry: Registry) -> Decoded | Refused:
    """From bytes to a fact, or the reason why not."""
    if is_plain(record.headers):
        quick = registry.quick(record.value)
        if quick is not None:
            fact, contract, plain = quick
            if record.topic in contract.topic_names:
                return Decoded(record, fact, plain.type, None)
    if record.headers == UNREADABLE:
        return Refused(record, RecordFault("header_encoding", "", f"{record}: {_UNREADABLE_NAME}"), None)
    event: CloudEvent | None = None
    try:
        event = kafka_binding.decode(record.headers, record.value)
        contract = registry.contract_of(event.type)
        if record.topic not in contract.topic_names:
            names = " or ".join(contract.topic_names)
            raise ContractError("topic_wrong", "/type", f"{event.type} belongs into {names}; send it there")
        return Decoded(record, registry.fact(event), event.type, event)
    except CloudEventError as error:
        return Refused(record, RecordFault(str(error.reason), error.pointer, f"{record}: {error}"), event or _glimpse(record))
    except ContractError as error:
        return Refused(record, RecordFault(error.reason, error.pointer, f"{record}: {error}"), event)


_UNREADABLE_NAME = "the name of a header is not UTF-8; send header names as UTF-8"


def _glimpse(record: Record) -> Glimpse | None:
    """What of a broken event can be read at all, so that its publisher can be named."""
    try:
        raw = json.loads(record.value or b"")
        id_, source, wire_type = (raw[name] if isinstance(raw.get(name), str) else "" for name in ("id", "source", "type"))
    except (ValueError, AttributeError, RecursionError):
        return None
    return Glimpse(id_[:GLIMPSE_CHARS_MAX], source[:GLIMPSE_CHARS_MAX], wire_type[:GLIMPSE_CHARS_MAX])
