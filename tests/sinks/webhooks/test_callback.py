"""An endpoint that consents later, by the callback that it was named: once, in time, and only for what it was asked."""

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dujiang.embedded.ports import free_port
from engine.subscriptions import callbacks
from sinks.webhooks.handshake import new_callback_token
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
