"""Deliveries into a store by a deliverer that is a process of its own: the courier's promises hold there, too."""

import base64
import json
import time
from datetime import UTC, datetime

import pytest

from dujiang.embedded.ports import free_port
from engine.subscriptions import deliveries, secrets
from sinks.webhooks.signing import SharedSecret, verify
from tests.sinks.storage.store import ACCESS_KEY, REGION, SECRET_KEY, Store
from tests.sinks.webhooks.conftest import ANNOUNCED, Post
from tests.sinks.webhooks.test_partner import Agency, _is_open

pytestmark = pytest.mark.services


def test_a_partner_has_its_events_as_objects_each_once_in_order_whatever_fails(post: Post, store: Store) -> None:
    post.endpoints.append(store)  # type: ignore[arg-type] - its port may be delivered to
    port = free_port()
    post.gateway(port, gateway__auth="token")
    post.until(lambda: _is_open(port))
    owner = Agency(post, "agency-1", port)
    body = {"protocol": "S3", "sink": store.url, "types": [ANNOUNCED], "protocolsettings": {"region": REGION}}
    status, made = owner.ask("POST", "/subscriptions", body)
    assert (status, made["state"]) == (201, "pending_validation")
    at = f"/subscriptions/{made['id']}"
    key = owner.ask("POST", f"{at}/secrets?kind=v1")[1]["key"]
    post.deliverer(gateway__auth="token")

    given = {"credentialType": "PLAIN", "identifier": ACCESS_KEY, "secret": "wrong"}
    assert owner.ask("PUT", f"{at}/credential", given) == (200, {"version": 2, "kind": "plain"})
    post.until(lambda: owner.ask("GET", at)[1]["state"] == "disabled")
    assert "SignatureDoesNotMatch" in owner.ask("GET", at)[1]["note"]
    assert owner.ask("PUT", f"{at}/credential", given | {"secret": SECRET_KEY})[0] == 200
    owner.ask("POST", f"{at}/resume")
    post.until(lambda: owner.ask("GET", at)[1]["state"] == "enabled")

    failed: list[str] = []

    def busy_once(path: str) -> int:
        if path.endswith("-e000003.json") and not failed:
            failed.append(path)
            return 503
        return 200

    store.answer = busy_once
    ids = post.publish(50, keys=5)
    post.until(lambda: len(store.events) == 50, describe=lambda: str(len(store.events)))
    assert len(failed) == 1
    assert [int(event["deliverynumber"]) for event in store.events] == list(range(1, 51))  # keys sort by number
    assert sorted(event["id"] for event in store.events) == ids
    sent = [name for name in store.puts if "trial" not in name]
    for subject in {event["subject"] for event in store.events}:
        of_key = [event["id"] for event in store.events if event["subject"] == subject]
        order = [one for name in dict.fromkeys(sent) for one in of_key if name.endswith(f"-{one}.json")]
        assert order == of_key
    name = next(name for name in store.objects if name.endswith("-e000003.json"))
    assert sent.count(name) == 2  # under the same key
    verify([SharedSecret(base64.b64decode(key.removeprefix("whsec_")))], store.told[name], store.objects[name], time.time())

    post.until(lambda: post.stage.rows("SELECT count(*) FROM subscription_delivery") == [(0,)])
    assert owner.ask("POST", f"{at}/replay?first=1&last=5") == (202, {"count": 5})
    post.until(lambda: len(store.puts) >= len(sent) + 1 + 5)
    assert len(store.events) == 50
    assert SECRET_KEY not in json.dumps([owner.ask("GET", at), owner.ask("GET", f"{at}/secrets")])


def test_a_store_at_an_inner_address_is_sent_nothing(post: Post, store: Store) -> None:
    """Loopback is not among the allowed networks here."""
    post.endpoints.append(store)  # type: ignore[arg-type]
    made = post.subscribe(store.url, b"k" * 32, protocol="S3", protocolsettings={"region": REGION})
    credential = json.dumps({"identifier": ACCESS_KEY, "secret": SECRET_KEY}).encode()
    now = datetime.now(UTC)
    post.in_transaction(lambda cursor: secrets.add(cursor, made, "plain", credential, None, now, now))
    post.deliverer(deliver__networks="[]")
    post.publish(1)
    post.until(lambda: post.in_transaction(lambda cursor: len(deliveries.attempts_of(cursor, made))) > 0)
    [first, *_] = post.in_transaction(lambda cursor: deliveries.attempts_of(cursor, made))
    assert (first["outcome"], first["reason"], first["status"]) == ("failed", "destination", None)
    assert (store.puts, store.refused) == ([], [])
