"""How a subscriber has its deliveries authorised by its own token endpoint (OAuth 2.0, client credentials)."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from engine.subscriptions import secrets
from gateway import catalogue
from gateway.body import BodyReader
from gateway.caller import caller_of
from gateway.subscriptions import kinds, requests, routes
from gateway.subscriptions.answers import answer
from gateway.subscriptions.deliveries import Deliveries, version_of
from gateway.subscriptions.requests import PATH
from sinks.webhooks.destinations import URL_CHARS_MAX, Rules
from sinks.webhooks.oauth import Credentials, stored

CREDENTIAL_CHARS_MAX: Final = 1_000
# RFC 6749, appendix A: VSCHAR, and for scopes NQCHAR with spaces between.
_VISIBLE: Final = r"^[ -~]+$"
_SCOPE: Final = r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$"

Visible = Annotated[str, StringConstraints(min_length=1, max_length=CREDENTIAL_CHARS_MAX, pattern=_VISIBLE)]


class OAuth2Body(BaseModel):
    """Where tokens come from, and what we prove ourselves by there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    token_url: Annotated[str, StringConstraints(min_length=1, max_length=URL_CHARS_MAX)] = Field(
        description="https; the same rules as for `sink`"
    )
    client_id: Visible
    client_secret: Visible = Field(description="never shown again")
    scope: Annotated[str, StringConstraints(max_length=CREDENTIAL_CHARS_MAX, pattern=_SCOPE)] | None = Field(
        None, description="scopes asked for, parted by spaces"
    )


def router(books: Deliveries, bodies: BodyReader, rules: Rules) -> APIRouter:
    """For the gateway's app, beside the other addresses of a subscription."""
    made = APIRouter(prefix=f"{PATH}/{{subscription_id}}/oauth2", tags=["subscriptions"])

    @made.put(
        "",
        summary="Have deliveries authorised by your token endpoint",
        description=(
            "OAuth 2.0 client credentials: we ask `token_url` for a token and send it with each delivery, which stays signed."
            " Replaces what was there; in force within a second."
        ),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": OAuth2Body.model_json_schema()}}}
        },
        responses=routes.responses_of(200, None, *_PUT_REFUSALS, content=version_of("oauth2")),
        response_class=Response,
    )
    async def put_oauth2(request: Request, subscription_id: UUID) -> Response:
        sent = requests.validated(OAuth2Body, await routes.sent_members(request, bodies))
        requests.refuse_url(sent.token_url, "token_url", rules)
        secret = stored(Credentials(**sent.model_dump()))
        version = await books.add_secret(subscription_id, caller_of(request.scope), "oauth2", secret)
        return answer({"version": version, "kind": "oauth2"})

    @made.delete(
        "",
        status_code=204,
        summary="Deliver without a token again",
        responses=routes.responses_of(204, None, kinds.SUBSCRIPTION_UNKNOWN, catalogue.REQUEST_INVALID),
        response_class=Response,
    )
    async def delete_oauth2(request: Request, subscription_id: UUID) -> Response:
        now = books.clock.now()
        await books.call(
            subscription_id, caller_of(request.scope), lambda cursor: secrets.end(cursor, subscription_id, "oauth2", now)
        )
        return Response(status_code=204)

    return made


_PUT_REFUSALS: Final = (
    *routes.BODY_REFUSALS,
    kinds.SUBSCRIPTION_UNKNOWN,
    kinds.SUBSCRIPTION_INVALID,
    kinds.SECRETS_TOO_MANY,
    catalogue.REQUEST_INVALID,
)
