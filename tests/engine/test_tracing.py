"""What a trace costs and where it goes: function calls."""

import pytest

from engine.handlers import _HEADERS, _plain_headers, _traced_headers
from engine.kafka import Message
from engine.records import Record, Work
from engine.tracing import SPANS_OF_BATCH_MAX, Tracer
from gateway.admission import Admitted
from gateway.spans import carried, parent_of
from schemas import traceparent
from schemas.quick import is_plain

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TYPE: tuple[str, bytes | None] = ("content-type", b"application/cloudevents+json")


def record(offset: int, *headers: tuple[str, bytes | None]) -> Record:
    return Record("research.call.event", 0, offset, 0, b"C-1", [TYPE, *headers], b"{}")


@pytest.mark.parametrize(
    "text",
    [
        PARENT.upper(),
        PARENT[:-1],
        PARENT + "0",
        "ff" + PARENT[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "",
        None,
        7,
    ],
)
def test_what_is_no_traceparent_is_ignored(text: object) -> None:
    assert traceparent.valid(text) is None
    assert traceparent.valid(PARENT) == PARENT


def test_a_traced_record_is_still_read_the_quick_way() -> None:
    assert is_plain([TYPE])
    assert is_plain([TYPE, ("traceparent", PARENT.encode())])
    assert not is_plain([TYPE, ("ce_id", b"x")])
    assert not is_plain([TYPE, ("traceparent", PARENT.encode()), ("ce_id", b"x")])
    assert not is_plain([])


def test_what_is_derived_belongs_to_its_causes_trace_only_while_tracing_is_on() -> None:
    traced = record(1, ("traceparent", PARENT.encode()))
    assert _plain_headers(traced) is _HEADERS
    assert _traced_headers(traced) == [*_HEADERS, ("traceparent", PARENT.encode())]
    assert _traced_headers(record(1)) is _HEADERS
    assert _traced_headers(record(1, ("traceparent", b"nonsense"))) is _HEADERS


class Recorded:
    """In the place of Spans."""

    def __init__(self) -> None:
        self.parents: list[str] = []

    def record(self, name: str, kind: str, parent: str, _: object, *, began_s: float, ended_s: float) -> None:
        assert (name, kind, began_s, ended_s) == ("process calls", "consumer", 1.0, 2.5)
        self.parents.append(parent)


def test_a_batch_gives_a_span_for_each_record_that_is_kept_and_not_more_than_its_limit() -> None:
    spans = Recorded()
    kept, left = ("traceparent", PARENT.encode()), ("traceparent", f"{PARENT[:-2]}00".encode())
    records = [record(0), record(1, kept), record(2, left), *(record(3 + n, kept) for n in range(2 * SPANS_OF_BATCH_MAX))]
    Tracer(spans).processed("calls", Work(records, {}, {}, began_s=1.0, committed_s=2.5))  # type: ignore[arg-type]
    assert spans.parents == [PARENT] * SPANS_OF_BATCH_MAX


def test_the_publishers_header_goes_before_its_events_attribute() -> None:
    from schemas.cloudevents import json_format

    event = json_format.decode(b'{"specversion":"1.0","id":"1","source":"/a","type":"t","traceparent":"%b"}' % PARENT.encode())
    other = PARENT.replace("4bf9", "5bf9")
    assert parent_of({"headers": []}, [event]) == PARENT
    assert parent_of({"headers": [(b"traceparent", other.encode())]}, [event]) == other
    assert parent_of({"headers": []}, [event, event]) is None
    admitted = Admitted((event,), [Message("t", b"k", b"{}", [("content-type", b"x")])])
    assert carried(admitted, None) is admitted
    assert carried(admitted, PARENT).records[0].headers == [("content-type", b"x"), ("traceparent", PARENT.encode())]
