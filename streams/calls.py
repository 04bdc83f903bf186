"""Calls for proposals: where one stands at an instant, and the timers that tell others when it moves."""

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from engine.ports import Decision, Derived, Entity, Outcome, Step
from schemas.calls import Call, Phase
from schemas.contract import Fact, instant_text
from schemas.platform import FINDING_REPORTED
from schemas.topics import CALL_EVENT

CLOSING_SOON = timedelta(days=14)


def phase_at(call: Call, instant: datetime) -> Phase | None:
    """Dates decide; the register's word only where it gives no date. None before anything is known of the call."""
    if call.told_at is None:
        return None
    if call.is_cancelled:
        return Phase.CANCELLED
    if call.closes_at is not None and call.closes_at <= instant:
        return Phase.CLOSED
    if call.opens_at is not None and instant < call.opens_at:
        return Phase.FORTHCOMING
    if call.opens_at is None and call.source_status == "forthcoming":
        return Phase.FORTHCOMING
    if call.closes_at is None:
        return Phase.CLOSED if call.source_status == "closed" else Phase.OPEN
    return Phase.CLOSING_SOON if call.closes_at - instant <= CLOSING_SOON else Phase.OPEN


def decide(call: Call, fact: Fact) -> Decision[Call]:
    """One event; a snapshot older than the one known is superseded."""
    answer = _EVENTS[fact.name](call, fact)
    if answer is None:
        return Decision(call, Outcome.SUPERSEDED)
    if isinstance(answer, str):
        return Decision(call, Outcome.REJECTED, answer)
    after = replace(answer, changed_at=fact.time, changed_by=f"{fact.source} {fact.id}")
    after, derived = _told(after, fact.key, fact.time, fact.id)
    return Decision(after, Outcome.APPLIED, "", derived + _finding(after, fact))


def advance(call: Call, instant: datetime, key: str) -> Decision[Call]:
    """A timer: tell the phase if it is another than the one last told."""
    after, derived = _told(call, key, instant, "timer")
    if not derived:
        return Decision(call, Outcome.SUPERSEDED)
    return Decision(replace(after, changed_at=instant, changed_by="timer"), Outcome.APPLIED, "", derived)


def due_at(call: Call) -> datetime | None:
    """The next instant at which the phase moves by itself, seen from the one last told."""
    if call.phase is Phase.FORTHCOMING and call.opens_at is not None:
        return call.opens_at
    if call.closes_at is None or call.phase in (None, Phase.CLOSED, Phase.CANCELLED):
        return None
    return call.closes_at - CLOSING_SOON if call.phase is Phase.OPEN else call.closes_at


_Answer = Call | str | None


def _announced(call: Call, fact: Fact) -> _Answer:
    if call.told_at is not None and fact.time < call.told_at:
        return None
    word = fact.data
    if _closes_before_opening(word.opens_at, word.closes_at):
        return "closes_before_opening"
    return replace(
        call,
        title=word.title,
        programme=word.programme,
        opens_at=word.opens_at,
        closes_at=word.closes_at,
        budget=word.budget,
        told_at=fact.time,
    )


def _registered(call: Call, fact: Fact) -> _Answer:
    answer = _announced(call, fact)
    if not isinstance(answer, Call):
        return answer
    return replace(answer, register_name=fact.data.register_name, source_status=fact.data.source_status)


def _extended(call: Call, fact: Fact) -> _Answer:
    """The deadline moves later, and only while the call is open."""
    if phase_at(call, fact.time) not in (Phase.OPEN, Phase.CLOSING_SOON):
        return "extended_while_not_open"
    if call.closes_at is not None and fact.data.closes_at <= call.closes_at:
        return "extension_not_later"
    return replace(call, closes_at=fact.data.closes_at)


def _closed(call: Call, fact: Fact) -> _Answer:
    phase = phase_at(call, fact.time)
    if phase in (None, Phase.CLOSED, Phase.CANCELLED):
        return "call_unknown" if phase is None else "already_closed"
    return replace(call, closes_at=fact.time)


def _cancelled(call: Call, fact: Fact) -> _Answer:
    phase = phase_at(call, fact.time)
    if phase in (None, Phase.CANCELLED):
        return "call_unknown" if phase is None else "already_cancelled"
    return replace(call, is_cancelled=True)


_EVENTS = {
    "research.call.announced": _announced,
    "research.call.registered": _registered,
    "research.call.extended": _extended,
    "research.call.closed": _closed,
    "research.call.cancelled": _cancelled,
}


def _closes_before_opening(opens_at: datetime | None, closes_at: datetime | None) -> bool:
    return opens_at is not None and closes_at is not None and closes_at <= opens_at


def _told(call: Call, key: str, at: datetime, cause_id: str) -> tuple[Call, tuple[Derived, ...]]:
    phase = phase_at(call, at)
    if phase is None or phase is call.phase:
        return call, ()
    data = {
        "before": call.phase,
        "phase": phase,
        "opens_at": _text(call.opens_at),
        "closes_at": _text(call.closes_at),
        "cause_id": cause_id,
    }
    return replace(call, phase=phase), (Derived("research.call.phasechanged", key, at, data),)


def _finding(call: Call, fact: Fact) -> tuple[Derived, ...]:
    """The register's word against its own dates: for a person to look at, never a change of state."""
    if fact.name != "research.call.registered":
        return ()
    phase = phase_at(call, fact.time)
    said = "open" if phase is Phase.CLOSING_SOON else phase
    if said == call.source_status or phase is None:
        return ()
    message = f"{call.register_name} says {call.source_status!r}, its dates say {phase.value!r} at {instant_text(fact.time)}"
    data = {
        "rule": "status_against_dates",
        "severity": "warning",
        "message": message,
        "pointer": "/data/source_status",
        "value": call.source_status,
    }
    return (Derived(FINDING_REPORTED, fact.key, fact.time, data),)


def report(key: str, entity: Entity[Call], instant: datetime) -> dict[str, Any]:
    """The call as a reader at an instant sees it; keys in print order."""
    call = entity.state
    return {
        "call_id": key,
        "phase": phase_at(call, instant),
        "title": call.title,
        "programme": call.programme,
        "opens_at": _text(call.opens_at),
        "closes_at": _text(call.closes_at),
        "budget": call.budget,
        "register": call.register_name,
        "source_status": call.source_status,
        "applied": entity.applied,
        "duplicates": entity.duplicates,
        "superseded": entity.superseded,
        "rejected": [
            {"id": rejection.id, "reason": rejection.reason}
            for rejection in sorted(entity.rejected, key=lambda rejection: rejection.id)
        ],
    }


def _text(instant: datetime | None) -> str | None:
    return instant_text(instant) if instant else None


STEP: Step[Call] = Step(
    name="calls",
    topic=CALL_EVENT.name,
    initial=Call,
    rule=decide,
    advance=advance,
    due_at=due_at,
    report=report,
    state_name=lambda call: call.phase,
)
