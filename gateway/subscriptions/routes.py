"""The addresses of subscribers, and their description."""

from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engine.clock import Clock
from gateway import catalogue, problems
from gateway.body import BodyReader, declared_length
from gateway.caller import caller_of
from gateway.ending import ending_of, unless_gone
from gateway.kind import Kind
from gateway.problems import ProblemWriter
from gateway.subscriptions import cursors, kinds, requests
from gateway.subscriptions.answers import answer, members, page_members, subscription_answer
from gateway.subscriptions.readers import Session
from gateway.subscriptions.requests import PATH, RehearsalBody, SubscriptionBody
from gateway.subscriptions.service import SubscriptionService, pulled
from gateway.subscriptions.store import PAGE_MAX
from gateway.subscriptions.stream import EventStream

LIMIT_MAX: Final = 1_000
WAIT_S_MAX: Final = 30.0

Cursor = Annotated[
    str | None,
    Query(max_length=cursors.CURSOR_CHARS_MAX, description="where to go on; without it, where the subscription began"),
]
LastEventId = Annotated[
    str | None,
    Header(max_length=cursors.CURSOR_CHARS_MAX, description="the `id` of the last event that came; goes before `cursor`"),
]
IfMatch = Annotated[str | None, Header(max_length=100, description="the ETag that the change is meant for")]


_ANYWHERE: Final = (
    catalogue.TOKEN_MISSING,
    catalogue.TOKEN_INVALID,
    kinds.SUBSCRIBE_RIGHT_MISSING,
    catalogue.RATE_EXCEEDED,
    catalogue.STORE_AWAY,
)
BODY_REFUSALS: Final = (
    catalogue.BODY_EMPTY,
    catalogue.BODY_INCOMPLETE,
    catalogue.BODY_SLOW,
    catalogue.JSON_INVALID,
    catalogue.CONTENT_TOO_LARGE,
    catalogue.OVERLOADED,
    kinds.JSON_EXPECTED,
)
_SELECTION: Final = (
    kinds.SUBSCRIPTION_INVALID,
    kinds.FILTER_INVALID,
    kinds.SUBSCRIBED_TYPE_UNKNOWN,
    kinds.BASIS_MISSING,
    kinds.LOG_AWAY,
)
_READING: Final = (
    kinds.SUBSCRIPTION_UNKNOWN,
    kinds.NOT_ENABLED,
    kinds.PROTOCOL_MISMATCH,
    kinds.CURSOR_INVALID,
    kinds.CURSOR_GONE,
    kinds.READERS_TOO_MANY,
    kinds.LOG_AWAY,
    catalogue.REQUEST_INVALID,
)
_STREAMED: Final = {"text/event-stream": {"schema": {"type": "string"}}}


def router(service: SubscriptionService, clock: Clock, writer: ProblemWriter, bodies: BodyReader) -> APIRouter:
    """All of them, for the gateway's app."""
    routes = APIRouter(prefix=PATH, tags=["subscriptions"])
    _add_keeping(routes, service, clock, bodies)
    _add_reading(routes, service, writer)
    _add_rehearsing(routes, service, bodies)
    return routes


