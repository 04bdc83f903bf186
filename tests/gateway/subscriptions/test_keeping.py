"""Subscriptions over HTTP: made, shown, changed, paused, ended; each partner its own."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine import audit
from engine.subscriptions import register
from schemas.subscriptions import Order
from tests.conftest import Stage
from tests.gateway.subscriptions.cast import BASIS, Partner
from tests.gateway.subscriptions.memory import ANNOUNCED, SUSPENDED

pytestmark = pytest.mark.services

RIGHTS = ("subscribe:*", "clearance:internal")


@pytest.fixture
def agency(subscribers: Any, directory: Any) -> Partner:
    return Partner(subscribers, directory.register("agency-1", *RIGHTS))


@pytest.fixture
def stranger(subscribers: Any, directory: Any) -> Partner:
    return Partner(subscribers, directory.register("agency-2", *RIGHTS))


def test_a_new_subscription_is_shown_whole_and_says_from_when_it_holds(agency: Partner) -> None:
    made = agency.subscribe(SUSPENDED, filters=[{"prefix": {"subject": "P-"}}], config={"note": "科技处"})
    shown = made.json
    assert (made.status, made.headers["location"], made.headers["etag"]) == (201, f"/subscriptions/{shown['id']}", '"1"')
    assert shown == {
        "id": shown["id"],
        "owner": "agency-1",
        "protocol": "PULL",
        "types": [SUSPENDED],
        "filters": [{"prefix": {"subject": "P-"}}],
        "protocolsettings": {},
        "config": {"note": "科技处"},
        "start": "now",
        **BASIS,
        "state": "enabled",
        "reason": "created",
        "state_by": "partner",
        "state_since": "2026-03-01T08:00:00Z",
        "revision": 1,
        "created_at": "2026-03-01T08:00:00Z",
        "changed_at": "2026-03-01T08:00:00Z",
        "effective_at": "2026-03-01T08:00:01Z",
        "cursor": shown["cursor"],
    }
    assert agency.send("GET", made.headers["location"]).json == shown


def test_a_webhook_waits_for_its_endpoints_consent(agency: Partner) -> None:
    made = agency.subscribe(SUSPENDED, protocol="HTTP", sink="https://agency.example/hook")
    assert (made.status, made.json["state"], made.json["sink"]) == (201, "pending_validation", "https://agency.example/hook")


@pytest.mark.parametrize("sink", ["https://10.0.0.1/hook", "http://agency.example/hook"])
def test_an_endpoint_that_would_get_nothing_is_refused_when_it_is_registered(agency: Partner, sink: str) -> None:
    refused = agency.subscribe(SUSPENDED, protocol="HTTP", sink=sink)
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/sink")
    made = agency.subscribe(SUSPENDED, protocol="HTTP", sink="https://agency.example/hook").json
    assert agency.send("PUT", f"/subscriptions/{made['id']}", {**made, "sink": sink}).status == 422
    assert agency.send("GET", f"/subscriptions/{made['id']}").json["sink"] == "https://agency.example/hook"


def test_a_list_goes_on_behind_its_last(agency: Partner) -> None:
    made = sorted(agency.subscribe(SUSPENDED).json["id"] for _ in range(3))
    first = agency.send("GET", "/subscriptions?limit=2").json
    rest = agency.send("GET", f"/subscriptions?limit=2&after={first['next']}").json
    assert [one["id"] for one in first["subscriptions"]] + [one["id"] for one in rest["subscriptions"]] == made
    assert "next" not in rest


def test_a_strangers_subscription_is_not_there(agency: Partner, stranger: Partner) -> None:
    path = f"/subscriptions/{agency.subscribe(SUSPENDED).json['id']}"
    body = {"protocol": "PULL", "types": [ANNOUNCED]}
    asked = [("GET", path), ("DELETE", path), ("POST", f"{path}/pause"), ("POST", f"{path}/resume"), ("PUT", path)]
    asked += [("GET", f"{path}/events"), ("GET", f"{path}/stream")]
    answers = [stranger.send(method, where, body if method == "PUT" else None) for method, where in asked]
    assert [answer.kind for answer in answers] == ["subscription_unknown"] * len(asked)
    assert stranger.send("GET", "/subscriptions").json == {"subscriptions": []}
    assert agency.send("GET", path).json["revision"] == 1


def test_a_change_raises_the_revision_and_a_stale_one_is_refused(agency: Partner) -> None:
    path = f"/subscriptions/{agency.subscribe(SUSPENDED).json['id']}"
    body = {"protocol": "PULL", "types": [SUSPENDED, ANNOUNCED]} | BASIS
    changed = agency.send("PUT", path, body, if_match='"1"')
    assert (changed.status, changed.json["types"], changed.headers["etag"]) == (200, [SUSPENDED, ANNOUNCED], '"2"')
    assert agency.send("PUT", path, body, if_match='"1"').kind == "revision_outdated"
    assert agency.send("PUT", path, body | {"protocol": "SSE"}).kind == "protocol_fixed"


def test_what_was_got_can_be_put_back_and_changes_nothing(agency: Partner) -> None:
    made = agency.subscribe(SUSPENDED, start="2026-02-01T00:00:00Z", expires_at="2026-12-31T00:00:00Z").json
    assert agency.send("PUT", f"/subscriptions/{made['id']}", made).json["revision"] == 1


def test_pause_and_resume_say_so_and_their_repeats_change_nothing(agency: Partner) -> None:
    path = f"/subscriptions/{agency.subscribe(SUSPENDED).json['id']}"
    told = [agency.send("POST", f"{path}/{order}").json for order in ("pause", "pause", "resume", "resume")]
    assert [(one["state"], one["reason"], one["revision"]) for one in told] == [
        ("paused", "paused", 2),
        ("paused", "paused", 2),
        ("enabled", "resumed", 3),
        ("enabled", "resumed", 3),
    ]


def test_what_an_operator_holds_its_partner_cannot_resume(agency: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    stage.execute("UPDATE subscription SET state = 'disabled', state_by = 'operator', state_note = '核查中'")
    answer = agency.send("POST", f"/subscriptions/{made}/resume")
    assert (answer.status, answer.kind, answer.json["state"]) == (403, "held_by_operator", "disabled")
    assert agency.send("GET", f"/subscriptions/{made}").json["note"] == "核查中"


def test_an_expired_subscription_goes_on_with_more_time(agency: Partner) -> None:
    made = agency.subscribe(SUSPENDED, expires_at="2026-03-01T09:00:00Z").json
    agency.gateway.clock.advance(3_600)
    path = f"/subscriptions/{made['id']}"
    assert agency.send("GET", path).json["state"] == "expired"
    refused = agency.pull(made["id"])
    assert (refused.kind, refused.json["state"], refused.json["state_reason"]) == (
        "subscription_not_enabled",
        "expired",
        "expired",
    )
    assert agency.send("POST", f"{path}/resume").kind == "state_conflict"
    longer = {"protocol": "PULL", "types": [SUSPENDED], "expires_at": "2026-04-01T00:00:00Z"} | BASIS
    assert agency.send("PUT", path, longer).json["state"] == "enabled"
    assert agency.pull(made["id"]).status == 200


def test_an_expiry_in_the_past_is_refused(agency: Partner) -> None:
    refused = agency.subscribe(SUSPENDED, expires_at="2026-03-01T08:00:00Z")
    assert (refused.kind, refused.faults) == ("subscription_invalid", [("/expires_at", "expiry_past")])


def test_after_its_end_nothing_is_left_of_it(agency: Partner) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    ended = agency.send("DELETE", f"/subscriptions/{made}")
    assert (ended.status, ended.body) == (204, b"")
    assert agency.send("DELETE", f"/subscriptions/{made}").kind == "subscription_unknown"
    assert agency.pull(made).kind == "subscription_unknown"


def test_there_are_only_so_many(agency: Partner, stranger: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.subscriptions.store.SUBSCRIPTIONS_OF_OWNER_MAX", 2)
    assert [agency.subscribe(ANNOUNCED).status for _ in range(3)] == [201, 201, 409]
    assert stranger.subscribe(ANNOUNCED).status == 201


def test_a_body_that_is_too_large_is_refused(agency: Partner) -> None:
    assert agency.subscribe(ANNOUNCED, config={"note": "x" * 70_000}).kind == "content_too_large"


def test_refusals_speak_chinese_too(agency: Partner) -> None:
    refused = agency.send("POST", "/subscriptions", {"protocol": "PULL", "filter": []}, accept_language="zh-CN")
    assert refused.json["errors"] == [{"detail": "没有该成员，请核对名称", "pointer": "/filter", "reason": "extra_forbidden"}]


@pytest.mark.parametrize("scopes", [("publish:*",), ("clearance:restricted", "call:/subscriptions*")])
def test_a_token_without_any_subscribe_right_gets_nowhere(subscribers: Any, directory: Any, scopes: tuple[str, ...]) -> None:
    nobody = Partner(subscribers, directory.register("agency-3", *scopes))
    assert [nobody.send("GET", "/subscriptions").kind, nobody.subscribe(ANNOUNCED).kind] == ["subscribe_right_missing"] * 2


def test_without_a_token_nothing_is_told(subscribers: Any) -> None:
    assert Partner(subscribers, None).send("GET", "/subscriptions").kind == "token_missing"


def test_what_an_operator_does_is_a_notice_of_its_owner_alone(agency: Partner, stranger: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    agency.send("POST", f"/subscriptions/{made}/pause")
    agency.send("POST", f"/subscriptions/{made}/resume")
    assert agency.send("GET", "/subscriptions/notices").json == {"events": [], "next": "0.0"}
    with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
        audit.act_as(cursor, audit.by_operator("agency-1"))  # whatever an operator is called
        order = Order("disable", "disabled", "operator", "用途已终止")
        register.move(cursor, UUID(made), order, datetime.now(UTC))
    page = agency.send("GET", "/subscriptions/notices").json
    [event] = page["events"]
    assert (event["type"], event["subject"]) == ("gov.stiib.platform.subscription.disabled.v1", made)
    assert event["data"] == {
        "state": "disabled",
        "reason": "disabled",
        "by": "operator",
        "note": "用途已终止",
        "revision": 4,
    }
    assert agency.send("GET", f"/subscriptions/notices?after={page['next']}").json["events"] == []
    assert stranger.send("GET", "/subscriptions/notices").json["events"] == []
    assert agency.send("GET", "/subscriptions/notices?after=x").kind == "request_invalid"
