"""What is counted of each partner by the hour, for its scorecard: what was refused, what was sent again.

Counted in memory and added to the database every few seconds: a request pays for one addition, and a database that is away
delays the writing alone. All gateways add to the same rows. A process that is killed loses the counts of its last seconds.
Where the connection breaks at the very moment of a commit, nobody knows whether it counted, and those seconds may count twice.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import structlog
from psycopg import Cursor

from engine.clock import Clock
from engine.database import StoreRefused
from engine.errors import Fault
from gateway.settling import Settling
from gateway.store import Store

ADD_EVERY_S: Final = 5.0
END_S: Final = 3.0  # for the last counts; a gateway must end though the database hangs
# Longer than a statement may take (engine/database.py): counts whose fate is unknown would be added once more.
ANSWER_S: Final = 90.0
KEYS_MAX: Final = 10_000  # counted apart, and waiting to be added
KEPT: Final = "interval '8 days'"

K = TypeVar("K", bound=tuple[Any, ...])

log = structlog.get_logger("gateway")


class Counting(Settling, Generic[K]):
    """Counts events by key. Use as an async context manager: what was counted is added at the end, too.

    `table` has a key's fields, named in `columns`, and `events`. They begin with partner_id and hour; any others are texts.
    """

    def __init__(self, name: str, store: Store, clock: Clock, table: str, columns: tuple[str, ...]) -> None:
        super().__init__(name, ADD_EVERY_S, END_S)
        self._store, self._clock, self._table, self._columns = store, clock, table, columns
        self._waiting: Counter[K] = Counter()
        self._left_out = 0

    def _unsettled(self) -> dict[str, int]:
        return {"events": self._waiting.total()}

    def _hour(self) -> datetime:
        """The one under way, by its beginning."""
        return self._clock.now().replace(minute=0, second=0, microsecond=0)

    def _note(self, key: K, events: int) -> None:
        if key in self._waiting or len(self._waiting) < KEYS_MAX:
            self._waiting[key] += events
        else:
            self._left_out += events

    async def settle(self) -> None:
        """Add what was counted since the last time. A fault leaves it for the next."""
        adding = self._waiting.copy()
        if not adding:
            return
        try:
            await self._store.call(lambda cursor: _add(cursor, self._table, self._columns, adding))
        except (Fault, StoreRefused) as fault:
            log.warning(
                f"{self._name}_not_kept",
                fault=str(fault),
                remedy=fault.remedy,
                events=self._waiting.total(),
                left_out=self._left_out,
            )
        else:
            self._waiting -= adding  # which drops what is nought
            self._left_out = 0


def _add(cursor: Cursor[Any], table: str, columns: tuple[str, ...], counts: Mapping[K, int]) -> None:
    """To what other gateways added; a partner that is registered no more is left out. What is too old goes."""
    keys = sorted(counts)  # so that two gateways wait for each other and never in a circle
    names = ", ".join(columns)
    kinds = ("text", "timestamptz", *("text" for _ in columns[2:]), "bigint")
    statement = (
        f"WITH gone AS (DELETE FROM {table} WHERE hour < now() - {KEPT})"  # noqa: S608 - our own constants
        f" INSERT INTO {table} AS kept ({names}, events) SELECT {names}, events"
        f" FROM unnest({', '.join(f'%s::{kind}[]' for kind in kinds)}) AS new ({names}, events)"
        f" JOIN partner USING (partner_id) ORDER BY {names}"
        f" ON CONFLICT ({names}) DO UPDATE SET events = kept.events + excluded.events"
    )
    cursor.execute(statement.encode(), [*map(list, zip(*keys, strict=True)), [counts[key] for key in keys]])
