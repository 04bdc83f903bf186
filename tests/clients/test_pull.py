"""The client reads a subscription of the gateway's, page after page."""

import json
import urllib.request
from itertools import islice
from typing import Any

import pytest
from dujiang_client import Client, Event, Refused, Signer

from tests.clients.conftest import AUDIENCE, PARTNER

pytestmark = pytest.mark.services

TYPE = "gov.stiib.research.call.announced.v1"
DATA = {"title": "征集", "programme": "P", "opens_at": None, "closes_at": None, "budget": None}


@pytest.fixture
def subscription(live: Any) -> str:
    """Of all announced calls, from now on."""
    scopes = ["--scope", "publish:gov.stiib.research.*", "--scope", "subscribe:gov.stiib.research.call.*"]
    live.dujiang("partners", "add", PARTNER, "--name", "Institute 7", *scopes, "--replace")
    body = json.dumps({"protocol": "PULL", "types": [TYPE]}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {live.token}"}
    request = urllib.request.Request(f"{live.url}/subscriptions", body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return str(json.load(answer)["id"])


@pytest.fixture(params=["token", "key"])
def client(request: pytest.FixtureRequest, live: Any) -> Client:
    if request.param == "token":
        return Client(live.url, live.token)
    return Client(live.url, Signer(PARTNER, live.signer.kid, live.signer.pem(), AUDIENCE))


def publish(client: Client, *subjects: str) -> None:
    client.publish_all([Event(TYPE, f"/partners/{PARTNER}", subject, DATA) for subject in subjects])


def subjects(pages: Any) -> list[str]:
    return [event["subject"] for page in pages for event in page.events]


def test_pages_bring_every_event_once_and_go_on_from_a_stored_cursor(client: Client, subscription: str) -> None:
    publish(client, *(f"C-{number}" for number in range(5)))
    pages = list(islice(client.pages(subscription, limit=2, wait_s=5), 3))
    assert sorted(subjects(pages)) == [f"C-{number}" for number in range(5)]
    publish(client, "C-9")
    assert subjects([client.pull(subscription, pages[-1].cursor, wait_s=5)]) == ["C-9"]
    assert sorted(subjects([client.pull(subscription, wait_s=5)])) == [*(f"C-{number}" for number in range(5)), "C-9"]


def test_foreign_cursor_is_refused(client: Client, subscription: str) -> None:
    with pytest.raises(Refused, match="400 cursor_invalid"):
        client.pull(subscription, "made-up", wait_s=0)
