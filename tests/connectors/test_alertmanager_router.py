"""The webhook as the gateway serves it, called as an ASGI application."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from connectors.alertmanager.router import router
from connectors.alertmanager.settings import AlertmanagerSettings
from engine.clock import FakeClock
from engine.errors import EnvironmentFault, TransientFault
from engine.kafka import Message
from monitoring.metrics import AlertmanagerMetrics
from schemas.catalogue import default_registry
from schemas.cloudevents import kafka_binding

ALERT = {
    "status": "firing",
    "labels": {"alertname": "PumpStopped", "severity": "critical"},
    "annotations": {},
    "startsAt": "2026-03-01T11:59:30Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "aa",
}


class Hook:
    """The mounted router, and what it published."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.messages: list[Message] = []
        self._fault = fault
        self._app = FastAPI()
        settings = AlertmanagerSettings(body_bytes_max=2_000)
        clock = FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
        self.prometheus = CollectorRegistry()
        hooks = router(self._publish, default_registry(), settings, clock, AlertmanagerMetrics(self.prometheus))
        self._app.include_router(hooks)

    async def _publish(self, messages: list[Message]) -> None:
        if self._fault is not None:
            raise self._fault
        self.messages += messages

    def post(self, body: Any, name: str = "weir-1") -> tuple[int, dict[str, Any], dict[str, str]]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        path = f"/hooks/alertmanager/{name}"
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [], "asgi": {}}
        asyncio.run(self._app(scope, receive, send))  # type: ignore[arg-type]
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return sent[0]["status"], json.loads(sent[1]["body"]), headers

    def counted(self, name: str, **labels: str) -> float | None:
        return self.prometheus.get_sample_value(f"dujiang_alertmanager_{name}_total", labels)

    @property
    def subjects(self) -> list[tuple[str, str | None]]:
        events = (kafka_binding.decode(message.headers, message.value) for message in self.messages)
        return [(event.type.removeprefix("gov.stiib."), event.subject) for event in events]


def body(*alerts: Any) -> dict[str, Any]:
    return {"version": "4", "truncatedAlerts": 0, "groupKey": "g", "alerts": list(alerts)}


def test_alerts_are_published_before_the_answer() -> None:
    hook = Hook()
    status, answer, _ = hook.post(body(ALERT, ALERT, ALERT | {"fingerprint": "bb"}))
    assert (status, answer) == (200, {"accepted": 3, "refused": []})
    assert hook.subjects == [("infra.monitor.received.v1", "weir-1/aa"), ("infra.monitor.received.v1", "weir-1/bb")]
    assert hook.counted("accepted_alerts") == 3


def test_broken_alert_is_named_and_the_others_are_published() -> None:
    hook = Hook()
    nul = ALERT | {"annotations": {"summary": "a\x00b"}}
    status, answer, _ = hook.post(body(ALERT | {"status": "odd"}, nul, ALERT))
    assert (status, answer["accepted"]) == (200, 1)
    assert [(each["alert"], each["reason"], each["pointer"]) for each in answer["refused"]] == [
        (0, "status_unknown", "/alerts/0/status"),
        (1, "contract_invalid", "/data/title"),
    ]
    reasons = ("status_unknown", "contract_invalid")
    assert [hook.counted("refused_alerts", reason=reason) for reason in reasons] == [1, 1]
    assert hook.subjects == [
        ("platform.finding.reported.v1", "weir-1/aa"),
        ("platform.finding.reported.v1", "weir-1/aa"),
        ("infra.monitor.received.v1", "weir-1/aa"),
    ]


@pytest.mark.parametrize(
    ("raw", "name", "status", "reason"),
    [
        (b"{", "weir-1", 400, "json_invalid"),
        (b"\xff", "weir-1", 400, "encoding_invalid"),
        (b"[]", "weir-1", 400, "not_an_object"),
        (b"{}", "weir-1", 422, "version_unsupported"),
        (b'{"version": "4"}', "weir-1", 422, "alerts_missing"),
        (b" " * 2_001, "weir-1", 413, "body_too_large"),
        (b"{}", "Weir", 404, "monitor_name_invalid"),
        (b"{}", "w" * 64, 404, "monitor_name_invalid"),
    ],
)
def test_unreadable_body_gets_a_problem_and_nothing_else(raw: bytes, name: str, status: int, reason: str) -> None:
    hook = Hook()
    given, problem, headers = hook.post(raw, name)
    assert (given, problem["status"], problem["errors"][0]["reason"]) == (status, status, reason)
    assert headers["content-type"] == "application/problem+json"
    assert hook.messages == []
    assert hook.counted("refused_bodies", reason=reason) == 1


@pytest.mark.parametrize("fault", [TransientFault("away"), EnvironmentFault("denied", "grant it")])
def test_monitor_is_asked_to_send_again_while_kafka_cannot_be_written_to(fault: Exception) -> None:
    hook = Hook(fault)
    status, problem, headers = hook.post(body(ALERT))
    assert (status, headers["retry-after"]) == (503, "10")
    assert "send the body again" in problem["detail"]
    assert (hook.counted("accepted_alerts"), hook.counted("refused_bodies", reason="unavailable")) == (0, 1)
