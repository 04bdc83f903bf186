"""What differs from protocol to protocol: who can be delivered to, whether the other side agrees, and how one delivery is sent.

Numbers, order, retries, circuits, dead letters and replays are the courier's, the same for all.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from engine.subscriptions.callbacks import Consent
from engine.subscriptions.secrets import Secret
from schemas import traceparent
from schemas.subscriptions import Subscription
from sinks.webhooks.handshake import Granted, Pending, Refused
from sinks.webhooks.schedule import Answer
from sinks.webhooks.signing import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
# What a delivery's headers say beside the event, for protocols that are not HTTP: what authorises us elsewhere stays out.
CARRIED: Final = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER, traceparent.NAME)


class Post(Protocol):
    """One attempt. Never raises but when it is cancelled."""

    async def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> Answer: ...


async def _nothing() -> None:
    return


@dataclass(frozen=True)
class Channel:
    """The way to one subscription's sink. `close` ends what it keeps open; attempts under way end with it."""

    post: Post
    close: Callable[[], Awaitable[None]] = _nothing


class Transport(Protocol):
    """A protocol of deliveries."""

    takes_callbacks: bool  # whether the other side may agree later, by itself

    def can_deliver(self, held: Sequence[Secret]) -> bool:
        """Whether all secrets are there that a delivery needs. Before, nobody is asked for consent."""
        ...

    async def validate(
        self, subscription: Subscription, held: Sequence[Secret], consent: Consent | None, callback: str | None
    ) -> Granted | Pending | Refused:
        """Whether the other side wants deliveries. `consent`: it said so by a callback; `callback`: where it may."""
        ...

    def open(self, subscription: Subscription, held: Sequence[Secret]) -> Channel:
        """For as long as neither the subscription nor its secrets change."""
        ...
