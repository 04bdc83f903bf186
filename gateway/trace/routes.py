"""GET /events/trace: one event's way, to its publisher and to those that it was delivered to."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gateway import catalogue
from gateway.caller import caller_of
from gateway.problems import Problem
from gateway.publish import TRACE_PATH, receipt_id
from gateway.store import Store, asked
from gateway.subscriptions.answers import answer
from gateway.subscriptions.routes import responses_of
from gateway.subscriptions.service import owner_of
from gateway.trace import books
from gateway.trace.view import Found, published, received
from schemas.contract import STORABLE

SOURCE_CHARS_MAX: Final = 2_048
ID_CHARS_MAX: Final = 512

Source = Annotated[str, Query(min_length=1, max_length=SOURCE_CHARS_MAX, pattern=STORABLE, description="the event's `source`")]
Id = Annotated[str, Query(min_length=1, max_length=ID_CHARS_MAX, pattern=STORABLE, description="the event's `id`")]


class Traces:
    """Reads the books. `store` is the caller's to close."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, source: str, event_id: str, *, owner: str, is_publisher: bool) -> Found:
        """Raises Problem when the database is away."""

        return await asked(
            self._store, lambda cursor: books.find(cursor, source, event_id, owner=owner, is_publisher=is_publisher)
        )


def router(traces: Traces) -> APIRouter:
    """For the gateway's app."""
    made = APIRouter(tags=["events"])

    @made.get(
        TRACE_PATH,
        summary="One event from its publisher to its subscribers",
        description=(
            "Its publisher sees when and where it was accepted, what each step of the platform made of it, and how many"
            " subscriptions got it delivered. A subscriber sees its own: evaluated, each attempt, how it ended."
            " Readers by cursor, stream or Kafka keep their own account."
        ),
        responses=responses_of(200, None, catalogue.EVENT_UNKNOWN, catalogue.REQUEST_INVALID, content=_TRACE),
        response_class=Response,
    )
    async def trace(request: Request, source: Source, id: Id) -> Response:  # noqa: A002 - the parameter's name on the wire
        caller = caller_of(request.scope)
        is_publisher = caller is None or caller.identity.owns(source)
        found = await traces.find(source, id, owner=owner_of(caller), is_publisher=is_publisher)
        receipt = None if found.place is None else receipt_id(found.place)
        mine = published(found, receipt) if is_publisher else None
        subscriptions = received(found, None if caller is None else caller.identity.all_scopes)
        if mine is None and not subscriptions:
            # The same for what there is not and for what is somebody else's.
            raise Problem(catalogue.EVENT_UNKNOWN, catalogue.EVENT_UNKNOWN.meaning)
        return answer({"source": source, "id": id, "published": mine, "subscriptions": subscriptions})

    return made


_TEXT: Final = {"type": "string"}
_MAYBE: Final = {"type": ["string", "null"]}
_INSTANT: Final = {"type": ["string", "null"], "format": "date-time"}
_NUMBER: Final = {"type": ["integer", "null"]}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties, **more}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "null"}]}


def _list(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": schema, **more}


_ACCEPTED: Final = _object(
    {
        "at": _INSTANT,
        "by": {"enum": ["gateway", "kafka"], "description": "kafka: no receipt of the gateway's, or it is forgotten"},
        "receipt": _TEXT,
        "topic": _TEXT,
        "partition": _COUNT,
        "offset": _COUNT,
    }
)
_STEP: Final = _object(
    {
        "step": _TEXT,
        "outcome": {
            "enum": ["pending", "quarantined", "duplicate", "rejected", "applied", "handled"],
            "description": (
                "duplicate: the event stood in the log before; rejected: the rule refused it; handled: applied,"
                " or dropped because something newer was there"
            ),
        },
        "reason": _MAYBE | {"description": "of quarantined and rejected: a stable code"},
        "pointer": _TEXT | {"description": "of quarantined: where in the event"},
        "message": _TEXT,
        "state": {"enum": ["waiting", "replayed", "parked"], "description": "of quarantined: what is done about it"},
    },
    optional=("pointer", "message", "state"),
)
_DELIVERED: Final = _object({"acknowledged": _COUNT, "retrying": _COUNT, "dead_lettered": _COUNT}, description="subscriptions")
_ATTEMPT: Final = _object(
    {
        "attempt": _COUNT,
        "started_at": _INSTANT,
        "duration_ms": _NUMBER,
        "outcome": {"enum": ["acknowledged", "failed", "dead_lettered", "withheld"]},
        "reason": _MAYBE,
        "status": _NUMBER,
        "retry_at": _INSTANT,
    }
)
_SUBSCRIPTION: Final = _object(
    {
        "id": {"type": "string", "format": "uuid"},
        "evaluated": {
            "enum": ["pending", "matched", "not_selected"],
            "description": "not_selected: the filter passed it over, or the trace of it is no longer kept",
        },
        "state": {"enum": ["waiting", "retrying", "acknowledged", "dead_letter", "withheld", None]},
        "number": _NUMBER,
        "attempts": _list(_ATTEMPT),
    }
)
_PUBLISHED: Final = _object(
    {"accepted": _or_null(_ACCEPTED), "processed": _list(_STEP), "delivered": _DELIVERED},
    description="only to the event's publisher; accepted null: under way",
)
_TRACE: Final = {
    "application/json": {
        "schema": _object(
            {
                "source": _TEXT,
                "id": _TEXT,
                "published": _or_null(_PUBLISHED),
                "subscriptions": _list(_SUBSCRIPTION, description="yours that are delivered to"),
            }
        )
    }
}
