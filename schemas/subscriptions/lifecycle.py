"""The lifecycle of a subscription, as a pure table: state and order to state.

    pending_validation ──validate──▶ enabled ◀──resume── paused
            ▲                          │  └────pause────▶  ▲
            └──revalidate (new sink)───┘
    any but expired ──disable──▶ disabled ──resume──▶ pending_validation, or enabled where nothing is validated
    any but disabled ──expire──▶ expired ──renew (a later expiry)──▶ as resume

An order that changes nothing is fine and changes nothing. What an operator paused or disabled only an operator lets go on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from schemas.subscriptions.model import NEEDS_VALIDATION, Actor, Protocol, Reason, State, Status

Verb = Literal["validate", "revalidate", "pause", "resume", "disable", "expire", "renew"]
Follow = Callable[[Status, "Order", Protocol, datetime], Status]

_GOING_ON: Final = frozenset[Verb](("validate", "resume", "renew"))
# What each verb may begin from; from its own outcome it changes nothing.
_FROM: Final[dict[Verb, frozenset[State]]] = {
    "validate": frozenset(("pending_validation",)),
    "revalidate": frozenset(("pending_validation", "enabled", "paused", "disabled", "expired")),
    "pause": frozenset(("pending_validation", "enabled")),
    "resume": frozenset(("paused", "disabled")),
    "disable": frozenset(("pending_validation", "enabled", "paused")),
    "expire": frozenset(("pending_validation", "enabled", "paused")),
    "renew": frozenset(("expired",)),
}
_ALREADY: Final[dict[Verb, frozenset[State]]] = {
    "validate": frozenset(("enabled",)),
    "revalidate": frozenset(),
    "pause": frozenset(("paused",)),
    "resume": frozenset(("enabled", "pending_validation")),
    "disable": frozenset(("disabled",)),
    "expire": frozenset(("expired", "disabled")),
    "renew": frozenset(("pending_validation", "enabled", "paused", "disabled")),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a subscription, by whom, and the reason that will stand in its status."""

    verb: Verb
    reason: Reason
    by: Actor
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """Why an order cannot be followed: `wrong_state`, or `held_by_operator`."""

    reason: Literal["wrong_state", "held_by_operator"]
    state: State
    verb: Verb


def begun(protocol: Protocol, by: Actor, now: datetime) -> Status:
    """The status of a new subscription."""
    if protocol in NEEDS_VALIDATION:
        return Status("pending_validation", "created", by, now)
    return Status("enabled", "created", by, now, validated_at=now)


def after(status: Status, order: Order, protocol: Protocol, now: datetime) -> Status | NotAllowed:
    """The status that the order leads to; the same object when it changes nothing."""
    if order.verb in _GOING_ON and _is_held(status) and order.by != "operator":
        return NotAllowed("held_by_operator", status.state, order.verb)
    if status.state in _ALREADY[order.verb]:
        # An operator's hold goes over a partner's: the partner must not be able to lift it.
        is_taken_over = order.verb in {"pause", "disable"} and order.by == "operator" and status.by != "operator"
        return _moved(status, status.state, order, now) if is_taken_over else status
    if status.state not in _FROM[order.verb]:
        return NotAllowed("wrong_state", status.state, order.verb)
    return _FOLLOW[order.verb](status, order, protocol, now)


def state_at(status: Status, expires_at: datetime | None, now: datetime) -> State:
    """The state that counts now: an expiry holds from its instant on, whether or not somebody has written it down."""
    if expires_at is not None and now >= expires_at and status.state != "disabled":
        return "expired"
    return status.state


def _is_held(status: Status) -> bool:
    return status.by == "operator" and status.state in {"paused", "disabled"}


def _moved(status: Status, state: State, order: Order, now: datetime) -> Status:
    return replace(status, state=state, reason=order.reason, by=order.by, since=now, note=order.note)


def _validate(status: Status, order: Order, _: Protocol, now: datetime) -> Status:
    return replace(_moved(status, "enabled", order, now), validated_at=now)


def _revalidate(status: Status, order: Order, protocol: Protocol, now: datetime) -> Status:
    """What is paused, disabled or expired stays so; it is validated when it goes on."""
    if protocol not in NEEDS_VALIDATION:
        return status
    if status.state == "enabled":
        status = _moved(status, "pending_validation", order, now)
    return replace(status, validated_at=None)


def _go_on(status: Status, order: Order, protocol: Protocol, now: datetime) -> Status:
    """Whoever was disabled or expired is validated anew: its endpoint may have changed hands."""
    if status.state != "paused":
        status = replace(status, validated_at=None)
    if protocol in NEEDS_VALIDATION and status.validated_at is None:
        return _moved(status, "pending_validation", order, now)
    return _moved(replace(status, validated_at=status.validated_at or now), "enabled", order, now)


def _to(state: State) -> Follow:
    return lambda status, order, _, now: _moved(status, state, order, now)


_FOLLOW: Final[dict[Verb, Follow]] = {
    "validate": _validate,
    "revalidate": _revalidate,
    "pause": _to("paused"),
    "resume": _go_on,
    "disable": _to("disabled"),
    "expire": _to("expired"),
    "renew": _go_on,
}
