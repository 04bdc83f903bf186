"""What the gateway refused of each partner, by hour and kind of problem, for its scorecard."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor
from starlette.types import Scope

from engine.clock import Clock
from gateway.caller import caller_of
from gateway.counting import KEPT, Counting
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
        super().__init__("refusals", store, clock, add)

    def count(self, problem: Problem, scope: Scope) -> None:
        """A request was answered so. Only what a known partner brought counts, and what is wrong with it."""
        caller = caller_of(scope)
        if caller is None or problem.kind.status >= _OUR_FAULT or not brings_events(scope):
            return
        self._note(Key(caller.partner_id, self._hour(), problem.kind.slug), problem.events)


def add(cursor: Cursor[Any], counts: Mapping[Key, int]) -> None:
    """To what other gateways added; a partner that is registered no more is left out. What is too old goes."""
    keys = sorted(counts)  # so that two gateways wait for each other and never in a circle
    cursor.execute(
        f"WITH gone AS (DELETE FROM partner_refusal WHERE hour < now() - {KEPT})"  # noqa: S608 - our own constant
        " INSERT INTO partner_refusal AS kept (partner_id, hour, problem, events)"
        " SELECT partner_id, hour, problem, events"
        " FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::bigint[]) AS new (partner_id, hour, problem, events)"
        " JOIN partner USING (partner_id) ORDER BY partner_id, hour, problem"
        " ON CONFLICT (partner_id, hour, problem) DO UPDATE SET events = kept.events + excluded.events",
        (
            [key.partner_id for key in keys],
            [key.hour for key in keys],
            [key.problem for key in keys],
            [counts[key] for key in keys],
        ),
    )
