"""What a subscriber gets back, as JSON."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from starlette.responses import Response

from gateway.subscriptions import cursors
from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.reading import Page
from gateway.subscriptions.requests import PATH, start_text
from schemas.contract import instant_text
from schemas.subscriptions import Subscription, state_at
from schemas.subscriptions.model import EFFECTIVE_S

_encode = msgspec.json.Encoder().encode


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_encode(content), status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def subscription_answer(
    subscription: Subscription, now: datetime, starts: Positions | None = None, status: int = 200
) -> Response:
    """One subscription with its ETag; a new one with its address."""
    headers = {"etag": etag(subscription)}
    if status == 201:
        headers["location"] = f"{PATH}/{subscription.id}"
    return answer(members(subscription, now, starts), status, headers)


def members(subscription: Subscription, now: datetime, starts: Positions | None = None) -> dict[str, Any]:
    """As the CloudEvents Subscriptions API has it, then ours. `cursor` is where reading begins."""
    status, basis = subscription.status, subscription.basis
    shown: dict[str, Any] = {
        "id": str(subscription.id),
        "owner": subscription.owner,
        "protocol": subscription.protocol,
        "sink": subscription.sink,
        "source": subscription.source,
        "types": list(subscription.types),
        "filters": list(subscription.filters),
        "protocolsettings": dict(subscription.protocolsettings),
        "config": dict(subscription.config),
        "start": start_text(subscription.start),
        "expires_at": _text(subscription.expires_at),
        "purpose": basis.purpose if basis else None,
        "legal_basis": basis.legal_basis if basis else None,
        "approver": basis.approver if basis else None,
        "granted": list(subscription.granted) or None,
        "state": state_at(status, subscription.expires_at, now),
        "reason": status.reason,
        "state_by": status.by,
        "state_since": instant_text(status.since),
        "note": status.note,
        "revision": subscription.revision,
        "created_at": instant_text(subscription.created_at),
        "changed_at": instant_text(subscription.changed_at),
        "effective_at": instant_text(subscription.changed_at + timedelta(seconds=EFFECTIVE_S)),
    }
    if starts is not None:
        shown["cursor"] = cursors.encode(starts)
    return {name: value for name, value in shown.items() if value is not None}


def page_members(page: Page) -> dict[str, Any]:
    """Events as they stand in the log, and the cursor behind them."""
    return {
        "events": [msgspec.Raw(passed.event.body) for passed in page.events],
        "cursor": cursors.encode(page.positions),
        "has_more": page.has_more,
        "withheld": page.withheld,
    }


def etag(subscription: Subscription) -> str:
    return f'"{subscription.revision}"'


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)
