"""What the books say of one event at each of an owner's subscriptions, however many there are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from engine.subscriptions import register
from gateway.publisher import Acked
from gateway.trace import books
from gateway.trace.view import Taken
from schemas.subscriptions import Basis, Place, Subscription, begun

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
AT = Acked("research.call.event", 1, 40)
ATTEMPT = {"duration_ms": 5, "reason": None, "status": 200, "retry_at": None}


@pytest.fixture
def cursor(database: str) -> Iterator[psycopg.Cursor[Any]]:
    with psycopg.connect(database, options="-c timezone=UTC") as connection, connection.cursor() as made:
        yield made


def _subscribed(cursor: psycopg.Cursor[Any], begins: dict[Place, int], **changes: Any) -> UUID:
    members = {"sink": "https://a.example.org/", **changes}
    made = Subscription(uuid4(), "agency-1", "HTTP", begun("HTTP", "partner", NOW), NOW, NOW, **members)
    register.add(cursor, made, begins)
    return made.id


def _attempted(cursor: psycopg.Cursor[Any], subscription: UUID, number: int, outcome: str, attempt: int, source: str) -> None:
    cursor.execute(
        "INSERT INTO subscription_attempt (subscription_id, number, topic, partition, record_offset, event_id, event_source,"
        " event_type, attempt, started_at, duration_ms, outcome, status)"
        " VALUES (%s, %s, %s, %s, %s, 'e1', %s, 't', %s, %s, 5, %s, 200)",
        (subscription, number, *AT, source, attempt, NOW + timedelta(seconds=attempt), outcome),
    )


def test_each_subscription_has_its_own_part(cursor: psycopg.Cursor[Any]) -> None:
    place = Place(AT.topic, AT.partition)
    tried = _subscribed(cursor, {place: 10}, basis=Basis("supervision", "norm 1", "office 2"))
    later = _subscribed(cursor, {place: 41, Place(AT.topic, 0): 3})
    nowhere = _subscribed(cursor, {})
    _attempted(cursor, tried, 7, "failed", 1, "/a")
    _attempted(cursor, later, 1, "acknowledged", 1, "/another source")
    _attempted(cursor, tried, 7, "acknowledged", 2, "/a")
    shown = [
        ATTEMPT | {"attempt": attempt, "started_at": NOW + timedelta(seconds=attempt), "outcome": outcome}
        for attempt, outcome in ((1, "failed"), (2, "acknowledged"))
    ]
    subscriptions = books._subscriptions(cursor, "agency-1")
    found = {one.subscription_id: one for one in books._taken(cursor, subscriptions, "/a", "e1", AT)}
    assert found == {
        tried: Taken(tried, True, 10, 10, 7, attempts=shown),
        later: Taken(later, False, 41, 41, attempts=[]),
        nowhere: Taken(nowhere, False, attempts=[]),
    }
    assert [one.start_offset for one in books._taken(cursor, subscriptions, "/a", "e1", None)] == [None] * 3
    assert books._taken(cursor, [], "/a", "e1", AT) == []