def _add_keeping(routes: APIRouter, service: SubscriptionService, clock: Clock, bodies: BodyReader) -> None:
    @routes.post(
        "",
        status_code=201,
        summary="Subscribe",
        description=(
            "Events go out from the moment that `start` says. What is not public needs `purpose`, `legal_basis` and"
            " `approver`. A webhook (HTTP) is `pending_validation` until its endpoint has consented;"
            " a broker (MQTT5) or store (S3) until you gave us a credential (`PUT …/credential`) and it took a trial message."
        ),
        openapi_extra=_body(SubscriptionBody),
        responses=responses_of(201, "Subscription", *BODY_REFUSALS, *_SELECTION, kinds.SUBSCRIPTIONS_TOO_MANY),
        response_class=Response,
    )
    async def subscribe(request: Request) -> Response:
        body = requests.subscription_of(await sent_members(request, bodies))
        made, starts = await service.create(body, caller_of(request.scope))
        return subscription_answer(made, clock.now(), starts, 201)

    @routes.get(
        "",
        summary="Your subscriptions",
        responses=responses_of(200, "SubscriptionList", catalogue.REQUEST_INVALID),
        response_class=Response,
    )
    async def list_subscriptions(
        request: Request,
        after: Annotated[UUID | None, Query(description="go on behind this one: `next` of the last answer")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> Response:
        found = await service.listed(caller_of(request.scope), after, limit)
        listed: dict[str, Any] = {"subscriptions": [members(one, clock.now()) for one in found]}
        if len(found) == limit:
            listed["next"] = str(found[-1].id)
        return answer(listed)

    @routes.get(
        "/{subscription_id}",
        summary="One subscription",
        responses=responses_of(200, "Subscription", kinds.SUBSCRIPTION_UNKNOWN),
        response_class=Response,
    )
    async def get_subscription(request: Request, subscription_id: UUID) -> Response:
        found, starts = await service.find(subscription_id, caller_of(request.scope))
        return subscription_answer(found, clock.now(), starts)

    @routes.put(
        "/{subscription_id}",
        summary="Replace a subscription",
        description=(
            "Members left out get their defaults. `protocol` and `start` stay as they are. Readers keep their cursors."
            " The change is in force at `effective_at`, a second later at the latest."
        ),
        openapi_extra=_body(SubscriptionBody),
        responses=responses_of(
            200,
            "Subscription",
            kinds.SUBSCRIPTION_UNKNOWN,
            kinds.PROTOCOL_FIXED,
            kinds.REVISION_OUTDATED,
            *BODY_REFUSALS,
            *_SELECTION,
        ),
        response_class=Response,
    )
    async def replace_subscription(request: Request, subscription_id: UUID, if_match: IfMatch = None) -> Response:
        body = requests.subscription_of(await sent_members(request, bodies))
        changed = await service.replace(subscription_id, body, if_match, caller_of(request.scope))
        return subscription_answer(changed, clock.now())

    @routes.delete(
        "/{subscription_id}",
        status_code=204,
        summary="Unsubscribe",
        description="With it go its dead letters and its trace.",
        responses=responses_of(204, None, kinds.SUBSCRIPTION_UNKNOWN),
        response_class=Response,
    )
    async def unsubscribe(request: Request, subscription_id: UUID) -> Response:
        await service.remove(subscription_id, caller_of(request.scope))
        return Response(status_code=204)

    _add_orders(routes, service, clock)


def _add_orders(routes: APIRouter, service: SubscriptionService, clock: Clock) -> None:
    told = (kinds.SUBSCRIPTION_UNKNOWN, kinds.STATE_CONFLICT, kinds.HELD_BY_OPERATOR)

    @routes.post(
        "/{subscription_id}/pause",
        summary="Pause",
        description="Nothing is lost: whatever comes meanwhile is delivered after `resume`, within retention.",
        responses=responses_of(200, "Subscription", *told),
        response_class=Response,
    )
    async def pause(request: Request, subscription_id: UUID) -> Response:
        return subscription_answer(await service.pause(subscription_id, caller_of(request.scope)), clock.now())

    @routes.post(
        "/{subscription_id}/resume",
        summary="Resume",
        description="A webhook that was disabled, or whose sink was changed, is validated anew.",
        responses=responses_of(200, "Subscription", *told),
        response_class=Response,
    )
    async def resume(request: Request, subscription_id: UUID) -> Response:
        return subscription_answer(await service.resume(subscription_id, caller_of(request.scope)), clock.now())


def _add_reading(routes: APIRouter, service: SubscriptionService, writer: ProblemWriter) -> None:
    @routes.get(
        "/{subscription_id}/events",
        summary="Read the next events",
        description=(
            "Give the `cursor` of the last answer to go on behind it; the same cursor gives the same events again. With"
            " `wait`, an answer that would be empty waits for something to come. Events of one key come in their order."
        ),
        responses=responses_of(200, "EventPage", *_READING),
        response_class=Response,
    )
    async def read_events(
        request: Request,
        subscription_id: UUID,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="events at most")] = 100,
        wait: Annotated[float, Query(ge=0, le=WAIT_S_MAX, description="s to wait for an event")] = 0,
    ) -> Response:
        caller, ending = caller_of(request.scope), ending_of(request.scope)
        async with service.session(subscription_id, cursor, caller, ending, "pull") as session:
            page = await unless_gone(request.receive, pulled(session, limit, wait))
        return Response(status_code=204) if page is None else answer(page_members(page))

    @routes.get(
        "/{subscription_id}/stream",
        summary="Events as they come (server-sent events)",
        description=(
            "Each event is one `data` line under its cursor as `id`; `event: heartbeat` moves the cursor while nothing"
            " passes, `event: end` says why the stream ends. Connect again with `Last-Event-ID` to go on without loss."
        ),
        responses=responses_of(200, None, *_READING, content=_STREAMED),
        response_class=Response,
    )
    async def stream_events(
        request: Request, subscription_id: UUID, cursor: Cursor = None, last_event_id: LastEventId = None
    ) -> Response:
        caller, ending = caller_of(request.scope), ending_of(request.scope)
        return _Streaming(service.session(subscription_id, last_event_id or cursor, caller, ending, "stream"), writer)


