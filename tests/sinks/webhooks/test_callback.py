"""An endpoint that consents later, by the callback that it was named: once, in time, and only for what it was asked."""

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from dujiang.embedded.ports import free_port
from engine.clock import SystemClock
from engine.subscriptions import callbacks, register
from monitoring.metrics import DeliveryMetrics
from schemas.subscriptions import Protocol
from sinks.webhooks.deliverer import HANDSHAKE_DELAYS_S, Deliverer, _Asked
from sinks.webhooks.handshake import Refused, new_callback_token
from sinks.webhooks.http import HttpTransport
from sinks.webhooks.transport import Transport
from tests.sinks.webhooks.conftest import Post

pytestmark = pytest.mark.services

PUBLIC = "https://gateway.bureau.example"


@pytest.fixture
def port(post: Post) -> int:
    """Of a gateway that asks for tokens: an endpoint has none."""
    found = free_port()
    post.gateway(found, gateway__auth="token")
    post.until(lambda: _called(found, "x" * 43)[0] == 404)
    return found


def _called(port: int, token: str, method: str = "POST", rate: str | None = None) -> tuple[int, Any]:
    headers = {} if rate is None else {"WebHook-Allowed-Rate": rate}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/callbacks/{token}", headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except urllib.error.URLError:
        return 0, None


def _state(post: Post, subscription: UUID) -> tuple[str, str, int | None]:
    [row] = post.stage.rows(
        "SELECT state, state_reason, granted_per_min FROM subscription JOIN subscription_progress USING (subscription_id)"
        " WHERE subscription_id = %s",
        subscription,
    )
    return row[0], row[1], row[2]


def test_an_endpoint_consents_by_its_callback_and_gets_what_it_granted(post: Post, port: int) -> None:
    endpoint = post.endpoint()
    endpoint.consents = False
    subscription = post.subscribe(*endpoint.address, is_validated=False, config={"rate_per_min": 600})
    post.deliverer(gateway__public_url=PUBLIC)
    post.until(lambda: bool(endpoint.callbacks))
    assert _state(post, subscription)[0] == "pending_validation"
    address, _, token = endpoint.callbacks[0].rpartition("/")
    assert address == f"{PUBLIC}/callbacks"
    assert _called(port, token, rate="many")[0] == 422  # and the address still holds
    assert _called(port, token, rate="300") == (200, {"subscription": str(subscription), "consent": "taken"})
    assert _called(port, token, rate="600")[0] == 404
    post.until(lambda: _state(post, subscription) == ("enabled", "validated", 300))
    assert endpoint.refused != []  # it was still tried without a signature
    ids = post.publish(3)
    post.until(lambda: sorted(one.event_id for one in endpoint.acknowledged) == ids)
    assert post.stage.rows("SELECT count(*) FROM subscription_callback") == [(0,)]


def test_only_what_was_offered_in_this_revision_and_in_time_consents(post: Post, port: int) -> None:
    endpoint = post.endpoint()
    subscription = post.subscribe(*endpoint.address, is_validated=False)
    now = datetime.now(UTC)
    late, other, good = new_callback_token(), new_callback_token(), new_callback_token()
    [(present,)] = post.stage.rows("SELECT revision FROM subscription WHERE subscription_id = %s", subscription)
    soon = now + timedelta(hours=1)
    for token, revision, expires_at in ((late, present, now), (other, present + 1, soon), (good, present, soon)):
        post.in_transaction(
            lambda cursor, token=token, revision=revision, ends=expires_at: callbacks.offer(  # type: ignore[misc]
                cursor, subscription, revision, token, None, ends
            )
        )
    assert [_called(port, token)[0] for token in (late, other, "x", f"{good}x")] == [404, 404, 404, 404]
    assert _called(port, good, "GET")[0] == 200
    stored = post.stage.rows("SELECT token_digest FROM subscription_callback WHERE consented_at IS NOT NULL")
    assert [bytes(row[0]) for row in stored] == [callbacks.digest_of(good)]


def test_guesses_at_addresses_wait_on_a_connection_of_their_own(post: Post, port: int) -> None:
    """Anybody may guess: readers of subscriptions share nothing with them."""
    assert _called(port, "y" * 43)[0] == 404
    names = post.stage.rows("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
    assert ("dujiang gateway callbacks",) in names
    assert ("dujiang gateway subscriptions",) not in names  # opened when first needed, and nobody read


class LastAsked:
    """A Sender whose endpoint does not consent; `callbacks`: what it was offered."""

    def __init__(self) -> None:
        self.callbacks: list[str | None] = []

    async def shake_hands(self, _: str, __: int | None, callback: str | None = None) -> Refused:
        self.callbacks.append(callback)
        return Refused("origin_missing", "no")


def test_an_endpoint_is_not_given_up_while_an_address_that_it_was_named_holds(post: Post) -> None:
    subscription = post.subscribe(*post.endpoint().address, is_validated=False)
    sender: Any = LastAsked()
    parts: dict[str, Any] = {"log": None, "books": None, "place": None}
    metrics = DeliveryMetrics(CollectorRegistry())
    transports: dict[Protocol, Transport] = {"HTTP": HttpTransport(sender, SystemClock())}
    deliverer = Deliverer(**parts, transports=transports, clock=SystemClock(), metrics=metrics, gateway_url=PUBLIC)
    known = post.in_transaction(lambda cursor: register.find(cursor, subscription))
    asked = _Asked(known.revision, times=len(HANDSHAKE_DELAYS_S))
    refused = asyncio.run(deliverer._answer_of(known, (), asked, None))
    assert sender.callbacks == [None]  # no new one, or there would be no end
    ends = datetime.now(UTC) + timedelta(hours=1)
    token = new_callback_token()
    post.in_transaction(lambda cursor: callbacks.offer(cursor, subscription, known.revision, token, None, ends))
    post.in_transaction(lambda cursor: deliverer._note_answer(known, asked, refused, cursor))
    assert _state(post, subscription)[0] == "pending_validation"
    waiting = post.in_transaction(lambda cursor: register.find(cursor, subscription))
    assert (waiting.status.note, waiting.revision) == ("origin_missing: no", known.revision)
    told = "SELECT count(*) FROM audit_entry WHERE after ->> 'state_note' IS NOT NULL AND after ? 'state'"
    assert post.stage.rows(told) == [(0,)]  # no notice: its state is the same
    post.in_transaction(lambda cursor: callbacks.forget(cursor, subscription))
    post.in_transaction(lambda cursor: deliverer._note_answer(known, asked, refused, cursor))
    assert _state(post, subscription)[:2] == ("disabled", "validation_failed")
