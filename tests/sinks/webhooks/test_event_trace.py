"""A publisher, a subscriber and a stranger follow one event on real services."""

import json
import urllib.parse
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from dujiang.embedded.ports import free_port
from engine.subscriptions import secrets
from gateway.identity import Partner
from gateway.limits import Allowance
from gateway.partners import put
from tests.sinks.webhooks.conftest import ANNOUNCED, Post
from tests.sinks.webhooks.test_partner import Agency, _is_open

pytestmark = pytest.mark.services

SOURCE = "/partners/agency-1"
WORDS = {"title": "关键技术", "programme": "重点研发", "opens_at": "2026-03-02T08:00:00Z", "budget": None}


def call(event_id: str, **changes: Any) -> dict[str, Any]:
    data = WORDS | {"closes_at": "2026-06-01T08:00:00Z"}
    head = {"specversion": "1.0", "id": event_id, "source": SOURCE, "type": ANNOUNCED, "subject": "C-1"}
    return head | {"time": "2026-03-02T08:00:00Z", "data": data} | changes


def trace(agency: Agency, event_id: str, source: str = SOURCE) -> tuple[int, Any]:
    return agency.ask("GET", "/events/trace?" + urllib.parse.urlencode({"source": source, "id": event_id}))


def grant_publish(post: Post, name: str) -> None:
    with psycopg.connect(post.stage.dsn) as connection, connection.cursor() as cursor:
        scopes = ("publish:gov.stiib.*", "subscribe:gov.stiib.*")
        put(cursor, Partner(name, scopes, (f"/partners/{name}",), Allowance(100, 1_000, 10_000)), name, "test", replace=True)


def test_publisher_subscriber_and_stranger_each_see_what_is_theirs(post: Post) -> None:
    answers = [503, 200]
    endpoint = post.endpoint(lambda event: answers.pop(0) if event["id"] == "a-1" else 415)
    port = free_port()
    post.gateway(port, gateway__auth="token")
    post.until(lambda: _is_open(port))
    publisher, subscriber, stranger = (Agency(post, f"agency-{number}", port) for number in (1, 2, 3))
    grant_publish(post, "agency-1")
    body = {"protocol": "HTTP", "sink": endpoint.url, "types": [ANNOUNCED], "filters": [{"prefix": {"id": "a-"}}]}
    made = subscriber.ask("POST", "/subscriptions", body)[1]["id"]
    post.in_transaction(lambda cursor: secrets.add(cursor, made, "v1", endpoint.secret, None, datetime.now(UTC), None))
    post.deliverer(gateway__auth="token")
    post.until(lambda: subscriber.ask("GET", f"/subscriptions/{made}")[1]["state"] == "enabled")

    receipts = {}
    for event_id in ("a-1", "a-2", "b-1"):
        post.until(lambda: publisher.publish(call(event_id))[0] != 403)  # noqa: B023 - the grant is in force within seconds
        [receipts[event_id]] = publisher.publish(call(event_id))[1]["receipts"]
    post.stage.start("calls", "history")
    post.stage.drained("calls", "history")
    post.until(lambda: trace(subscriber, "a-1")[1]["subscriptions"][0]["state"] == "acknowledged")
    post.until(lambda: trace(subscriber, "a-2")[1]["subscriptions"][0]["state"] == "dead_letter")

    _, seen = trace(publisher, "a-1")
    accepted = seen["published"]["accepted"]
    assert {name: accepted[name] for name in ("by", "receipt", "topic", "partition", "offset")} == {
        "by": "gateway",
        **{name: receipts["a-1"][name] for name in ("receipt", "topic", "partition", "offset")},
    }
    assert [(one["step"], one["outcome"]) for one in seen["published"]["processed"]] == [
        ("calls", "handled"),
        ("history", "applied"),
    ]
    assert seen["published"]["delivered"] == {"acknowledged": 1, "retrying": 0, "dead_lettered": 0}
    assert seen["subscriptions"] == []
    assert made not in json.dumps(seen)
    assert trace(publisher, "a-2")[1]["published"]["delivered"] == {"acknowledged": 0, "retrying": 0, "dead_lettered": 1}

    _, seen = trace(subscriber, "a-1")
    assert seen["published"] is None
    [mine] = seen["subscriptions"]
    assert (mine["id"], mine["evaluated"]) == (made, "matched")
    assert [(one["outcome"], one["status"]) for one in mine["attempts"]] == [("failed", 503), ("acknowledged", 200)]
    post.until(lambda: trace(subscriber, "b-1")[1]["subscriptions"][0]["evaluated"] == "not_selected")

    for asker, event_id in ((stranger, "a-1"), (publisher, "a-9"), (subscriber, "a-9")):
        status, problem = trace(asker, event_id)
        assert (status, problem["type"].rpartition(":")[2]) == (404, "event_unknown")
    assert publisher.ask("GET", "/events/trace?id=a-1")[0] == 422


def test_a_rejection_and_a_quarantined_record_are_told_with_their_reason(post: Post) -> None:
    port = free_port()
    post.gateway(port)
    post.until(lambda: _is_open(port))
    owner = Agency(post, "agency-1", port)
    early = WORDS | {"closes_at": "2026-03-01T08:00:00Z"}
    post.stage.send([json.dumps(call("r-1", data=early)).encode()])
    post.stage.send_raw("research.call.event", b"C-1", json.dumps(call("q-1", data={"title": 5})).encode())
    post.stage.start("calls", "history")
    post.stage.drained("calls", "history")

    post.until(lambda: "rejected" in json.dumps(trace(owner, "r-1")[1]))
    post.until(lambda: json.dumps(trace(owner, "q-1")[1]).count("quarantined") == 2)
    told = {one["step"]: one for one in trace(owner, "r-1")[1]["published"]["processed"]}
    assert told["calls"]["reason"] == "closes_before_opening"
    assert told["history"]["outcome"] == "applied"
    _, seen = trace(owner, "q-1")
    assert seen["published"]["accepted"]["by"] == "kafka"
    assert {(one["step"], one["outcome"], one["state"]) for one in seen["published"]["processed"]} == {
        ("calls", "quarantined", "waiting"),
        ("history", "quarantined", "waiting"),
    }
    assert all(one["pointer"].startswith("/data") and one["message"] for one in seen["published"]["processed"])
