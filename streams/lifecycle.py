"""How events of a long-lived entity arrive: timers first, then table, guards, parking, retries.

The procedure of the Bureau's project rules, kept apart from any subject: a lifecycle brings the table and the effects, this
module brings the order. An event that is early (its row is missing) is parked and tried again after each move.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from engine.ports import Decision, Derived, Late, Outcome
from schemas.contract import Fact

PARKED_MAX = 16
ILLEGAL = "illegal_transition"
# An enum's member costs more to look up than most of what is done with it.
_APPLIED, _PARKED, _REJECTED, _SUPERSEDED = Outcome.APPLIED, Outcome.PARKED, Outcome.REJECTED, Outcome.SUPERSEDED


class Parks(Protocol):
    """A state that can keep parked events."""

    @property
    def parked(self) -> tuple[Fact, ...]: ...


P = TypeVar("P", bound=Parks)


class Timer(NamedTuple):
    """A named instant at which a state may move by itself."""

    name: str
    due: datetime


class Row(NamedTuple):
    """A row of a subject's table, for one event in one state: where it leads, what holds it up, what else it changes.

    `after` None: the state stays. `guard` gives the reason of the first guard that fails, `effect` the fields that change.
    """

    after: Any
    guard: Callable[[Any, Fact], str | None] | None
    effect: Callable[[Any, Fact], dict[str, Any]] | None


@dataclass(frozen=True)
class Lifecycle(Generic[P]):
    """A subject's table. Every function is pure.

    row: the table's row for (state, event), or None. apply: the state after an event whose row and guards hold.
    due_at: when the next timer would act, or None. timer: that timer.
    fire: the state after it. moved: what is told when the state changed. with_parked: the state with other parked events.
    """

    row: Callable[[P, Fact], Row | None]
    apply: Callable[[P, Fact, Row], P]
    due_at: Callable[[P], datetime | None]
    timer: Callable[[P], Timer | None]
    fire: Callable[[P, Timer], P]
    moved: Callable[[P, P, str, str, str, datetime], tuple[Derived, ...]]
    with_parked: Callable[[P, tuple[Fact, ...]], P]

    def arrive(self, state: P, fact: Fact) -> Decision[P]:
        """One event, in the order of the rules: timers due by its time, then itself, then the parked ones."""
        derived: tuple[Derived, ...] = ()
        late: tuple[Late, ...] = ()
        due = self.due_at(state)
        if due is not None and due <= fact.time:
            state, derived, late = self._fire_due(state, fact.time, fact.key)
        row = self.row(state, fact)
        if row is None:
            state, displaced = self._park(state, fact)
            return Decision(state, _PARKED, "", derived, late + displaced)
        if row.guard is not None and (reason := row.guard(state, fact)) is not None:
            return Decision(state, _REJECTED, reason, derived, late)
        before, state = state, self.apply(state, fact, row)
        derived += self.moved(before, state, fact.key, fact.name, fact.id, fact.time)
        if state.parked:
            state, more, retried = self._retry(state, fact.key)
            return Decision(state, _APPLIED, "", derived + more, late + retried)
        return Decision(state, _APPLIED, "", derived, late)

    def advance(self, state: P, instant: datetime, key: str) -> Decision[P]:
        """Only the timers due at or before an instant. Superseded when none acts: an earlier event had fired them."""
        after, derived, late = self._fire_due(state, instant, key)
        return Decision(after, _SUPERSEDED if after is state else _APPLIED, "", derived, late)

    def settle(self, state: P, instant: datetime, key: str) -> tuple[P, tuple[Late, ...]]:
        """What a reader at an instant sees: due timers fired, whatever is still parked rejected."""
        state, _, late = self._fire_due(state, instant, key)
        left = tuple(Late(fact, _REJECTED, ILLEGAL) for fact in state.parked)
        return self.with_parked(state, ()), late + left

    def _fire_due(self, state: P, instant: datetime, key: str) -> tuple[P, tuple[Derived, ...], tuple[Late, ...]]:
        derived: tuple[Derived, ...] = ()
        late: tuple[Late, ...] = ()
        while (due := self.due_at(state)) is not None and due <= instant:
            timer = self.timer(state)
            assert timer is not None  # due_at says so  # noqa: S101
            before, state = state, self.fire(state, timer)
            derived += self.moved(before, state, key, timer.name, "", timer.due)
            state, more, retried = self._retry(state, key)
            derived += more
            late += retried
        return state, derived, late

    def _retry(self, state: P, key: str) -> tuple[P, tuple[Derived, ...], tuple[Late, ...]]:
        """Parked events, earliest first, from the start after each success, until none can be applied."""
        derived: tuple[Derived, ...] = ()
        late: tuple[Late, ...] = ()
        again = True
        while again:
            again = False
            for fact in sorted(state.parked, key=lambda parked: parked.order):
                row = self.row(state, fact)
                if row is None:
                    continue
                state = self.with_parked(state, tuple(other for other in state.parked if other is not fact))
                if row.guard is not None and (reason := row.guard(state, fact)) is not None:
                    late += (Late(fact, _REJECTED, reason),)
                    continue
                before, state = state, self.apply(state, fact, row)
                derived += self.moved(before, state, key, fact.name, fact.id, fact.time)
                late += (Late(fact, _APPLIED),)
                again = True
                break
        return state, derived, late

    def _park(self, state: P, fact: Fact) -> tuple[P, tuple[Late, ...]]:
        """At most PARKED_MAX wait; the earliest of them makes room."""
        parked = state.parked
        displaced: tuple[Late, ...] = ()
        if len(parked) >= PARKED_MAX:
            first = min(parked, key=lambda other: other.order)
            parked = tuple(other for other in parked if other is not first)
            displaced = (Late(first, _REJECTED, ILLEGAL),)
        return self.with_parked(state, (*parked, fact)), displaced
