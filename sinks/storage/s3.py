"""Deliveries into S3-compatible object stores: one PUT for each event, signed by AWS Signature V4; a 2xx acknowledges.

The sink is where objects go, as an URL: `https://endpoint/bucket/prefix`, or `https://bucket.endpoint/prefix` where a store
wants its bucket in the name. Either is signed as it is sent, so no setting says which it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from engine.clock import Clock
from engine.subscriptions.callbacks import Consent
from engine.subscriptions.secrets import Secret
from schemas.subscriptions import Subscription
from schemas.subscriptions.settings import S3Settings, s3_settings
from sinks.storage.objects import TRIAL_NAME, key_of
from sinks.storage.signature import signed
from sinks.webhooks.credentials import Credential, credential_of
from sinks.webhooks.destinations import DestinationRefused
from sinks.webhooks.handshake import PROBE_BODY, Granted, Refused, rate_of
from sinks.webhooks.schedule import Answer
from sinks.webhooks.sender import Sender
from sinks.webhooks.transport import CARRIED, CONTENT_TYPE, Channel
from sinks.webhooks.trial import ANONYMOUS_ACCEPTED, agreed

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; of what a store says only this is shown.
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")


class S3Transport:
    """`sender` is the caller's to close; it keeps connections for all subscriptions."""

    takes_callbacks = False

    def __init__(self, sender: Sender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock

    def can_deliver(self, held: Sequence[Secret]) -> bool:
        """An access key and its secret."""
        return credential_of(held) is not None

    async def validate(
        self,
        subscription: Subscription,
        held: Sequence[Secret],
        consent: Consent | None,  # noqa: ARG002 - there is no callback
        callback: str | None,  # noqa: ARG002
    ) -> Granted | Refused:
        """A stranger must be refused, and a trial object taken where events will go."""
        settings, url = s3_settings(subscription.protocolsettings), _at(subscription.sink or "", TRIAL_NAME)
        stranger, _ = await self._sender.put(url, PROBE_BODY, {"Content-Type": CONTENT_TYPE})
        if stranger.outcome == "acknowledged":
            return ANONYMOUS_ACCEPTED
        answer = await self.put(settings, credential_of(held), url, PROBE_BODY, {})
        return agreed(answer, rate_of(subscription.config))

    def open(self, subscription: Subscription, held: Sequence[Secret]) -> Channel:
        settings, credential = s3_settings(subscription.protocolsettings), credential_of(held)

        async def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
            return await self.put(settings, credential, _at(url, key_of(body)), body, headers)

        return Channel(post)

    async def put(
        self, settings: S3Settings, credential: Credential | None, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """One object. Never raises but when it is cancelled."""
        if credential is None:
            return Answer("unauthorised", detail="no credential is there")
        try:
            target = self._sender.target(url)
        except DestinationRefused as refusal:
            return Answer("destination", detail=refusal.reason)
        told = {f"x-amz-meta-{name}": headers[name] for name in CARRIED if name in headers}
        sent = signed(
            "PUT",
            target.host_port_subcomponent or "",
            target.raw_path,
            {"Content-Type": CONTENT_TYPE} | told,
            body,
            identifier=credential.identifier,
            secret=credential.secret,
            region=settings.region,
            now=self._clock.now(),
        )
        answer, content = await self._sender.put(url, body, sent)
        return _sorted(answer, content)


def _at(sink: str, key: str) -> str:
    return f"{sink.rstrip('/')}/{key}"


def _sorted(answer: Answer, content: bytes) -> Answer:
    """A store's 401 or 403 is of the credential, whatever the object: nobody is served there, so no event is to blame."""
    if answer.outcome == "acknowledged" or answer.status is None:
        return answer
    code = _CODE.search(content)
    answer = replace(answer, detail=code[1].decode("ascii") if code else "")
    return replace(answer, outcome="unauthorised") if answer.status in (401, 403) else answer
