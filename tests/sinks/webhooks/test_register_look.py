"""Whom a deliverer finds in the register: those whose deliveries it can sign, and nobody else."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from engine.subscriptions import register, secrets
from schemas.subscriptions import Protocol, Subscription, begun
from sinks.webhooks import deliverer
from sinks.webhooks.http import HttpTransport
from sinks.webhooks.transport import Transport

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def cursor(database: str) -> Iterator[psycopg.Cursor[Any]]:
    with psycopg.connect(database) as connection, connection.cursor() as made:
        yield made


def _subscription(cursor: psycopg.Cursor[Any], *kinds: secrets.Kind) -> UUID:
    made = Subscription(uuid4(), "agency-1", "HTTP", begun("HTTP", "partner", NOW), NOW, NOW, sink="https://a.example.org/")
    register.add(cursor, made, {})
    for kind in kinds:
        secrets.add(cursor, made.id, kind, b"k" * 32, None, NOW, None)
    return made.id


def test_an_endpoint_is_asked_once_it_can_refuse_what_is_not_signed(cursor: psycopg.Cursor[Any]) -> None:
    _subscription(cursor)
    authorised, shared, signed = (_subscription(cursor, "oauth2", "bearer"), *(_subscription(cursor, k) for k in ("v1", "v1a")))
    transports: dict[Protocol, Transport] = {"HTTP": HttpTransport(None, None)}  # type: ignore[arg-type] - nothing is sent
    assert set(deliverer._read(cursor, NOW, transports).subscriptions) == {shared, signed}
    secrets.add(cursor, authorised, "v1", b"k" * 32, None, NOW, None)
    found = deliverer._read(cursor, NOW, transports)
    assert set(found.subscriptions) == {shared, signed, authorised}
    assert [one.kind for one in found.secrets[authorised]] == ["v1", "bearer", "oauth2"]