def _add_rehearsing(routes: APIRouter, service: SubscriptionService, bodies: BodyReader) -> None:
    @routes.post(
        "/rehearse",
        summary="What would a filter let through",
        description=(
            "Runs types and filters over what the log still holds, `days` back, for 20,000 records or ten seconds at"
            " most, and says what it looked at. Nothing is kept."
        ),
        openapi_extra=_body(RehearsalBody),
        responses=responses_of(
            200,
            "Rehearsal",
            *BODY_REFUSALS,
            *_SELECTION,
            kinds.CURSOR_GONE,
            kinds.REHEARSALS_TOO_MANY,
        ),
        response_class=Response,
    )
    async def rehearse(request: Request) -> Response:
        body = requests.rehearsal_of(await sent_members(request, bodies))
        return answer((await service.rehearse(body, caller_of(request.scope))).as_json())


class _Streaming(Response):
    """Opens the session when it is asked to answer, so that a refusal still leaves as a problem."""

    def __init__(self, opened: AbstractAsyncContextManager[Session], writer: ProblemWriter) -> None:
        super().__init__()
        self._opened = opened
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened as session:
            await EventStream(session, self._writer)(scope, receive, send)


async def sent_members(request: Request, bodies: BodyReader) -> dict[str, Any]:
    """The JSON object that was sent. Raises Problem."""
    length = request.headers.get("content-length")
    declared = declared_length(None if length is None else length.encode())
    body = await bodies.read(request.receive, declared, requests.BODY_BYTES_MAX)
    return requests.parsed(body, request.headers.get("content-type"), request.headers.get("content-encoding"))


def _body(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
        }
    }


def responses_of(status: int, schema: str | None, *refusals: Kind, content: Any = None) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation: its own, and each problem it may meet."""
    if schema is not None:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    own: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    described: dict[int | str, dict[str, Any]] = {status: own | ({"content": content} if content else {})}
    for kind in sorted({*_ANYWHERE, *refusals}, key=lambda kind: (kind.status, kind.slug)):
        said = f"`{kind.slug}`: {kind.title.en}."
        known = described.get(kind.status)
        if known is not None:
            known["description"] += f" {said}"
            continue
        problem = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        described[kind.status] = {"description": said, "content": problem}
        if kind.retry_after_s is not None or kind.status == 429:
            described[kind.status]["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return described
