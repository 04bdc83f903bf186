"""The short way for plain events gives what the strict codec gives; a parameter of the content type leads past it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.admission import admit, mode_of
from gateway.attributes import DOCUMENTED
from gateway.problems import Problem
from schemas.catalogue import default_registry
from schemas.quick import PLAIN_EXTENSIONS

REGISTRY = default_registry()
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/partners/institute-7",
    "type": "gov.stiib.research.project.suspended.v1",
    "subject": "P-2026-001",
    "time": "2026-02-28T10:00:00Z",
    "data": {"reason": "设备故障"},
}
CHANGES: list[dict[str, Any]] = [
    {},
    {"partitionkey": "P-2026-001"},
    {"recordedtime": "2026-02-28T11:00:00+08:00"},
    {"recordedtime": "yesterday"},
    {"time": "2026-02-28T10:00:00.250Z"},
    {"time": "2026-02-28T10:00:00+08:00"},
    {"subject": "项目 1"},
    {"subject": ""},
    {"source": "/streams/projects"},
    {"type": "gov.stiib.platform.timer.fired.v1", "data": {"step": "x"}},
    {"type": "gov.stiib.nothing.v1"},
    {"data": {"reason": 7}},
    {"data": {"reason": "x", "more": [{}]}},
    {"own": True},
    {"id": ""},
]


def outcome(body: bytes, content_type: str) -> Any:
    """What would be written and what is told of it, or the refusal."""
    try:
        admitted = admit(REGISTRY, [("content-type", content_type)], body, mode_of(content_type), NOW)
    except Problem as problem:
        return problem.kind.slug, problem.places
    written = [(record.topic, record.key, record.headers, _instant(record.value)) for record in admitted.records]
    return admitted.events, written


def _instant(value: bytes | None) -> dict[str, Any]:
    """As JSON; the codec writes the time anew, in another form of the same instant."""
    members: dict[str, Any] = json.loads(value or b"")
    return members | {"time": datetime.fromisoformat(members["time"])}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("indent", [None, 2])
def test_single_event_is_judged_alike(change: dict[str, Any], indent: int | None) -> None:
    body = json.dumps(EVENT | change, indent=indent).encode() + b"\n"
    assert outcome(body, SINGLE) == outcome(body, f"{SINGLE}; charset=utf-8")


@pytest.mark.parametrize("change", CHANGES)
def test_batch_is_judged_alike(change: dict[str, Any]) -> None:
    body = json.dumps([EVENT, EVENT | change, EVENT | {"id": "e-3"}]).encode()
    assert outcome(body, BATCH) == outcome(body, f"{BATCH}; charset=utf-8")


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b"[{}]", b"[1]", b"[", b"", b"\xef\xbb\xbf[]", b"[] x", b"null", b"\xff", b"[" * 10_000 + b"]" * 10_000],
)
@pytest.mark.parametrize("content_type", [SINGLE, BATCH])
def test_odd_body_is_judged_alike(body: bytes, content_type: str) -> None:
    assert outcome(body, content_type) == outcome(body, f"{content_type}; charset=utf-8")


def test_plain_event_is_written_as_it_came() -> None:
    body = json.dumps(EVENT, ensure_ascii=False, separators=(",", ":")).encode()
    admitted = admit(REGISTRY, [("content-type", SINGLE)], body, mode_of(SINGLE), NOW)
    assert [record.value for record in admitted.records] == [body[:-1] + b',"recordedtime":"2026-03-01T08:00:00Z"}']


def test_event_that_is_too_long_as_written_is_refused() -> None:
    body = json.dumps(EVENT | {"data": {"reason": "x", "fill": ""}}, ensure_ascii=False, separators=(",", ":")).encode()
    filled = body.replace(b'"fill":""', b'"fill":"%b"' % (b"x" * (1024 * 1024 - len(body))))
    assert len(filled) == 1024 * 1024
    slug, (place,) = outcome(filled, SINGLE)
    assert (slug, place.reason) == ("content_too_large", "too_large")


def test_what_is_read_quickly_has_no_attribute_that_the_door_refuses() -> None:
    assert set(PLAIN_EXTENSIONS) <= DOCUMENTED
