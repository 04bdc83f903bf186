"""Subscribers of a type that goes away are told in each event, and by nothing else than its contract."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from gateway.subscriptions.records import readable
from schemas.catalogue import default_registry
from schemas.deprecation import attributes_of
from schemas.registry import Registry
from sinks.webhooks.log import _record

ANNOUNCED = "gov.stiib.research.call.announced.v1"
HEADERS: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json")]
BODY = json.dumps(
    {
        "specversion": "1.0",
        "id": "1",
        "source": "/a",
        "type": ANNOUNCED,
        "subject": "C-1",
        "deprecated": False,
        "data": {"x": 1},
    }
).encode()
TOLD = {
    "deprecated": True,
    "deprecationfrom": "2026-09-01T00:00:00Z",
    "deprecationsunset": "2027-03-01T00:00:00Z",
}


@pytest.fixture
def going() -> Registry:
    days = {"deprecated_on": date(2026, 9, 1), "sunset_on": date(2027, 3, 1)}
    present = default_registry()
    return Registry(
        replace(contract, **days) if wire == ANNOUNCED else contract  # type: ignore[arg-type]
        for wire, contract in present.contracts.items()
    )


def test_only_what_goes_away_has_attributes(going: Registry) -> None:
    assert attributes_of(default_registry().contracts[ANNOUNCED]) == {}
    assert attributes_of(going.contracts[ANNOUNCED]) == TOLD
    no_sunset = replace(going.contracts[ANNOUNCED], sunset_on=None)
    assert attributes_of(no_sunset) == {"deprecated": True, "deprecationfrom": "2026-09-01T00:00:00Z"}


def test_readers_and_webhooks_get_the_same_whatever_the_publisher_wrote(going: Registry) -> None:
    read = readable(going, "research.call.event", HEADERS, BODY)
    assert read is not None
    message = SimpleNamespace(
        headers=lambda: HEADERS,
        value=lambda: BODY,
        topic=lambda: "research.call.event",
        partition=lambda: 0,
        offset=lambda: 7,
        key=lambda: b"C-1",
        timestamp=lambda: (1, int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)),
    )
    posted = _record(message, going)
    assert posted is not None
    assert json.loads(read.body) == json.loads(posted.body) == json.loads(BODY) | TOLD


def test_what_stays_goes_out_as_it_was_written() -> None:
    read = readable(default_registry(), "research.call.event", HEADERS, BODY)
    assert read is not None
    assert read.body == BODY
