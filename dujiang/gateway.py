"""A gateway process: the HTTP front door with its Kafka producer and the webhooks of connectors."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from connectors.alertmanager.router import Publish, router
from dujiang.settings import Settings
from dujiang.wiring import Services, registry_of
from engine.clock import SystemClock
from engine.errors import Fault
from engine.kafka import Message, Publisher
from gateway.app import create_app
from gateway.health import BrokerHealth
from gateway.publisher import AsyncPublisher, RecordPublisher, publishing_options
from gateway.server import run
from monitoring.metrics import GatewayMetrics


def run_gateway(settings: Settings, services: Services, on_listening: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or SIGINT; `on_listening` is told the address. Raises EnvironmentFault when it may not listen there."""

    def open_app() -> AbstractAsyncContextManager[FastAPI]:
        return _opened(settings, services)

    run(open_app, host=settings.gateway.host, port=settings.gateway.port, on_listening=on_listening)


@asynccontextmanager
async def _opened(settings: Settings, services: Services) -> AsyncIterator[FastAPI]:
    registry, clock, prometheus = registry_of(settings), SystemClock(), CollectorRegistry()
    options = publishing_options(settings.kafka_options(services.bootstrap))
    with BrokerHealth(options, clock) as health:
        async with AsyncPublisher(Publisher(options)) as publisher:
            yield create_app(
                registry=registry,
                publisher=publisher,
                clock=clock,
                health=health,
                routers=[router(_all_or_fault(publisher), registry, settings.connectors.alertmanager, clock)],
                metrics=GatewayMetrics(prometheus),
                prometheus=prometheus,
            )


def _all_or_fault(publisher: RecordPublisher) -> Publish:
    """What a webhook needs: all acknowledged, or the first fault raised so that its sender repeats the body."""

    async def publish(messages: list[Message]) -> None:
        for outcome in await publisher.publish(messages):
            if isinstance(outcome, Fault):
                raise outcome

    return publish
