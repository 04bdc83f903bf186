"""Webhooks: a signed POST to an endpoint that consented, with a token of the subscriber's where it wants one."""

from collections.abc import Sequence

from engine.clock import Clock
from engine.subscriptions.callbacks import Consent
from engine.subscriptions.secrets import Secret
from schemas.subscriptions import Subscription
from sinks.webhooks.credentials import SIGNING
from sinks.webhooks.handshake import Granted, Pending, Refused, rate_of
from sinks.webhooks.oauth import Authorised, Tokens, loaded
from sinks.webhooks.sender import Sender
from sinks.webhooks.transport import Channel


class HttpTransport:
    """`sender` is the caller's to close; it keeps connections for all subscriptions."""

    takes_callbacks = True

    def __init__(self, sender: Sender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock

    def can_deliver(self, held: Sequence[Secret]) -> bool:
        """A partner needs a secret before it can refuse what is not signed."""
        return any(one.kind in SIGNING for one in held)

    async def validate(
        self,
        subscription: Subscription,
        held: Sequence[Secret],  # noqa: ARG002 - the endpoint must refuse what is not signed
        consent: Consent | None,
        callback: str | None,
    ) -> Granted | Pending | Refused:
        """The handshake, or after a callback the probe alone."""
        sink = subscription.sink or ""
        if consent is not None:
            return await self._sender.probe(sink) or Granted(consent.per_min)
        return await self._sender.shake_hands(sink, rate_of(subscription.config), callback)

    def open(self, subscription: Subscription, held: Sequence[Secret]) -> Channel:  # noqa: ARG002 - one sender for all
        """With a token of the subscriber's, if it gave what one is asked for with; the newest counts."""
        credentials = next((one.secret for one in held if one.kind == "oauth2"), None)
        if credentials is None:
            return Channel(self._sender.post)
        return Channel(Authorised(self._sender.post, Tokens(loaded(credentials), self._sender.fetch, self._clock)))
