"""Outside registers know a project coarsely; this maps their word onto our states and tells a contradiction.

Mapping: CORDIS SIGNED -> contracted before the start, else executing; CLOSED -> closed; TERMINATED -> terminated. GtR Active ->
executing, past its end acceptance_pending; Closed -> closed. TechPort active, completed, canceled. NSF: by dates.
"""

from datetime import date, datetime

from schemas.contract import day_instant
from schemas.projects import Registered, State

_RUNNING = "running"
_WORDS: dict[tuple[str, str], State | str] = {
    ("gtr", "active"): _RUNNING,
    ("gtr", "closed"): State.CLOSED,
    ("cordis", "signed"): _RUNNING,
    ("cordis", "closed"): State.CLOSED,
    ("cordis", "terminated"): State.TERMINATED,
    ("techport", "active"): _RUNNING,
    ("techport", "completed"): State.CLOSED,
    ("techport", "canceled"): State.TERMINATED,
    ("nsf", ""): _RUNNING,
}


def state_of(register: str, word: str, start: date | None, end: date | None, at: datetime) -> State | None:
    """Our state for a register's word at an instant; None for a word the register is not known to use."""
    meaning = _WORDS.get((register, word.strip().casefold()))
    if meaning != _RUNNING:
        return State(meaning) if meaning is not None else None
    if start is not None and at < day_instant(start):
        return State.CONTRACTED
    if end is not None and day_instant(end) <= at:
        return State.CLOSED if register == "nsf" else State.ACCEPTANCE_PENDING
    return State.EXECUTING


def conflict_of(word: Registered, ours: State | None, mapped: State, at: datetime) -> tuple[str, str] | None:
    """(rule, message) where the register contradicts itself or us."""
    if ours is not None and ours is not mapped:
        return (
            "register_disagrees",
            f"{word.register_name} says {word.source_status!r} ({mapped}), our events say {ours}",
        )
    if mapped is State.ACCEPTANCE_PENDING and word.end is not None:
        return (
            "active_after_end",
            f"{word.register_name} says {word.source_status!r}, but the end {word.end} is before {at.date()}",
        )
    if mapped is State.CLOSED and word.end is not None and day_instant(word.end) > at:
        return (
            "closed_before_end",
            f"{word.register_name} says {word.source_status!r}, but the end {word.end} is after {at.date()}",
        )
    return None
