"""The partner of one request: the guard puts it into the request's scope, the endpoints ask it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from starlette.types import Scope

from gateway.identity import Identity, refuse_ungranted, ungranted
from gateway.limits import Meter
from gateway.problems import Place
from schemas.cloudevents import CloudEvent

_KEY: Final = "caller"
Renewed = Callable[[], Awaitable[Identity | None]]


class Caller:
    """What one token lets its partner do, and how much of it is left."""

    def __init__(self, identity: Identity, meter: Meter, renewed: Renewed) -> None:
        self.partner_id = identity.partner.partner_id
        self.identity = identity
        # The identity as it is now, for requests that last; None once the token is no longer in force. Raises faults.
        self.renewed = renewed
        self._meter = meter

    def admit(self, events: Sequence[CloudEvent], *, is_batch: bool) -> None:
        """Raises Problem when one of the events is not granted, or when they are too many."""
        refuse_ungranted(self.identity, events, is_batch=is_batch)
        self._meter.count_events(len(events))

    def ungranted(self, event: CloudEvent) -> Sequence[Place]:
        """What of the event is not granted."""
        return ungranted(self.identity, event)

    def enter(self, scope: Scope) -> None:
        """Count the request and go along with it. Raises Problem."""
        scope[_KEY] = self
        self._meter.count_request()

    def limits(self) -> Mapping[str, str]:
        """The headers that say what is left."""
        return self._meter.headers()


def caller_of(scope: Scope) -> Caller | None:
    """None where nobody is asked who he is."""
    return scope.get(_KEY)
