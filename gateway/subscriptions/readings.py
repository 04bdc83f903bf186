"""How far each subscription's readers have come, for people: which agencies lag behind.

Kept in memory and written every few seconds: a page pays for one entry of a dictionary, and a database that is away delays the
writing alone. A gateway that is killed loses its last seconds; the reader's next page makes them good.
"""

from functools import partial
from typing import Final
from uuid import UUID

import structlog

from engine.clock import Clock
from engine.database import StoreRefused
from engine.errors import Fault
from engine.subscriptions.readings import Reading, note_readings
from gateway.settling import Settling
from gateway.store import Store
from gateway.subscriptions.cursors import Positions
from schemas.subscriptions.snapshot import SEAM

WRITE_EVERY_S: Final = 5.0
END_S: Final = 3.0  # for the last ones; a gateway must end though the database hangs
AT_ONCE_MAX: Final = 500  # subscriptions a transaction, each with some dozens of partitions

log = structlog.get_logger("gateway")


class Readings(Settling):
    """Notes where readers stand. Use as an async context manager: what was noted is written at the end, too."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__("readings", WRITE_EVERY_S, END_S)
        self._store, self._clock = store, clock
        self._noted: dict[UUID, Reading] = {}

    def note(self, subscription_id: UUID, positions: Positions) -> None:
        """A page went out, perhaps an empty one, and its reader stands behind it. The positions do not change any more."""
        self._noted[subscription_id] = Reading(positions, self._clock.now())

    async def settle(self) -> None:
        """Write what was noted since the last time. A fault leaves it for the next."""
        noted, self._noted = self._noted, {}
        while noted:
            readings = {key: _without_seam(noted[key]) for key in list(noted)[:AT_ONCE_MAX]}
            try:
                await self._store.call(partial(note_readings, readings=readings))
            except (Fault, StoreRefused) as fault:
                self._noted = noted | self._noted
                log.warning("readings_not_kept", fault=str(fault), remedy=fault.remedy, subscriptions=len(self._noted))
                return
            for key in readings:
                del noted[key]

    def _unsettled(self) -> dict[str, int]:
        return {"subscriptions": len(self._noted)}


def _without_seam(reading: Reading) -> Reading:
    """Where a snapshot stands is no place in the log."""
    return reading._replace(positions={place: offset for place, offset in reading.positions.items() if place != SEAM})
