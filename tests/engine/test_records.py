"""A record that is no event goes to quarantine with what can be read of it; no record ends a worker."""

import pytest

from engine.records import Glimpse, Record, Refused, decode
from schemas.catalogue import default_registry

HEADERS: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json")]


@pytest.mark.parametrize(
    ("value", "glimpse"),
    [
        (b'{"specversion":"1.0","source":"/partners/a","type":"t"}', Glimpse("", "/partners/a", "t")),
        (b'{"specversion":"1.0","id":"\\u0000","source":"a b","type":""}', Glimpse("\x00", "a b", "")),
        (b'{"id":"' + b"x" * 2_000 + b'"}', Glimpse("x" * 512, "", "")),
        (b'{"id":7}', Glimpse("", "", "")),
        (b"[1]", None),
        (b"\xff", None),
        (None, None),
    ],
    ids=["no id", "control character", "long id", "id a number", "an array", "not UTF-8", "tombstone"],
)
def test_what_can_be_read_of_a_broken_event_is_kept(value: bytes | None, glimpse: Glimpse | None) -> None:
    judged = decode(Record("research.project.event", 0, 1, 0, b"k", HEADERS, value), default_registry())
    assert isinstance(judged, Refused)
    assert judged.event == glimpse
