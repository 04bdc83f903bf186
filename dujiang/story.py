"""Why an entity stands where it stands: its events once more through the worker's rules, each beside what it changed. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from engine.entity import arrive
from engine.ports import Entity, Step
from gateway.console.story import Change, Fired, Move, StoredEvent, Story, Tell
from schemas.cloudevents import CloudEventError, json_format
from schemas.contract import plain
from schemas.platform import TIMER_FIRED
from schemas.registry import ContractError, Registry

_MOVED = "research.project.statechanged"  # tells of timers by an empty cause_id
# Told elsewhere in the story, or of no use to a reader.
# `disbursed` tells of every payment, and the event of its year.
_UNTOLD = frozenset({"changed_at", "changed_by", "parked", "paid_by_year"})


def teller(steps: Mapping[str, Step[Any]], registry: Registry) -> Tell:
    """Tells the story of any step's entity."""

    def tell(step: str, key: str, events: Sequence[StoredEvent], instant: datetime) -> Story:
        return tell_story(steps[step], key, events, instant, registry)

    return tell


def tell_story(step: Step[Any], key: str, events: Sequence[StoredEvent], instant: datetime, registry: Registry) -> Story:
    """`events` in the log's order. The state is the one at `instant`: timers due by then have fired, as for any reader."""
    entity = Entity(step.initial())
    changes = tuple(_change(step, entity, stored, registry) for stored in events)
    return Story(changes, step.state_name(step.advance(entity.state, instant, key).state))


def _change(step: Step[Any], entity: Entity[Any], stored: StoredEvent, registry: Registry) -> Change:
    try:
        event = json_format.decode(stored.event.encode())
        fact = registry.fact(event)
    except (CloudEventError, ContractError) as error:
        # An event of a contract that this build no longer knows: shown, not judged.
        raw, name = json.loads(stored.event), step.state_name(entity.state)
        wire_type, source, event_id = (str(raw.get(attribute, "")) for attribute in ("type", "source", "id"))
        return Change(
            at=stored.recorded_at,
            stored=stored,
            wire_type=wire_type,
            source=source,
            event_id=event_id,
            outcome="unreadable",
            reason=error.reason,
            before=name,
            after=name,
            moves=(),
            fired=(),
            late=(),
            data={},
        )
    before = entity.state
    decision = arrive(step, entity, fact)
    return Change(
        at=fact.time,
        stored=stored,
        wire_type=event.type,
        source=fact.source,
        event_id=fact.id,
        outcome=decision.outcome.value,
        reason=decision.reason,
        before=step.state_name(before),
        after=step.state_name(entity.state),
        moves=tuple(_moves("", _plain(before), _plain(entity.state))),
        fired=tuple(
            Fired(derived.data["cause_type"], derived.time, derived.data["before"], derived.data["state"])
            for derived in decision.derived
            if derived.name == _MOVED and not derived.data["cause_id"] and fact.name != TIMER_FIRED
        ),
        late=tuple((late.fact.id, late.outcome.value, late.reason) for late in decision.late),
        data=plain(fact.data),
    )


def _plain(state: Any) -> dict[str, Any]:
    """A state's fields. An alert's latest episode is told as if its fields were the alert's own."""
    fields = {name: getattr(state, name) for name in state.__struct_fields__ if name not in _UNTOLD}
    episode = fields.pop("episode", None)
    return fields | (msgspec.structs.asdict(episode) if episode is not None else {})


def _moves(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Move]:
    found: list[Move] = []
    for name in {**after, **before}:
        old, new = before.get(name), after.get(name)
        if old == new or (old is None and new in ("", 0, False, ())):
            continue
        if isinstance(new, tuple) and isinstance(old, tuple | None):
            found += _moves(f"{name} ", _by_id(old or ()), _by_id(new))
        else:
            found.append(Move(prefix + name, _text(old), _text(new)))
    return found


def _by_id(items: tuple[Any, ...]) -> dict[str, Any]:
    """Milestones: id to due day and status."""
    return {item.id: f"{item.due:%Y-%m-%d} {item.status}" for item in items}


def _text(value: Any) -> str | datetime:
    if value is None or isinstance(value, datetime):
        return "" if value is None else value
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
