"""Calls for proposals: announced, extended, cancelled here, or reported by an outside register."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from schemas.contract import Amount, Contract, Data, Instant, NoData, Text
from schemas.topics import CALL_EVENT, CALL_STATE


class Phase(StrEnum):
    """Where a call stands at an instant."""

    __hash__ = str.__hash__  # Enum's own is a Python call, on every look-up of a table

    FORTHCOMING = "forthcoming"
    OPEN = "open"
    CLOSING_SOON = "closing_soon"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Announced(Data):
    """A call of the Bureau's own. `closes_at` is the last deadline; a null `opens_at` means open at once."""

    title: Text
    programme: Text
    opens_at: Instant | None
    closes_at: Instant | None
    budget: Amount | None


class Prolonged(Data):
    """A later deadline."""

    closes_at: Instant


class CallRegistered(Data):
    """What an outside register says of a call; its own status word is kept."""

    register_name: Text
    source_status: Literal["forthcoming", "open", "closed"]
    title: Text
    programme: Text
    opens_at: Instant | None
    closes_at: Instant | None
    budget: Amount | None
    deadline_model: Text


class PhaseChanged(Data):
    """Derived: a call came into another phase."""

    before: Text | None
    phase: Text
    opens_at: Instant | None
    closes_at: Instant | None
    cause_id: Text


CONTRACTS = [
    Contract("research.call.announced", 1, Announced, (CALL_EVENT,)),
    Contract("research.call.extended", 1, Prolonged, (CALL_EVENT,)),
    Contract("research.call.closed", 1, NoData, (CALL_EVENT,)),
    Contract("research.call.cancelled", 1, NoData, (CALL_EVENT,)),
    Contract("research.call.registered", 1, CallRegistered, (CALL_EVENT,)),
    Contract("research.call.phasechanged", 1, PhaseChanged, (CALL_STATE,), is_internal=True),
]


class Call(Struct, frozen=True, gc=False):
    """What is known of a call. `phase` is the one last told to others; the phase at an instant is computed."""

    title: str = ""
    programme: str = ""
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    budget: int | None = None
    is_cancelled: bool = False
    register_name: str = ""
    source_status: str = ""
    told_at: datetime | None = None
    phase: Phase | None = None
    changed_at: datetime | None = None
    changed_by: str = ""
