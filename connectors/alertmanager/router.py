"""`POST /hooks/alertmanager/{name}`: what the gateway mounts. An answer of 200 means: acknowledged by Kafka."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from connectors.alertmanager import mapping
from connectors.alertmanager.settings import AlertmanagerSettings
from connectors.files import Unreadable, json_object
from engine.clock import Clock
from engine.errors import EnvironmentFault, TransientFault
from engine.filedrop import Finding, Mapped, Refused, Unusable, finding_fact, finding_of, message_of
from engine.kafka import Message
from monitoring.metrics import AlertmanagerMetrics
from schemas.cloudevents import CloudEventError
from schemas.registry import ContractError, Registry

Publish = Callable[[list[Message]], Awaitable[None]]
PROBLEM = "application/problem+json"
TOO_LARGE = "body_too_large"
TYPE_BASE = "urn:dujiang:problem:alertmanager:"

_PROBLEM_CONTENT: dict[str, Any] = {
    PROBLEM: {"schema": {"type": "object", "required": ["type", "title", "status", "detail", "errors"]}}
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Every alert is in Kafka, or refused for good: then a finding says why."},
    400: {"description": "The body is no JSON object in UTF-8.", "content": _PROBLEM_CONTENT},
    404: {"description": "The monitor's name is not well formed.", "content": _PROBLEM_CONTENT},
    413: {"description": "The body is too large.", "content": _PROBLEM_CONTENT},
    422: {"description": "The body is no webhook of version 4.", "content": _PROBLEM_CONTENT},
    503: {"description": "Kafka cannot be written to; Alertmanager sends it again.", "content": _PROBLEM_CONTENT},
}
_REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["version", "alerts"],
                "properties": {"version": {"const": "4"}, "alerts": {"type": "array", "minItems": 1}},
            }
        }
    },
}


def router(
    publish: Publish, registry: Registry, settings: AlertmanagerSettings, clock: Clock, metrics: AlertmanagerMetrics
) -> APIRouter:
    """`publish` sends all and waits for the acknowledgements. Its TransientFault and EnvironmentFault become 503.

    On a 503 Alertmanager sends the body again; what was published already comes again as evidence of the same state.
    """
    routes = APIRouter(tags=["hooks"])

    @routes.post(
        "/hooks/alertmanager/{name}",
        summary="Alertmanager's webhook, version 4",
        responses=_RESPONSES,
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    async def receive(name: str, request: Request) -> JSONResponse:
        if not mapping.MONITOR.match(name):
            return refused(404, "monitor_name_invalid", "a monitor's name has 1 to 63 of a-z, 0-9 and -")
        text = await _text(request, settings.body_bytes_max)
        if isinstance(text, Unreadable):
            return refused(413 if text.reason == TOO_LARGE else 400, text.reason, text.message)
        body = json_object(text, line_bytes_max=settings.body_bytes_max)
        if isinstance(body, Unreadable):
            return refused(400, body.reason, f"the body: {body.message}")
        received_at = clock.now()
        try:
            answers = mapping.alerts(body, name, received_at, settings)
        except Unusable as fault:
            return refused(422, fault.reason, str(fault), fault.pointer)
        delivery = _Delivery(registry, name)
        for index, answer in enumerate(answers):
            delivery.add(index, answer, received_at)
        try:
            await publish(delivery.messages)
        except (TransientFault, EnvironmentFault):
            detail = "the event log cannot be written to just now; send the body again"
            return refused(503, "unavailable", detail, headers={"Retry-After": str(settings.retry_after_s)})
        metrics.accepted.inc(delivery.accepted)
        for alert in delivery.refused:
            metrics.refused.labels(alert["reason"]).inc()
        return JSONResponse({"accepted": delivery.accepted, "refused": delivery.refused})

    def refused(
        status: int, reason: str, detail: str, pointer: str = "", headers: dict[str, str] | None = None
    ) -> JSONResponse:
        metrics.refused_bodies.labels(reason).inc()
        return _problem(status, reason, detail, pointer, headers)

    return routes


class _Delivery:
    """A body's alerts as messages; two of the same word in one body are one."""

    def __init__(self, registry: Registry, monitor: str) -> None:
        self._registry, self._monitor = registry, monitor
        self._ids: set[str] = set()
        self.accepted = 0
        self.messages: list[Message] = []
        self.refused: list[dict[str, Any]] = []

    def add(self, index: int, answer: Mapped | Refused, time: datetime) -> None:
        if isinstance(answer, Mapped):
            self._accept(index, answer, time)
        else:
            self._refuse(index, answer, time)

    def _accept(self, index: int, mapped: Mapped, time: datetime) -> None:
        try:
            messages = [message_of(self._registry, fact) for fact in mapped.facts]
        except (ContractError, CloudEventError) as error:
            refused = Refused("contract_invalid", str(error), error.pointer, key=mapped.facts[0].key)
            self._refuse(index, refused, time)
            return
        self.accepted += 1
        if mapped.key not in self._ids:
            self._ids.add(mapped.key)
            self.messages += messages
            self._find(mapped.findings, mapped.facts[0].key, time)

    def _refuse(self, index: int, refused: Refused, time: datetime) -> None:
        told = {"reason": refused.reason, "pointer": refused.pointer, "message": refused.message}
        self.refused.append({"alert": index, **told})
        self._find((finding_of(refused), *refused.findings), refused.key or f"{self._monitor}/alert", time)

    def _find(self, findings: Sequence[Finding], subject: str, time: datetime) -> None:
        facts = (finding_fact(finding, mapping.SOURCE, subject, time) for finding in findings)
        self.messages += [message_of(self._registry, fact) for fact in facts]


async def _text(request: Request, bytes_max: int) -> str | Unreadable:
    """The body, read no further than the limit."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > bytes_max:
            return Unreadable(TOO_LARGE, f"the body has more than {bytes_max} bytes; set max_alerts or group_by")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Unreadable("encoding_invalid", "the body is not UTF-8")


def _problem(status: int, reason: str, detail: str, pointer: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """RFC 9457, with the members of the gateway's other problems."""
    errors = [{"detail": detail, "pointer": pointer, "reason": reason}]
    title = HTTPStatus(status).phrase
    problem = {"type": f"{TYPE_BASE}{reason}", "title": title, "status": status, "detail": detail, "errors": errors}
    return JSONResponse(problem, status, headers, PROBLEM)
