"""What the gateway refused of each partner, by hour and kind of problem, for its scorecard."""

from datetime import datetime
from typing import Final, NamedTuple

from starlette.types import Scope

from engine.clock import Clock
from gateway.caller import caller_of
from gateway.counting import Counting
from gateway.guard import brings_events
from gateway.problems import Problem
from gateway.store import Store

_OUR_FAULT: Final = 500  # and all above: the partner did nothing wrong


class Key(NamedTuple):
    """What is counted apart. `problem` is the slug of its kind."""

    partner_id: str
    hour: datetime
    problem: str


class Refusals(Counting[Key]):
    """Counts what partners brought in vain."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__("refusals", store, clock, "partner_refusal", Key._fields)

    def count(self, problem: Problem, scope: Scope) -> None:
        """A request was answered so. Only what a known partner brought counts, and what is wrong with it."""
        caller = caller_of(scope)
        if caller is None or problem.kind.status >= _OUR_FAULT or not brings_events(scope):
            return
        self._note(Key(caller.partner_id, self._hour(), problem.kind.slug), problem.events)
