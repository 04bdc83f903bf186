"""What the gateway refused of each partner, by hour and kind of problem, for its scorecard.

Counted in memory and added to the database every few seconds: a request pays for one addition, and a database that is away
delays the writing alone. All gateways add to the same rows. A process that is killed loses the counts of its last seconds.
Where the connection breaks at the very moment of a commit, nobody knows whether it counted, and those seconds may count twice.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog
from psycopg import Cursor
from starlette.types import Scope

from engine.clock import Clock
from engine.database import StoreRefused
from engine.errors import Fault
from gateway.caller import caller_of
from gateway.guard import brings_events
from gateway.problems import Problem
from gateway.settling import Settling
from gateway.store import Store

ADD_EVERY_S: Final = 5.0
END_S: Final = 3.0  # for the last counts; a gateway must end though the database hangs
# Longer than a statement may take (engine/database.py): counts whose fate is unknown would be added once more.
ANSWER_S: Final = 90.0
KEYS_MAX: Final = 10_000  # partner, hour and kind that wait to be added
KEPT: Final = "interval '8 days'"
_OUR_FAULT: Final = 500  # and all above: the partner did nothing wrong

log = structlog.get_logger("gateway")


class Key(NamedTuple):
    """What is counted apart. `problem` is the slug of its kind."""

    partner_id: str
    hour: datetime
    problem: str


class Refusals(Settling):
    """Counts what partners brought in vain. Use as an async context manager: what was counted is added at the end, too."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__("refusals", ADD_EVERY_S)
        self._store, self._clock = store, clock
        self._waiting: Counter[Key] = Counter()
        self._left_out = 0

    async def _ended(self, keeping: "asyncio.Task[None]") -> None:
        try:
            await asyncio.wait_for(keeping, END_S)
        except TimeoutError:
            log.warning("refusals_lost", events=self._waiting.total())

    def count(self, problem: Problem, scope: Scope) -> None:
        """A request was answered so. Only what a known partner brought counts, and what is wrong with it."""
        caller = caller_of(scope)
        if caller is None or problem.kind.status >= _OUR_FAULT or not brings_events(scope):
            return
        hour = self._clock.now().replace(minute=0, second=0, microsecond=0)
        key = Key(caller.partner_id, hour, problem.kind.slug)
        if key in self._waiting or len(self._waiting) < KEYS_MAX:
            self._waiting[key] += problem.events
        else:
            self._left_out += problem.events

    async def settle(self) -> None:
        """Add what was counted since the last time. A fault leaves it for the next."""
        adding = self._waiting.copy()
        if not adding:
            return
        try:
            await self._store.call(lambda cursor: add(cursor, adding))
        except (Fault, StoreRefused) as fault:
            log.warning(
                "refusals_not_kept",
                fault=str(fault),
                remedy=fault.remedy,
                events=self._waiting.total(),
                left_out=self._left_out,
            )
        else:
            self._waiting -= adding  # which drops what is nought
            self._left_out = 0


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
