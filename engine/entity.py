"""The arrival of one event at its entity: duplicates, the rule, the account. Pure but for the entity it is given."""

from hashlib import blake2b

from engine.ports import Decision, Derived, Entity, Outcome, Rejection, S, Step
from schemas.contract import Fact
from schemas.platform import TIMER_FIRED, TRANSITION_REJECTED

# A project of the Bureau sees some 30 events, an alert some hundred a year. An older repeat is decided by the rules: event
# time and state.
SEEN_MAX = 256
HASH_BYTES = 8
REJECTED_MAX = 1_000
_SEEN_BYTES_MAX = SEEN_MAX * HASH_BYTES
# An enum's member costs more to look up than most of what is done with it.
_APPLIED, _DUPLICATE, _SUPERSEDED, _REJECTED = Outcome.APPLIED, Outcome.DUPLICATE, Outcome.SUPERSEDED, Outcome.REJECTED


def event_hash(source: str, event_id: str) -> bytes:
    """64 bits of (source, id); NUL can stand in neither, so it parts them."""
    return blake2b(f"{source}\0{event_id}".encode(), digest_size=HASH_BYTES).digest()


def derived_ids(topic: str, partition: int, offset: int, source: str, event_id: str, count: int) -> list[str]:
    """Ids of what is derived from the event (source, id) at a place of the log, in order.

    A repeat gives the same again. The place alone would not do: a log that was cut, or made anew, uses its offsets again.
    """
    origin = f"{topic}-{partition}-{offset}-{event_hash(source, event_id).hex()}"
    return [f"{origin}-{index}" for index in range(count)]


def arrive(step: Step[S], entity: Entity[S], fact: Fact) -> Decision[S]:
    """Decide one event and book it in `entity`. Timers are told by their name and leave no trace but in the state."""
    if fact.name == TIMER_FIRED:
        decision = step.advance(entity.state, fact.time, fact.key)
        entity.timer_at = None
        return _booked(step, entity, decision, ())
    mark, seen = event_hash(fact.source, fact.id), entity.seen
    if mark in seen:  # that it lies across two others is as unlikely as two equal hashes
        entity.duplicates += 1
        return Decision(entity.state, _DUPLICATE)
    entity.seen = (seen + mark)[-_SEEN_BYTES_MAX:]
    decision = step.rule(entity.state, fact)
    outcome = decision.outcome
    if outcome is _APPLIED:
        entity.applied += 1
        if not decision.late:
            entity.state = decision.state
            return decision
    elif outcome is _SUPERSEDED:
        entity.superseded += 1
    refused = ((fact, decision.reason),) if outcome is _REJECTED else ()
    return _booked(step, entity, decision, refused)


def _booked(step: Step[S], entity: Entity[S], decision: Decision[S], refused: tuple[tuple[Fact, str], ...]) -> Decision[S]:
    """Keep the new state and count what became of parked events. Every rejection is published: it is an answer."""
    entity.state = decision.state
    if decision.late:
        entity.applied += sum(late.outcome is _APPLIED for late in decision.late)
        refused += tuple((late.fact, late.reason) for late in decision.late if late.outcome is _REJECTED)
    if not refused:
        return decision
    rejections = (Rejection(fact.id, reason) for fact, reason in refused)
    entity.rejected = (*entity.rejected, *rejections)[-REJECTED_MAX:]
    told = tuple(_told(step, decision.state, fact, reason) for fact, reason in refused)
    return Decision(decision.state, decision.outcome, decision.reason, (*decision.derived, *told), decision.late)


def _told(step: Step[S], state: S, fact: Fact, reason: str) -> Derived:
    return Derived(
        TRANSITION_REJECTED,
        fact.key,
        fact.time,
        {
            "step": step.name,
            "event_type": fact.name,
            "event_id": fact.id,
            "event_source": fact.source,
            "reason": reason,
            "state": step.state_name(state),
        },
    )
