"""Is the gateway alive, can it publish, what has it counted: for supervisors, load balancers and Prometheus."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import JSONResponse, Response

from engine.clock import Clock
from engine.options import KafkaOptions
from engine.reach import Reach, untold
from gateway.publisher import RecordPublisher

PROBE_EVERY_S = 2.0
PROBE_TIMEOUT_S = 2.0
ANSWERED_WITHIN_S = 10.0


class Health(Protocol):
    """Something whose state decides whether the gateway should get requests."""

    def reasons(self) -> Sequence[str]:
        """Why not, in words for an operator; empty when all is well."""
        ...


class BrokerHealth:
    """Asks Kafka for a sign of life every few seconds, in a thread of its own. Use as a context manager."""

    def __init__(self, options: KafkaOptions, clock: Clock, reach: Reach = untold) -> None:
        self._admin = AdminClient(
            {
                "bootstrap.servers": options.bootstrap,
                "client.id": f"{options.client_id}-health",
                "log_level": 0,
                **options.security,
            }
        )
        self._clock = clock
        self._reach = reach
        self._answered_s: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._probe_until_stopped, name="gateway-health", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    def reasons(self) -> Sequence[str]:
        """Not ready before the first answer, nor ANSWERED_WITHIN_S after the last."""
        if self._answered_s is None:
            return ["Kafka has not answered yet"]
        silent_s = self._clock.monotonic_s() - self._answered_s
        return [] if silent_s <= ANSWERED_WITHIN_S else [f"Kafka has not answered for {silent_s:.0f} s"]

    def _probe_until_stopped(self) -> None:
        while not self._stopping.is_set():
            has_answered = self._answers()
            self._reach(has_answered)
            if has_answered:
                self._answered_s = self._clock.monotonic_s()
            self._stopping.wait(PROBE_EVERY_S)

    def _answers(self) -> bool:
        try:
            self._admin.describe_cluster(request_timeout=PROBE_TIMEOUT_S).result()
        except KafkaException:
            return False
        return True


def install(app: FastAPI, *, health: Health, publisher: RecordPublisher, prometheus: CollectorRegistry) -> None:
    """The three addresses."""

    @app.get(
        "/health/live",
        tags=["health"],
        summary="Is the process able to go on",
        responses={200: {"description": "it is"}, 503: {"description": "start it anew; `reasons` says why"}},
    )
    async def live() -> Response:
        failure = publisher.failure()
        return _state("live", [] if failure is None else [failure])

    @app.get(
        "/health/ready",
        tags=["health"],
        summary="Can events be published now",
        responses={200: {"description": "they can"}, 503: {"description": "not now; `reasons` says why"}},
    )
    async def ready() -> Response:
        failure = publisher.failure()
        return _state("ready", [*([] if failure is None else [failure]), *health.reasons()])

    @app.get(
        "/metrics",
        tags=["health"],
        summary="Prometheus metrics",
        responses={200: {"description": "text exposition format", "content": {"text/plain": {}}}},
        response_class=Response,
    )
    async def metrics() -> Response:
        return Response(generate_latest(prometheus), headers={"content-type": CONTENT_TYPE_LATEST})


def _state(name: str, reasons: Sequence[str]) -> Response:
    if reasons:
        return JSONResponse({"status": f"not {name}", "reasons": list(reasons)}, 503, {"cache-control": "no-store"})
    return JSONResponse({"status": name, "reasons": []}, headers={"cache-control": "no-store"})
