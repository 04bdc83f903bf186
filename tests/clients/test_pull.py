"""The client reads a subscription of the gateway's, page after page."""

from itertools import islice
from typing import Any

import pytest
from dujiang_client import Client, Event, Refused, Signer

from tests.clients.conftest import AUDIENCE, CALL, PARTNER

pytestmark = pytest.mark.services

DATA = {"title": "征集", "programme": "P", "opens_at": None, "closes_at": None, "budget": None}


@pytest.fixture(params=["token", "key"])
def client(request: pytest.FixtureRequest, live: Any) -> Client:
    if request.param == "token":
        return Client(live.url, live.token)
    return Client(live.url, Signer(PARTNER, live.signer.kid, live.signer.pem(), AUDIENCE))


def publish(client: Client, *subjects: str) -> None:
    client.publish_all([Event(CALL, f"/partners/{PARTNER}", subject, DATA) for subject in subjects])


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
