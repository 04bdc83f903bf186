"""Deliveries to a real broker by a deliverer that is a process of its own: the courier's promises hold there, too."""

import json
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from dujiang.embedded.ports import free_port
from engine.subscriptions import secrets
from sinks.webhooks.credentials import Credential, stored
from sinks.webhooks.signing import SharedSecret, verify
from tests.sinks.queues.broker import PASSWORD, TOPIC, USER, Broker, Subscriber
from tests.sinks.webhooks.conftest import ANNOUNCED, Post
from tests.sinks.webhooks.test_partner import Agency, _is_open

pytestmark = pytest.mark.services

SECRET = b"k" * 32


def subscribe(post: Post, broker: Broker, *, password: str = PASSWORD, **changes: Any) -> UUID:
    if broker not in post.endpoints:
        post.endpoints.append(broker)  # type: ignore[arg-type] - its port may be delivered to
    made = post.subscribe(broker.url, SECRET, protocol="MQTT5", protocolsettings={"topicname": TOPIC}, **changes)
    credential = stored(Credential(identifier=USER, secret=password))
    now = datetime.now(UTC)
    post.in_transaction(lambda cursor: secrets.add(cursor, made, "plain", credential, None, now, now))
    return made


def numbers(events: list[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for event in events:
        found[event["subject"]].append(int(event["deliverynumber"]))
    return dict(found)


def first_of_each(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({event["id"]: event for event in reversed(events)}.values())[::-1]


def test_a_broker_that_is_killed_loses_nothing_and_each_key_keeps_its_order(post: Post, broker: Broker) -> None:
    subscriber = Subscriber(broker)
    subscribe(post, broker)
    post.deliverer()
    ids = post.publish(200, keys=8)
    post.until(lambda: len(subscriber.events) == 200)
    time.sleep(1.5)  # the broker writes its sessions down each second
    broker.kill()
    ids += post.publish(100, keys=8)
    post.until(lambda: post.stage.rows("SELECT count(*) > 0 FROM subscription_attempt WHERE outcome = 'failed'") == [(True,)])
    broker.start()
    post.until(lambda: len(first_of_each(subscriber.events)) == 300, 60, lambda: str(len(subscriber.events)))

    first = first_of_each(subscriber.events)
    assert sorted(event["id"] for event in first) == ids
    assert all(found == sorted(found) for found in numbers(first).values())
    assert sorted(int(event["deliverynumber"]) for event in first) == list(range(1, 301))
    post.until(lambda: post.stage.rows("SELECT count(*) FROM subscription_delivery") == [(0,)])
    message = subscriber.messages[0]
    verify([SharedSecret(SECRET)], message.user_properties, message.body, time.time())
    subscriber.close()


def test_a_partner_gives_a_credential_learns_that_it_is_wrong_and_gives_another(post: Post, broker: Broker) -> None:
    post.endpoints.append(broker)  # type: ignore[arg-type]
    port = free_port()
    post.gateway(port, gateway__auth="token")
    post.until(lambda: _is_open(port))
    owner, stranger = Agency(post, "agency-1", port), Agency(post, "agency-2", port)
    body = {"protocol": "MQTT5", "sink": broker.url, "types": [ANNOUNCED], "protocolsettings": {"topicname": TOPIC}}
    status, made = owner.ask("POST", "/subscriptions", body)
    assert (status, made["state"]) == (201, "pending_validation")
    at = f"/subscriptions/{made['id']}"
    post.deliverer(gateway__auth="token")

    given = {"identifier": USER, "secret": "not the password"}
    assert stranger.ask("PUT", f"{at}/credential", given)[0] == 404
    assert owner.ask("PUT", f"{at}/credential", given) == (200, {"version": 1, "kind": "plain"})
    post.until(lambda: owner.ask("GET", at)[1]["state"] == "disabled")
    shown = owner.ask("GET", at)[1]
    assert shown["reason"] == "validation_failed"
    assert shown["note"].startswith("credential_refused: the sink refused the credential")
    assert "CONNACK 0x87, not authorised" in shown["note"]

    assert owner.ask("PUT", f"{at}/credential", given | {"secret": PASSWORD}) == (200, {"version": 2, "kind": "plain"})
    assert owner.ask("POST", f"{at}/resume")[1]["state"] == "pending_validation"
    post.until(lambda: owner.ask("GET", at)[1]["state"] == "enabled")
    subscriber = Subscriber(broker)
    post.publish(3)
    post.until(lambda: len(subscriber.events) == 3)
    assert "webhook-signature" not in subscriber.messages[-1].user_properties  # it has no secret
    assert subscriber.messages[-1].user_properties["webhook-id"].startswith("msg_")
    for answer in (owner.ask("GET", at), owner.ask("GET", f"{at}/secrets"), owner.ask("PUT", at, made)):
        assert PASSWORD not in json.dumps(answer, ensure_ascii=False)
    kept = post.stage.rows("SELECT version, secret FROM subscription_secret ORDER BY version")
    assert (kept[0], len(kept)) == ((1, b""), 2)  # what was replaced is forgotten
    audited = post.stage.rows("SELECT before::text || after::text FROM audit_entry")
    assert [row for row in audited if "password" in row[0] or PASSWORD in row[0]] == []

    elsewhere = made | {"protocolsettings": {"topicname": "others/topic"}}
    assert owner.ask("PUT", at, elsewhere)[1]["state"] == "pending_validation"
    post.until(lambda: owner.ask("GET", at)[1]["state"] == "disabled")
    assert "PUBACK 0x87" in owner.ask("GET", at)[1]["note"]
    subscriber.close()


def test_a_broker_at_an_inner_address_is_sent_nothing(post: Post, broker: Broker) -> None:
    """Loopback is not among the allowed networks here."""
    subscription = subscribe(post, broker)
    post.deliverer(deliver__networks="[]")
    post.publish(1)
    trace = "SELECT outcome, reason, status FROM subscription_attempt WHERE subscription_id = %s ORDER BY id LIMIT 1"
    post.until(lambda: post.stage.rows(trace, subscription) == [("failed", "destination", None)])
    assert "as dujiang" not in (broker.folder / "log").read_text()
