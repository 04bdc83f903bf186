"""Where endpoints consent later than at the OPTIONS request: the address that WebHook-Request-Callback names.

Whoever knows the address may consent, so it is open, can be guessed by nobody and works once. The deliverer still looks whether
the endpoint refuses what is not signed before it sends anything.
"""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from psycopg import Cursor
from starlette.responses import Response

from engine.clock import Clock
from engine.subscriptions import callbacks
from gateway import catalogue
from gateway.languages import Text
from gateway.problems import Place, Problem
from gateway.store import Store, asked
from gateway.subscriptions import kinds
from gateway.subscriptions.answers import answer
from gateway.subscriptions.routes import responses_of
from sinks.webhooks.handshake import CALLBACK_PATH, Refused, read_callback

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_TAKEN: Final = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["subscription", "consent"],
            "properties": {
                "subscription": {"type": "string", "format": "uuid"},
                "consent": {"type": "string", "enum": ["taken"]},
            },
        }
    }
}

Rate = Annotated[
    str | None,
    Header(alias="WebHook-Allowed-Rate", max_length=20, description="deliveries a minute, or *; missing: without limit"),
]


class Callbacks:
    """What was offered, and what came of it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def consent(self, token: str, rate: str | None) -> str:
        """The id of the subscription that goes on. Raises Problem."""
        if _TOKEN.fullmatch(token) is None:
            raise _unknown()
        now = self._clock.now()

        def work(cursor: Cursor[Any]) -> str:
            offer = callbacks.find(cursor, token, now)
            if offer is None:
                raise _unknown()
            granted = read_callback(rate, offer.asked_per_min)
            if isinstance(granted, Refused):
                said = Text(granted.message, "WebHook-Allowed-Rate 应为 * 或大于 0 的整数（每分钟投递次数）")
                raise Problem(catalogue.REQUEST_INVALID, said, [Place(granted.reason, "/WebHook-Allowed-Rate", said)])
            callbacks.consent(cursor, token, granted.rate_per_minute, now)
            return str(offer.subscription_id)

        return await asked(self._store, work)


def router(offered: Callbacks) -> APIRouter:
    """The two ways that the rule has."""
    routes = APIRouter(prefix=CALLBACK_PATH, tags=["subscriptions"])
    described: dict[str, Any] = {
        "description": "The address that `WebHook-Request-Callback` named. Works once, while the subscription waits.",
        "responses": responses_of(200, None, kinds.CALLBACK_UNKNOWN, catalogue.REQUEST_INVALID, content=_TAKEN),
        "response_class": Response,
    }

    @routes.get("/{token}", summary="Consent to deliveries", **described)
    async def consent_by_get(token: str, rate: Rate = None) -> Response:
        return answer({"subscription": await offered.consent(token, rate), "consent": "taken"})

    @routes.post("/{token}", summary="Consent to deliveries, with a rate", **described)
    async def consent_by_post(token: str, rate: Rate = None) -> Response:
        return answer({"subscription": await offered.consent(token, rate), "consent": "taken"})

    return routes


def _unknown() -> Problem:
    return Problem(kinds.CALLBACK_UNKNOWN, kinds.CALLBACK_UNKNOWN.meaning)
