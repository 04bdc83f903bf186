"""How a subscriber gives us what its broker or store knows us by: the PLAIN sink credential of the Subscriptions API."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from gateway import catalogue
from gateway.body import BodyReader
from gateway.caller import caller_of
from gateway.problems import Problem
from gateway.subscriptions import kinds, requests, routes
from gateway.subscriptions.answers import answer
from gateway.subscriptions.deliveries import Deliveries, version_of
from gateway.subscriptions.requests import PATH
from schemas.subscriptions import Subscription
from schemas.subscriptions.settings import SETTINGS
from sinks.webhooks.credentials import Credential, stored

CREDENTIAL_CHARS_MAX: Final = 1_000
# Neither MQTT's strings nor headers hold control characters.
_PRINTED: Final = r"^[^\x00-\x1f\x7f]*$"

Given = Annotated[str, StringConstraints(min_length=1, max_length=CREDENTIAL_CHARS_MAX, pattern=_PRINTED)]


class CredentialBody(BaseModel):
    """As the CloudEvents Subscriptions API has it (3.2.3)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    credentialType: Literal["PLAIN"] = "PLAIN"  # noqa: N815 - the API's own spelling
    identifier: Given = Field(description="user name, or access key")
    secret: Given = Field(description="password, or secret key; never shown again")


def router(books: Deliveries, bodies: BodyReader) -> APIRouter:
    """For the gateway's app, beside the other addresses of a subscription."""
    made = APIRouter(prefix=f"{PATH}/{{subscription_id}}/credential", tags=["subscriptions"])

    @made.put(
        "",
        summary="Give us a user name and a password, or an access key",
        description=(
            "For deliveries to your broker (MQTT5) or store (S3), which must refuse whoever has none."
            " Replaces what was there; in force within a second. Goes with the subscription."
        ),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": CredentialBody.model_json_schema()}}}
        },
        responses=routes.responses_of(200, None, *_REFUSALS, content=version_of("plain")),
        response_class=Response,
    )
    async def put_credential(request: Request, subscription_id: UUID) -> Response:
        sent = requests.validated(CredentialBody, await routes.sent_members(request, bodies))
        secret = stored(Credential(identifier=sent.identifier, secret=sent.secret))
        version = await books.add_secret(subscription_id, caller_of(request.scope), "plain", secret, refused=_unused)
        return answer({"version": version, "kind": "plain"})

    return made


def _unused(subscription: Subscription) -> Problem | None:
    return None if subscription.protocol in SETTINGS else Problem(kinds.CREDENTIAL_UNUSED, kinds.CREDENTIAL_UNUSED.meaning)


_REFUSALS: Final = (
    *routes.BODY_REFUSALS,
    kinds.SUBSCRIPTION_UNKNOWN,
    kinds.SUBSCRIPTION_INVALID,
    kinds.CREDENTIAL_UNUSED,
    kinds.SECRETS_TOO_MANY,
    catalogue.REQUEST_INVALID,
)
