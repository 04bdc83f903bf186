"""Who receives what, as pure rules: the shape of a subscription, its lifecycle, and what a reader may see.

The shape is that of the CloudEvents Subscriptions API 0.1-wip, with what it lacks: states, expiry, start, purpose.
https://github.com/cloudevents/spec/blob/main/subscriptions/spec.md
"""

from schemas.subscriptions.lifecycle import NotAllowed, Order, after, begun, state_at
from schemas.subscriptions.model import (
    NEEDS_VALIDATION,
    NOBODY,
    PROTOCOLS,
    PUSHED,
    Basis,
    Place,
    Protocol,
    Start,
    State,
    Status,
    Subscription,
)
from schemas.subscriptions.rights import ONLY, Reader, Withheld, allows, classification_of, clearance_of, limits_of

__all__ = [
    "NEEDS_VALIDATION",
    "NOBODY",
    "ONLY",
    "PROTOCOLS",
    "PUSHED",
    "Basis",
    "NotAllowed",
    "Order",
    "Place",
    "Protocol",
    "Reader",
    "Start",
    "State",
    "Status",
    "Subscription",
    "Withheld",
    "after",
    "allows",
    "begun",
    "classification_of",
    "clearance_of",
    "limits_of",
    "state_at",
]
