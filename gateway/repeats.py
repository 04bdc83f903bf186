"""What each partner sent again and the gateway answered by the first receipt, by the hour, for its scorecard.

Such an event reaches no log, so nobody else could count it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from engine.clock import Clock
from gateway.counting import KEPT, Counting
from gateway.store import Store


class Key(NamedTuple):
    """What is counted apart."""

    partner_id: str
    hour: datetime


class Repeats(Counting[Key]):
    """Counts what partners sent again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__("repeats", store, clock, add)

    def count(self, partner_id: str, events: int) -> None:
        """So many events of one request were there already."""
        self._note(Key(partner_id, self._hour()), events)


def add(cursor: Cursor[Any], counts: Mapping[Key, int]) -> None:
    """To what other gateways added; a partner that is registered no more is left out. What is too old goes."""
    keys = sorted(counts)  # so that two gateways wait for each other and never in a circle
    cursor.execute(
        f"WITH gone AS (DELETE FROM partner_repeat WHERE hour < now() - {KEPT})"  # noqa: S608 - our own constant
        " INSERT INTO partner_repeat AS kept (partner_id, hour, events)"
        " SELECT partner_id, hour, events"
        " FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[]) AS new (partner_id, hour, events)"
        " JOIN partner USING (partner_id) ORDER BY partner_id, hour"
        " ON CONFLICT (partner_id, hour) DO UPDATE SET events = kept.events + excluded.events",
        ([key.partner_id for key in keys], [key.hour for key in keys], [counts[key] for key in keys]),
    )
