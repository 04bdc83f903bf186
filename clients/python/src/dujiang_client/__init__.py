"""A partner's side of a Dujiang gateway: publish events, verify webhooks, pull a subscription's events.

`Client` is what to begin with; `verify` stands alone, for whoever only receives.
"""

from dujiang_client.client import Client, Pulled
from dujiang_client.errors import (
    DujiangError,
    Fault,
    HistoryExpired,
    Problem,
    Refused,
    SignatureInvalid,
    Unreachable,
)
from dujiang_client.events import Accepted, Event, Outcome, Receipt, Rejected
from dujiang_client.retries import Retries
from dujiang_client.signing import Signer
from dujiang_client.transport import HttpTransport, Request, Response, Transport, TransportFailed
from dujiang_client.webhooks import Delivery, verify

__version__ = "0.1.0"

__all__ = [
    "Accepted",
    "Client",
    "Delivery",
    "DujiangError",
    "Event",
    "Fault",
    "HistoryExpired",
    "HttpTransport",
    "Outcome",
    "Problem",
    "Pulled",
    "Receipt",
    "Refused",
    "Rejected",
    "Request",
    "Response",
    "Retries",
    "SignatureInvalid",
    "Signer",
    "Transport",
    "TransportFailed",
    "Unreachable",
    "verify",
]
