"""Secrets that have ended leave no bytes behind."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from engine.subscriptions import register, secrets
from schemas.subscriptions import Subscription, begun

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def cursor(database: str) -> Iterator[psycopg.Cursor[Any]]:
    with psycopg.connect(database) as connection, connection.cursor() as made:
        yield made


@pytest.fixture
def subscription(cursor: psycopg.Cursor[Any]) -> UUID:
    return _subscription(cursor)


def _subscription(cursor: psycopg.Cursor[Any]) -> UUID:
    made = Subscription(uuid4(), "agency-1", "HTTP", begun("HTTP", "partner", NOW), NOW, NOW, sink="https://a.example.org/")
    register.add(cursor, made, {})
    return made.id


def _kept(cursor: psycopg.Cursor[Any], subscription_id: UUID) -> list[bytes]:
    cursor.execute("SELECT secret FROM subscription_secret WHERE subscription_id = %s ORDER BY version", (subscription_id,))
    return [bytes(row[0]) for row in cursor.fetchall()]


def test_credentials_are_gone_once_they_are_replaced_or_deleted(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    secrets.add(cursor, subscription, "oauth2", b"first", None, NOW, NOW)
    secrets.add(cursor, subscription, "oauth2", b"other", None, NOW, NOW)
    assert _kept(cursor, subscription) == [b"", b"other"]
    secrets.end(cursor, subscription, "oauth2", NOW)
    assert _kept(cursor, subscription) == [b"", b""]
    assert [(row["version"], row["kind"]) for row in secrets.described(cursor, subscription)] == [(1, "oauth2"), (2, "oauth2")]


def test_a_key_signs_through_its_overlap_and_is_then_gone(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    other = _subscription(cursor)
    for one in (subscription, other):
        secrets.add(cursor, one, "v1", b"old", None, NOW, NOW + DAY)
        secrets.add(cursor, one, "v1", b"new", None, NOW, NOW + DAY)
    just_before = NOW + DAY - timedelta(seconds=1)
    assert secrets.empty_ended(cursor, just_before) == 0
    assert [one.secret for one in secrets.in_force(cursor, [other], just_before)[other]] == [b"new", b"old"]
    assert secrets.empty_ended(cursor, NOW + DAY) == 2
    assert (_kept(cursor, subscription), _kept(cursor, other)) == ([b"", b"new"], [b"", b"new"])
    assert [one.secret for one in secrets.in_force(cursor, [other], NOW + DAY)[other]] == [b"new"]


def test_one_too_many_changes_nothing(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    for _ in range(secrets.SECRETS_MAX):
        secrets.add(cursor, subscription, "v1", b"key", None, NOW, None)
    before = secrets.described(cursor, subscription)
    with pytest.raises(secrets.SecretsFull):
        secrets.add(cursor, subscription, "v1", b"key", None, NOW, NOW + DAY)
    assert secrets.described(cursor, subscription) == before
    secrets.add(cursor, subscription, "v1", b"last", None, NOW, NOW)  # the others end at once
    assert [one.secret for one in secrets.in_force(cursor, [subscription], NOW)[subscription]] == [b"last"]
