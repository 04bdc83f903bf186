"""The gateway as one ASGI application: `dujiang/` hands in what it stands on and the routers of HTTP connectors."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.routing import Route

from engine.clock import Clock
from gateway import contracts, openapi, problems
from gateway import health as health_routes
from gateway.attributes import DOCUMENTED
from gateway.body import BodyReader
from gateway.directory import Directory
from gateway.front import LOOPBACK_HOSTS, Front
from gateway.guard import Guard
from gateway.health import Health
from gateway.hearing import Hearing
from gateway.limits import Meters
from gateway.metrics import GatewayMetrics, NoMetrics
from gateway.problems import DEFAULT_BASE, ProblemWriter
from gateway.publish import PATH, PublishEndpoint
from gateway.publisher import RecordPublisher
from gateway.receipts import Receipts
from gateway.refusals import Refusals
from gateway.repeats import Repeats
from gateway.signatures import Signatures
from gateway.subscriptions import callbacks as callback_routes
from gateway.subscriptions import credentials as credential_routes
from gateway.subscriptions import deliveries as delivery_routes
from gateway.subscriptions import notices as notice_routes
from gateway.subscriptions import oauth2 as oauth2_routes
from gateway.subscriptions import routes as subscription_routes
from gateway.subscriptions.callbacks import Callbacks
from gateway.subscriptions.deliveries import Deliveries
from gateway.subscriptions.service import SubscriptionService
from gateway.trace.routes import Traces
from gateway.trace.routes import router as trace_router
from monitoring.tracing import Spans
from schemas.registry import Registry

TITLE = "Dujiang gateway"
VERSION = "1"
DESCRIPTION = "Publish and receive events as CloudEvents 1.0.2. Errors are problem details (RFC 9457) in English or Chinese."
# FastAPI's own telemetry would put query strings and messages of exceptions where nobody looks after them, and costs
# every request 10 µs. What we measure stands in monitoring/metrics.py.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(
    *,
    registry: Registry,
    publisher: RecordPublisher,
    clock: Clock,
    health: Health,
    routers: Iterable[APIRouter] = (),
    metrics: GatewayMetrics | None = None,
    prometheus: CollectorRegistry = REGISTRY,
    problems_base: str = DEFAULT_BASE,
    bodies: BodyReader | None = None,
    directory: Directory | None = None,
    hearing: Hearing | None = None,
    receipts: Receipts | None = None,
    refusals: Refusals | None = None,
    repeats: Repeats | None = None,
    subscriptions: SubscriptionService | None = None,
    deliveries: Deliveries | None = None,
    callbacks: Callbacks | None = None,
    signatures: Signatures | None = None,
    traces: Traces | None = None,
    spans: Spans | None = None,
    extensions: Iterable[str] = (),
) -> FastAPI:
    """Everything comes from the caller, who also opens and closes it; the app holds no resource of its own.

    With a `directory` only its partners pass, with `signatures` also by tokens that they signed; without a `directory`
    nobody is asked who he is, and only this machine is served. Events may have the attributes in `extensions` beside those that
    CloudEvents documents.
    A router may raise any fault of `engine.errors` or an HTTPException: it leaves as a problem.
    """
    writer = ProblemWriter(problems_base) if refusals is None else ProblemWriter(problems_base, on_refusal=refusals.count)
    metrics = metrics or NoMetrics()
    bodies = bodies or BodyReader()
    publish = PublishEndpoint(
        registry=registry,
        publisher=publisher,
        clock=clock,
        metrics=metrics,
        problems=writer,
        bodies=bodies,
        receipts=receipts,
        repeats=repeats,
        spans=spans,
        extensions=DOCUMENTED.union(extensions),
    )
    app = FastAPI(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        # The pages of FastAPI load scripts from elsewhere; the description itself is served by `contracts`, with an ETag.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    app.router.routes.insert(0, Route(PATH, publish, methods=["POST"], include_in_schema=False))
    problems.install(app, writer)
    contracts.install(app, registry)
    health_routes.install(app, health=health, publisher=publisher, prometheus=prometheus)
    if subscriptions is not None:
        app.include_router(notice_routes.router(subscriptions))
        app.include_router(subscription_routes.router(subscriptions, clock, writer, bodies))
    if deliveries is not None:
        app.include_router(delivery_routes.router(deliveries))
        app.include_router(oauth2_routes.router(deliveries, bodies, deliveries.destinations))
        app.include_router(credential_routes.router(deliveries, bodies))
    if traces is not None:
        app.include_router(trace_router(traces))
    if callbacks is not None:
        app.include_router(callback_routes.router(callbacks))
    for router in routers:
        app.include_router(router)
    if directory is not None:
        app.add_middleware(
            Guard,
            directory=directory,
            signatures=signatures,
            meters=Meters(clock),
            problems=writer,
            metrics=metrics,
            hearing=hearing,
        )
    app.add_middleware(Front, problems=writer, hosts=LOOPBACK_HOSTS if directory is None else None)
    app.openapi = cache(lambda: _description(app, registry))  # type: ignore[method-assign]
    return app


def _description(app: FastAPI, registry: Registry) -> dict[str, Any]:
    return openapi.describe(app, registry)
