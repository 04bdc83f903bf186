"""The register on a real PostgreSQL: what is stored comes back, changes count, owners see their own."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.subscriptions import register
from schemas.subscriptions import Basis, NotAllowed, Order, Place, Start, Status, Subscription, begun

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
FIRST, SECOND = UUID(int=1), UUID(int=2)
PAUSE = Order("pause", "paused", "partner")


@pytest.fixture
def cursor(database: str) -> Iterator[psycopg.Cursor[Any]]:
    with psycopg.connect(database, options="-c timezone=UTC") as connection, connection.cursor() as made:
        yield made


def subscription(**changes: Any) -> Subscription:
    made = Subscription(
        id=FIRST,
        owner="agency-1",
        protocol="PULL",
        status=begun("PULL", "partner", NOW),
        created_at=NOW,
        changed_at=NOW,
        source="/partners/institute-7",
        types=("gov.stiib.research.call.opened.v1",),
        filters=[{"sql": "subject LIKE 'C-%'"}],
        protocolsettings={"limit": 50},
        config={"note": "科技处"},
        start=Start("instant", NOW - timedelta(days=1)),
        expires_at=NOW + timedelta(days=30),
        basis=Basis("统计", "科技进步法第一百条", "科技局办公室"),
    )
    return replace(made, **changes)


def test_a_subscription_comes_back_as_it_was_stored(cursor: psycopg.Cursor[Any]) -> None:
    register.add(cursor, subscription(), {Place("research.call.event", 0): 7})
    bare = subscription(
        id=SECOND, protocol="HTTP", basis=None, expires_at=None, source=None, types=(), sink="https://a.example/"
    )
    register.add(cursor, bare, {})
    assert register.listed(cursor, "agency-1", None, 10) == [subscription(), bare]
    assert register.starts(cursor, FIRST) == {Place("research.call.event", 0): 7}


def test_another_partners_subscription_is_not_there(cursor: psycopg.Cursor[Any]) -> None:
    register.add(cursor, subscription(), {})
    assert register.find(cursor, FIRST, "agency-2") is None
    assert register.listed(cursor, "agency-2", None, 10) == []
    assert register.move(cursor, FIRST, PAUSE, LATER, "agency-2") is None
    assert register.remove(cursor, FIRST, "agency-2") is False
    assert register.find(cursor, FIRST, "agency-1") == subscription()


def test_an_order_is_stored_under_the_next_revision_and_its_repeat_changes_nothing(cursor: psycopg.Cursor[Any]) -> None:
    register.add(cursor, subscription(), {})
    wanted = subscription(revision=2, changed_at=LATER, status=Status("paused", "paused", "partner", LATER, NOW))
    assert register.move(cursor, FIRST, PAUSE, LATER) == wanted
    assert register.move(cursor, FIRST, PAUSE, LATER + timedelta(hours=1)) == wanted
    assert register.revisions(cursor) == {FIRST: 2}


def test_an_order_that_is_not_allowed_changes_nothing(cursor: psycopg.Cursor[Any]) -> None:
    register.add(cursor, subscription(status=Status("expired", "expired", "platform", NOW)), {})
    assert register.move(cursor, FIRST, PAUSE, LATER) == NotAllowed("wrong_state", "expired", "pause")
    assert register.revisions(cursor) == {FIRST: 1}


def test_what_has_expired_is_written_down_and_no_longer_in_force(cursor: psycopg.Cursor[Any]) -> None:
    register.add(cursor, subscription(expires_at=LATER), {})
    assert [found.id for found in register.in_force(cursor, ["PULL"], NOW)] == [FIRST]
    assert register.in_force(cursor, ["PULL"], LATER) == []
    assert [register.expire_due(cursor, LATER), register.expire_due(cursor, LATER)] == [1, 0]
    found = register.find(cursor, FIRST)
    assert found is not None
    assert found.status == Status("expired", "expired", "platform", LATER, NOW)


def test_a_partition_may_begin_anew(cursor: psycopg.Cursor[Any]) -> None:
    register.add(cursor, subscription(), {Place("research.call.event", 0): 7})
    register.begin_at(cursor, FIRST, {Place("research.call.event", 0): 9, Place("research.call.event", 1): 3})
    assert register.starts(cursor, FIRST) == {Place("research.call.event", 0): 9, Place("research.call.event", 1): 3}


def test_removing_takes_all_that_belongs_to_it(cursor: psycopg.Cursor[Any]) -> None:
    register.add(cursor, subscription(), {Place("research.call.event", 0): 7})
    assert register.remove(cursor, FIRST, "agency-1") is True
    assert (register.find(cursor, FIRST), register.starts(cursor, FIRST)) == (None, {})


def test_rights_are_those_of_the_partner_register(cursor: psycopg.Cursor[Any]) -> None:
    cursor.execute(
        "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
        " VALUES ('agency-1', '统计局', '{subscribe:*}', '{/partners/agency-1}', 1, 1000, 1, 'test')"
    )
    assert register.scopes_of(cursor, ["agency-1", "agency-2"]) == {"agency-1": ("subscribe:*",)}
