"""What became of an owner's subscriptions without his doing, as CloudEvents that he alone can read.

A webhook that is disabled cannot be told by webhook, so notices wait where its owner looks; no topic carries them.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.subscriptions.notices import Notice, Position
from gateway import catalogue
from gateway.caller import caller_of
from gateway.subscriptions.answers import answer
from gateway.subscriptions.requests import PATH
from gateway.subscriptions.routes import responses_of
from gateway.subscriptions.service import SubscriptionService
from schemas.cloudevents import CloudEvent, json_format

LIMIT_MAX: Final = 500
POSITION: Final = r"^[0-9]{1,18}\.[0-9]{1,18}$"
_NAMES: Final = {"pending_validation": "pending"}
_PAGE: Final = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["events", "next"],
            "properties": {
                "events": {"type": "array", "items": {"$ref": "#/components/schemas/CloudEvent"}},
                "next": {"type": "string", "description": "`after` of the next request"},
            },
        }
    }
}


def router(service: SubscriptionService) -> APIRouter:
    """To be included before the addresses of single subscriptions."""
    routes = APIRouter(prefix=PATH, tags=["subscriptions"])

    @routes.get(
        "/notices",
        summary="What became of your subscriptions",
        description=(
            "Events `….platform.subscription.disabled.v1`, `.paused`, `.enabled`, `.expired` and `.pending`: what the platform"
            " or an operator did, the reason in `data`. Oldest first; keep `next` and send it as `after`."
        ),
        responses=responses_of(200, None, catalogue.REQUEST_INVALID, content=_PAGE),
        response_class=Response,
    )
    async def notices(
        request: Request,
        after: Annotated[str, Query(pattern=POSITION, description="`next` of the last answer")] = "0.0",
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
    ) -> Response:
        position = Position(*map(int, after.split(".")))
        return answer(page(await service.notices(caller_of(request.scope), position, limit), position, service.prefix))

    return routes


def page(found: Sequence[Notice], position: Position, prefix: str) -> dict[str, Any]:
    """The answer."""
    events = [msgspec.Raw(json_format.encode(event_of(notice, prefix))) for notice in found]
    last = found[-1].position if found else position
    return {"events": events, "next": f"{last.transaction}.{last.entry}"}


def event_of(notice: Notice, prefix: str) -> CloudEvent:
    """The same one every time."""
    data = {"state": notice.state, "reason": notice.reason, "by": notice.by, "note": notice.note, "revision": notice.revision}
    return CloudEvent(
        id=f"notice-{notice.position.entry}",
        source=f"/dujiang/subscriptions/{notice.subscription_id}",
        type=f"{prefix}.platform.subscription.{_NAMES.get(notice.state, notice.state)}.v1",
        subject=notice.subscription_id,
        time=notice.at,
        datacontenttype="application/json",
        dataschema=None,
        extensions={},
        data={name: value for name, value in data.items() if value is not None},
    )
