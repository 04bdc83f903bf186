"""What each partner sent again and the gateway answered by the first receipt, by the hour, for its scorecard.

Such an event reaches no log, so nobody else could count it.
"""

from datetime import datetime
from typing import NamedTuple

from engine.clock import Clock
from gateway.counting import Counting
from gateway.store import Store


class Key(NamedTuple):
    """What is counted apart."""

    partner_id: str
    hour: datetime


class Repeats(Counting[Key]):
    """Counts what partners sent again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__("repeats", store, clock, "partner_repeat", Key._fields)

    def count(self, partner_id: str, events: int) -> None:
        """So many events of one request were there already."""
        self._note(Key(partner_id, self._hour()), events)
