"""Where a publisher's trace comes in, and how it goes on to Kafka. Only asked while tracing is on."""

from collections.abc import Sequence

from msgspec.structs import replace
from starlette.types import Scope

from gateway.admission import Admitted
from schemas import traceparent
from schemas.cloudevents import CloudEvent


def parent_of(scope: Scope, events: Sequence[CloudEvent]) -> str | None:
    """The request's header; without one the attribute of a single event (CloudEvents' extension for distributed tracing)."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return traceparent.valid(value.decode("latin-1"))
    return traceparent.valid(events[0].extensions.get(traceparent.NAME)) if len(events) == 1 else None


def carried(admitted: Admitted, parent: str | None) -> Admitted:
    """The same records with the trace in a header of theirs; the events stay as they came."""
    if parent is None:
        return admitted
    header = (traceparent.NAME, parent.encode())
    return admitted._replace(records=[replace(record, headers=[*record.headers, header]) for record in admitted.records])
