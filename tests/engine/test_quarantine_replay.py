"""A cause replayed whole: what today's contracts take goes out once and is settled, the rest stays as it is."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from engine import quarantine
from engine.errors import RecordFault
from engine.kafka import Message
from engine.records import Record, Refused
from schemas.registry import Registry
from schemas.topics import PROJECT_EVENT

pytestmark = pytest.mark.services


def _record(offset: int, data: dict[str, Any]) -> Record:
    event = {
        "specversion": "1.0",
        "id": f"e-{offset}",
        "source": "/partners/a",
        "type": "gov.stiib.research.application.submitted.v1",
        "subject": f"P-{offset}",
        "time": "2026-01-01T00:00:00Z",
        "data": data,
    }
    headers: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json")]
    return Record(PROJECT_EVENT.name, 0, offset, 1_760_000_000_000, f"P-{offset}".encode(), headers, json.dumps(event).encode())


@pytest.fixture
def connection(database: str, registry: Registry) -> Iterator[psycopg.Connection[Any]]:
    """Two records that today's contract takes, one that it does not, and one of another cause."""
    good = {"call_id": "C-1", "title": "Weir", "lead": "ORG-1", "budget": 5}
    found = [
        (1, good, "data_invalid"),
        (2, {"title": "no call"}, "data_invalid"),
        (3, good, "data_invalid"),
        (4, good, "other"),
    ]
    with psycopg.connect(database, autocommit=True) as made:
        with made.cursor() as cursor:
            refused = [Refused(_record(offset, data), RecordFault(reason, "", "m"), None) for offset, data, reason in found]
            quarantine.insert(cursor, "projects", "1", refused, registry)
        yield made


def test_good_ones_go_out_once_and_are_settled(connection: psycopg.Connection[Any], registry: Registry) -> None:
    sent: list[Message] = []
    with connection.cursor() as cursor:
        wanted = quarantine.waiting(cursor, "data_invalid", None)
        assert len(wanted) == 3
        assert quarantine.replay(cursor, wanted, registry, sent.extend, "li", "contract mended") == 2
        assert quarantine.replay(cursor, wanted, registry, sent.extend, "li", "contract mended") == 0
    assert [message.key for message in sent] == [b"P-1", b"P-3"]
    rows = connection.execute("SELECT record_offset, state, settled_by, settled_why FROM quarantine ORDER BY 1").fetchall()
    assert rows == [
        (1, "replayed", "li", "contract mended"),
        (2, "waiting", None, None),
        (3, "replayed", "li", "contract mended"),
        (4, "waiting", None, None),
    ]


def test_nothing_is_settled_when_the_broker_does_not_take_it(connection: psycopg.Connection[Any], registry: Registry) -> None:
    def away(_: object) -> None:
        raise ConnectionError

    with connection.cursor() as cursor:
        wanted = quarantine.waiting(cursor, "data_invalid", None)
        with pytest.raises(ConnectionError), connection.transaction():
            quarantine.replay(cursor, wanted, registry, away, "li", "")
        assert quarantine.waiting(cursor, "data_invalid", None) == wanted
