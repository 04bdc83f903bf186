"""A gateway that asks who is there: 401, 403, 429, and what is open to all."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from engine.errors import EnvironmentFault, TransientFault
from gateway.identity import new_token
from gateway.limits import Allowance

BATCH = "application/cloudevents-batch+json"
PUBLISH = "publish:gov.stiib.research.*"
Event = Callable[..., dict[str, Any]]


@pytest.fixture
def token(directory: Any) -> str:
    """Of the institute that the events are from."""
    made: str = directory.register("institute-7", PUBLISH)
    return made


def bearer(token: str) -> str:
    return f"Bearer {token}"


class TestWhoAsks:
    def test_partner_publishes(self, guarded: Any, token: str, event: Event) -> None:
        answer = guarded.post(event(), authorization=bearer(token))
        assert answer.status == 202
        assert len(guarded.publisher.records) == 1

    def test_request_without_token_is_401_and_told_how_to_ask(self, guarded: Any, event: Event) -> None:
        answer = guarded.post(event())
        assert (answer.status, answer.kind, answer.headers["www-authenticate"]) == (
            401,
            "token_missing",
            'Bearer realm="dujiang"',
        )
        assert guarded.publisher.records == []

    def test_unknown_token_is_401(self, guarded: Any, event: Event) -> None:
        answer = guarded.post(event(), authorization=bearer(new_token()))
        assert (answer.status, answer.kind) == (401, "token_invalid")
        assert answer.headers["www-authenticate"] == 'Bearer realm="dujiang", error="invalid_token"'
        assert guarded.publisher.records == []

    def test_refusal_speaks_chinese_too(self, guarded: Any, event: Event) -> None:
        assert guarded.post(event(), accept_language="zh").json["title"] == "请求未携带令牌"

    def test_refusal_can_be_read_whatever_the_size_of_the_body(self, guarded: Any) -> None:
        assert guarded.post(b" " * 8_000_000, BATCH).kind == "token_missing"

    def test_token_in_the_address_is_not_looked_at(self, guarded: Any, token: str) -> None:
        answer = guarded.request("POST", f"/events?access_token={token}", b"{}", {"content-type": BATCH})
        assert (answer.status, answer.kind) == (401, "token_missing")

    def test_every_host_name_will_do(self, guarded: Any, token: str, event: Event) -> None:
        assert guarded.post(event(), authorization=bearer(token), host="gateway.bureau.example").status == 202

    @pytest.mark.parametrize(
        "fault", [TransientFault("PostgreSQL: no-such-host"), EnvironmentFault("PostgreSQL: user svc-dujiang", "look")]
    )
    def test_nobody_passes_while_identities_cannot_be_read(
        self, guarded: Any, directory: Any, token: str, event: Event, fault: Exception
    ) -> None:
        directory.fault = fault
        answer = guarded.post(event(), authorization=bearer(token))
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (503, "store_away", "5")
        assert b"PostgreSQL:" not in answer.body
        assert guarded.publisher.records == []


class TestRights:
    def test_type_that_is_not_granted_is_403(self, guarded: Any, directory: Any, event: Event) -> None:
        token = directory.register("institute-7", "publish:gov.stiib.infra.*")
        answer = guarded.post(event(), authorization=bearer(token))
        assert (answer.status, answer.kind, answer.faults) == (403, "right_missing", [("/type", "type_not_granted")])
        assert answer.headers["www-authenticate"] == 'Bearer realm="dujiang", error="insufficient_scope"'
        assert guarded.publisher.records == []

    def test_source_of_another_is_403(self, guarded: Any, token: str, event: Event) -> None:
        answer = guarded.post(event(source="/partners/institute-70"), authorization=bearer(token))
        assert (answer.status, answer.kind, answer.faults) == (403, "right_missing", [("/source", "source_not_granted")])
        assert guarded.publisher.records == []

    def test_right_to_subscribe_is_none_to_publish(self, guarded: Any, directory: Any, event: Event) -> None:
        token = directory.register("institute-7", "subscribe:*")
        assert guarded.post(event(), authorization=bearer(token)).status == 403

    def test_source_that_climbs_out_of_its_own_tree_is_403(self, guarded: Any, token: str, event: Event) -> None:
        answer = guarded.post(event(source="/partners/institute-7/%2e%2e/institute-8"), authorization=bearer(token))
        assert (answer.status, answer.kind, answer.faults) == (403, "right_missing", [("/source", "source_not_granted")])
        assert guarded.publisher.records == []

    def test_what_breaks_and_what_is_not_granted_is_named_at_once(self, guarded: Any, token: str, event: Event) -> None:
        batch = [
            event(id="1", data={"reason": 7}),
            event(id="2", source="/partners/institute-8"),
            event(id="3"),
            event(id="4", source="/partners/institute-8", time=None),
            event(id="5", type="gov.stiib.nothing.v1"),
        ]
        answer = guarded.post(batch, BATCH, authorization=bearer(token))
        assert (answer.status, answer.kind) == (422, "batch_invalid")
        assert answer.json["detail"] == "4 of 5 events are refused, so none was written"
        named = [
            ("/0/data/reason", "data_invalid"),
            ("/1/source", "source_not_granted"),
            ("/3/time", "time_missing"),
            ("/3/source", "source_not_granted"),
            ("/4/type", "type_unknown"),
        ]
        assert answer.faults == named
        beside = guarded.post([*batch, event(id=None, source="/partners/institute-8")], BATCH, authorization=bearer(token))
        assert beside.faults == [*named, ("/5/id", "missing_attribute")]
        assert guarded.publisher.records == []

    def test_one_event_that_breaks_and_is_not_granted_says_both(self, guarded: Any, token: str, event: Event) -> None:
        answer = guarded.post(event(source="/partners/institute-8", time=None), authorization=bearer(token))
        assert (answer.status, answer.kind) == (422, "contract_broken")
        assert answer.faults == [("/time", "time_missing"), ("/source", "source_not_granted")]

    def test_one_ungranted_event_keeps_the_batch_out(self, guarded: Any, token: str, event: Event) -> None:
        batch = [event(id="1"), event(id="2", source="/partners/institute-8"), event(id="3")]
        answer = guarded.post(batch, BATCH, authorization=bearer(token))
        assert (answer.status, answer.faults) == (403, [("/1/source", "source_not_granted")])
        assert guarded.publisher.records == []

    def test_rights_are_looked_at_on_every_request(self, guarded: Any, directory: Any, token: str, event: Event) -> None:
        assert guarded.post(event(id="1"), authorization=bearer(token)).status == 202
        directory.register("institute-7", "publish:gov.stiib.infra.*", token=token)
        assert guarded.post(event(id="2"), authorization=bearer(token)).status == 403
        directory.known.clear()
        assert guarded.post(event(id="3"), authorization=bearer(token)).status == 401


class TestFairUse:
    def test_every_answer_says_what_is_left(self, guarded: Any, directory: Any, event: Event) -> None:
        token = directory.register("institute-7", PUBLISH, allowance=Allowance(1, 10, 100))
        accepted = guarded.post([event(id="1"), event(id="2")], BATCH, authorization=bearer(token))
        assert accepted.headers["ratelimit-policy"] == '"rate";q=10;w=10, "day";q=100;w=86400'
        assert accepted.headers["ratelimit"] == '"rate";r=8;t=2, "day";r=98;t=57600'
        refused = guarded.post(event(type="x"), authorization=bearer(token))
        assert (refused.status, refused.headers["ratelimit"]) == (422, '"rate";r=7;t=3, "day";r=98;t=57600')

    def test_too_fast_is_429_until_the_time_that_retry_after_says(self, guarded: Any, directory: Any, event: Event) -> None:
        token = directory.register("institute-7", PUBLISH, allowance=Allowance(1, 2, 100))
        statuses = [guarded.post(event(id=str(number)), authorization=bearer(token)).status for number in range(2)]
        answer = guarded.post(event(id="late"), authorization=bearer(token))
        assert statuses == [202, 202]
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (429, "rate_exceeded", "1")
        assert answer.headers["ratelimit"].startswith('"rate";r=0;t=2,')
        assert len(guarded.publisher.records) == 2
        guarded.clock.advance(1)
        assert guarded.post(event(id="late"), authorization=bearer(token)).status == 202

    def test_quota_of_the_day_is_429_of_its_own_kind(self, guarded: Any, directory: Any, event: Event) -> None:
        token = directory.register("institute-7", PUBLISH, allowance=Allowance(1_000, 1_000, 1))
        assert guarded.post(event(id="1"), authorization=bearer(token)).status == 202
        answer = guarded.post(event(id="2"), authorization=bearer(token))
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (429, "quota_exceeded", "57600")
        assert len(guarded.publisher.records) == 1

    def test_one_partner_does_not_use_up_anothers(self, guarded: Any, directory: Any, event: Event) -> None:
        first = directory.register("institute-7", PUBLISH, allowance=Allowance(1, 1, 100))
        second = directory.register("institute-8", PUBLISH, allowance=Allowance(1, 1, 100))
        assert guarded.post(event(), authorization=bearer(first)).status == 202
        assert guarded.post(event(id="2"), authorization=bearer(first)).status == 429
        other = event(source="/partners/institute-8")
        assert guarded.post(other, authorization=bearer(second)).status == 202


class TestOtherPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/health/live",
            "/health/ready",
            "/problems",
            "/problems/token_missing",
            "/openapi.json",
            "/asyncapi.json",
            "/types",
            "/schemas/gov.stiib.research.project.contracted.v1/1",
            "/registry",
        ],
    )
    def test_description_and_health_are_open(self, guarded: Any, path: str) -> None:
        assert guarded.get(path).status == 200

    @pytest.mark.parametrize("path", ["/metrics", "/nothing", "/events", "/"])
    def test_everything_else_is_closed(self, guarded: Any, path: str) -> None:
        assert (guarded.get(path).status, guarded.get(path).kind) == (401, "token_missing")

    def test_open_path_is_open_for_reading_only(self, guarded: Any) -> None:
        assert guarded.request("POST", "/problems").status == 401

    def test_metrics_are_for_whom_they_were_granted(self, guarded: Any, directory: Any, token: str) -> None:
        watcher = directory.register("grafana", "call:/metrics")
        assert guarded.get("/metrics", authorization=bearer(token)).status == 403
        assert guarded.get("/metrics", authorization=bearer(watcher)).status == 200

    def test_webhook_is_for_the_monitor_that_it_was_granted(
        self, serve_gateway: Callable[..., Any], fake_publisher: Any, directory: Any, token: str
    ) -> None:
        router = APIRouter()

        @router.post("/hooks/alertmanager/{name}")
        async def hook(name: str) -> dict[str, str]:
            return {"name": name}

        gateway = serve_gateway(fake_publisher, directory=directory, routers=[router])
        monitor = directory.register("hall-1", "call:/hooks/alertmanager/hall-1")

        def status(path: str, **headers: str) -> int:
            return int(gateway.request("POST", path, headers=headers).status)

        assert status("/hooks/alertmanager/hall-1") == 401
        assert status("/hooks/alertmanager/hall-1", authorization=bearer(token)) == 403
        assert status("/hooks/alertmanager/hall-2", authorization=bearer(monitor)) == 403
        assert status("/hooks/alertmanager/hall-1", authorization=bearer(monitor)) == 200


class TestHeard:
    """Whose events were taken was heard of, by whatever way they came."""

    @pytest.fixture
    def heard(self) -> list[str]:
        return []

    @pytest.fixture
    def gateway(self, serve_gateway: Callable[..., Any], fake_publisher: Any, directory: Any, heard: list[str]) -> Any:
        router = APIRouter()

        @router.post("/hooks/alertmanager/hall-1")
        async def hook() -> dict[str, str]:
            return {}

        hearing = SimpleNamespace(hear=heard.append)
        return serve_gateway(fake_publisher, directory=directory, routers=[router], hearing=hearing)

    def test_event_batch_and_webhook_are_signs_of_life(
        self, gateway: Any, directory: Any, token: str, event: Event, heard: list[str]
    ) -> None:
        assert gateway.post(event(), authorization=bearer(token)).status == 202
        assert gateway.post([event(id="1"), event(id="2")], BATCH, authorization=bearer(token)).status == 202
        monitor = directory.register("hall-1", "call:/hooks/alertmanager/hall-1")
        hook = gateway.request("POST", "/hooks/alertmanager/hall-1", headers={"authorization": bearer(monitor)})
        assert hook.status == 200
        assert heard == ["institute-7", "institute-7", "hall-1"]

    def test_what_was_taken_only_in_part_is_one(
        self, gateway: Any, fake_publisher: Any, token: str, event: Event, heard: list[str]
    ) -> None:
        fake_publisher.faults[b"P-2"] = TransientFault("away")
        batch = [event(id="1", subject="P-1"), event(id="2", subject="P-2")]
        assert gateway.post(batch, BATCH, authorization=bearer(token)).status == 207
        assert heard == ["institute-7"]

    def test_what_was_refused_or_brought_nothing_is_none(
        self, gateway: Any, fake_publisher: Any, directory: Any, token: str, event: Event, heard: list[str]
    ) -> None:
        assert gateway.post(event(type="x"), authorization=bearer(token)).status == 422
        assert gateway.post(event(source="/partners/x"), authorization=bearer(token)).status == 403
        assert gateway.post(event()).status == 401
        fake_publisher.every_fault = TransientFault("away")
        assert gateway.post(event(), authorization=bearer(token)).status == 503
        reader = directory.register("reader", "call:/metrics")
        assert gateway.request("GET", "/metrics", headers={"authorization": bearer(reader)}).status == 200
        assert heard == []


class TestAccount:
    def test_log_names_the_partner_and_nothing_of_the_token(self, guarded: Any, token: str, event: Event) -> None:
        unknown = new_token()
        with capture_logs(processors=(merge_contextvars,)) as lines:
            guarded.post(event(), authorization=bearer(token))
            guarded.post(event(source="/partners/x"), authorization=bearer(token))
            guarded.post(event(), authorization=bearer(unknown))
            guarded.post(event(), authorization=f"Basic {token}")
            guarded.post(event(), authorization=bearer(token), idempotency_key='""')
        assert [(line["problem"], line.get("partner")) for line in lines] == [
            ("right_missing", "institute-7"),
            ("token_invalid", None),
            ("token_invalid", None),
            ("idempotency_key_invalid", "institute-7"),
        ]
        # Not even the part of a token that people call it by.
        assert token[:11] not in repr(lines)
        assert unknown[:11] not in repr(lines)

    def test_refusals_are_counted(self, guarded: Any, directory: Any, token: str, event: Event) -> None:
        watcher = directory.register("grafana", "call:/metrics")
        guarded.post(event())
        guarded.post([event(source="/x"), event(id="2")], BATCH, authorization=bearer(token))
        lines = guarded.get("/metrics", authorization=bearer(watcher)).body.decode().splitlines()
        assert 'dujiang_gateway_refused_events_total{reason="token_missing"} 1.0' in lines
        assert 'dujiang_gateway_refused_events_total{reason="right_missing"} 2.0' in lines
