"""When each partner was last heard of, against the rhythm that it promised (docs/runbook/silent-partner.md).

Kept in memory and written every few seconds: a request pays for one entry of a dictionary, and a database that is away delays
the writing alone. The table speaks for all gateways, also for one that has just started or never saw the partner.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import structlog
from psycopg import Cursor

from engine.clock import Clock
from engine.database import StoreRefused
from engine.errors import Fault
from gateway.metrics import GatewayMetrics
from gateway.settling import Settling
from gateway.store import Store

WRITE_EVERY_S: Final = 10.0
GRACE: Final = 1.1  # of the promised time may pass before a partner is called silent; the rule DujiangPartnerSilent has it, too

log = structlog.get_logger("gateway")


class Hearing(Settling):
    """Hears partners and tells the metrics. Use as an async context manager: what was heard is written at the end, too."""

    def __init__(self, store: Store, clock: Clock, metrics: GatewayMetrics) -> None:
        super().__init__("hearing", WRITE_EVERY_S)
        self._store, self._clock, self._metrics = store, clock, metrics
        self._heard: dict[str, datetime] = {}

    def hear(self, partner_id: str) -> None:
        """Something of the partner was taken just now."""
        self._heard[partner_id] = self._clock.now()

    async def settle(self) -> None:
        """Write what was heard since the last time, and tell how every promise stands. A fault leaves both for the next."""
        heard, self._heard = self._heard, {}
        try:
            self._metrics.promises(await self._store.call(lambda cursor: _written(cursor, heard)))
        except (Fault, StoreRefused) as fault:
            self._heard = heard | self._heard
            log.warning("partners_heard_not_kept", fault=str(fault), remedy=fault.remedy, partners=len(self._heard))


def keep(cursor: Cursor[Any], heard: Mapping[str, datetime]) -> None:
    """The latest word of each counts, whoever brings it; a partner that is registered no more is left out."""
    partner_ids = sorted(heard)  # so that two gateways wait for each other and never in a circle
    cursor.execute(
        "INSERT INTO partner_heard (partner_id, heard_at)"
        " SELECT partner_id, heard_at FROM unnest(%s::text[], %s::timestamptz[]) AS new (partner_id, heard_at)"
        " JOIN partner USING (partner_id) ORDER BY partner_id"
        " ON CONFLICT (partner_id) DO UPDATE SET heard_at = greatest(partner_heard.heard_at, excluded.heard_at)",
        (partner_ids, [heard[partner_id] for partner_id in partner_ids]),
    )


def promises(cursor: Cursor[Any]) -> dict[str, tuple[float, float]]:
    """Of every partner that promises: when it was last heard of, as unix time, and how often it promised to be.

    A promise counts from the moment it is made: who was silent before has broken nothing.
    """
    cursor.execute(
        "SELECT partner_id, extract(epoch FROM greatest(heard_at, promised_at))::double precision, promised_s"
        " FROM partner LEFT JOIN partner_heard USING (partner_id) WHERE promised_s IS NOT NULL"
    )
    return {partner_id: (heard_s, promised_s) for partner_id, heard_s, promised_s in cursor.fetchall()}


def _written(cursor: Cursor[Any], heard: Mapping[str, datetime]) -> dict[str, tuple[float, float]]:
    if heard:
        keep(cursor, heard)
    return promises(cursor)
