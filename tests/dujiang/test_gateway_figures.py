"""A gateway that has just started shows each partner's figures before its first batch."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from dujiang.gateway import begin_figures
from engine.clock import FakeClock
from engine.errors import TransientFault
from gateway import partners
from gateway.directory import StoredDirectory
from gateway.identity import Partner
from gateway.limits import Allowance
from gateway.store import Store
from monitoring.metrics import GatewayMetrics

COUNT = "dujiang_gateway_event_age_seconds_count"


def _begun(directory: StoredDirectory | None) -> CollectorRegistry:
    prometheus = CollectorRegistry()
    asyncio.run(begin_figures(GatewayMetrics(prometheus), directory))
    return prometheus


@pytest.mark.services
def test_every_registered_partner_begins_at_nothing(database: str) -> None:
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        for name in ("institute-7", "works-2"):
            made = Partner(name, ("publish:gov.stiib.*",), (f"/partners/{name}",), Allowance(100, 5_000, 1_000_000))
            partners.put(cursor, made, name, "clerk", replace=False)
    store = Store(database, "tests")
    try:
        found = _begun(StoredDirectory(store, FakeClock(datetime(2026, 3, 2, tzinfo=UTC))))
    finally:
        store.close()
    assert [found.get_sample_value(COUNT, {"partner": name}) for name in ("institute-7", "works-2", "-")] == [0, 0, None]


def test_without_partners_there_is_one_name_for_all() -> None:
    assert _begun(None).get_sample_value(COUNT, {"partner": "-"}) == 0


def test_gateway_starts_while_the_database_is_away() -> None:
    class Away:
        async def partners(self) -> list[str]:
            raise TransientFault("PostgreSQL: away")

    found = _begun(cast(Any, Away()))
    assert [sample for family in found.collect() for sample in family.samples if sample.name == COUNT] == []
