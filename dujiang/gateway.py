"""A gateway process: the HTTP front door with its Kafka producer and the webhooks of connectors."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from connectors.alertmanager.router import Publish, router
from dujiang.settings import Settings
from dujiang.wiring import Services, destinations_of, registry_of, spans_of
from engine.clock import Clock, SystemClock
from engine.errors import Fault
from engine.kafka import Message, Publisher
from engine.reach import Reach
from gateway.app import create_app
from gateway.counting import ANSWER_S
from gateway.directory import StoredDirectory
from gateway.health import BrokerHealth
from gateway.hearing import Hearing
from gateway.keys import StoredKeys
from gateway.publish import NO_PARTNER
from gateway.publisher import AsyncPublisher, RecordPublisher, publishing_options
from gateway.receipt_store import StoredReceipts
from gateway.receipts import Receipts
from gateway.refusals import Refusals
from gateway.repeats import Repeats
from gateway.replays import StoredReplays
from gateway.server import run
from gateway.signatures import Signatures
from gateway.store import Store
from gateway.subscriptions.callbacks import Callbacks
from gateway.subscriptions.deliveries import Deliveries
from gateway.subscriptions.readings import Readings
from gateway.subscriptions.service import SubscriptionService
from gateway.subscriptions.store import Subscriptions
from gateway.subscriptions.tail import SharedLog
from gateway.trace.routes import Traces
from monitoring.metrics import AlertmanagerMetrics, DependencyMetrics, GatewayMetrics, ReaderMetrics

log = structlog.get_logger("gateway")


def run_gateway(settings: Settings, services: Services, on_listening: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or SIGINT; `on_listening` is told the address. Raises EnvironmentFault when it may not listen there."""

    def open_app() -> AbstractAsyncContextManager[FastAPI]:
        return _opened(settings, services)

    run(
        open_app,
        host=settings.gateway.host,
        port=settings.gateway.port,
        has_identities=_asks_for_tokens(settings),
        on_listening=on_listening,
    )


@asynccontextmanager
async def _opened(settings: Settings, services: Services) -> AsyncIterator[FastAPI]:
    registry, clock, prometheus = registry_of(settings), SystemClock(), CollectorRegistry()
    options = publishing_options(settings.kafka_options(services.bootstrap))
    reading = settings.kafka_options(services.bootstrap)
    dependencies = DependencyMetrics(prometheus)
    with (
        BrokerHealth(options, clock, dependencies.reach("kafka")) as health,
        _stores(settings, services, clock, dependencies.reach("postgresql")) as stores,
        spans_of(settings, "gateway") as spans,
    ):
        metrics = GatewayMetrics(prometheus)
        directory = stores.directory if _asks_for_tokens(settings) else None
        async with (
            AsyncPublisher(Publisher(options)) as publisher,
            SharedLog(reading, registry) as log,
            Hearing(stores.heard, clock, metrics) as hearing,
            Refusals(stores.counted, clock) as refusals,
            Repeats(stores.counted, clock) as repeats,
            Readings(stores.counted, clock) as readings,
        ):
            await begin_figures(metrics, directory)
            service = SubscriptionService(
                log=log,
                subscriptions=stores.subscriptions,
                registry=registry,
                clock=clock,
                destinations=destinations_of(settings),
                metrics=ReaderMetrics(prometheus),
                readings=readings,
            )
            alerts = AlertmanagerMetrics(prometheus)
            hooks = router(all_or_fault(publisher), registry, settings.connectors.alertmanager, clock, alerts)
            app = create_app(
                registry=registry,
                publisher=publisher,
                clock=clock,
                health=health,
                routers=[hooks],
                metrics=metrics,
                prometheus=prometheus,
                directory=directory,
                hearing=hearing,
                receipts=stores.receipts,
                refusals=refusals,
                repeats=repeats,
                subscriptions=service,
                deliveries=stores.deliveries,
                callbacks=stores.callbacks,
                signatures=stores.signatures,
                traces=stores.traces,
                spans=spans,
                extensions=settings.gateway.extensions,
            )
            try:
                yield app
            finally:
                await service.close()


async def begin_figures(metrics: GatewayMetrics, directory: StoredDirectory | None) -> None:
    """Each partner's figures from 0, so that its first batch after a start is seen; without them the gateway works, too."""
    try:
        partners = [NO_PARTNER] if directory is None else await directory.partners()
    except Fault as fault:
        log.warning("the first events of each partner will not be seen in rates", error=str(fault))
        return
    for partner in partners:
        metrics.know_partner(partner)


def _asks_for_tokens(settings: Settings) -> bool:
    return settings.gateway.auth == "token"


@dataclass(frozen=True, slots=True)
class _Stores:
    """Who may, what was accepted, which tokens were used, who receives, who was heard of, what is counted of each."""

    directory: StoredDirectory
    receipts: Receipts
    signatures: Signatures
    subscriptions: Subscriptions
    deliveries: Deliveries
    callbacks: Callbacks
    traces: Traces
    heard: Store
    counted: Store


@contextmanager
def _stores(settings: Settings, services: Services, clock: Clock, reach: Reach) -> Iterator[_Stores]:
    """A connection each, so that none delays the others."""
    names = ("identities", "receipts", "replays", "subscriptions", "callbacks", "traces", "heard")
    stores = [Store(services.dsn, f"dujiang gateway {name}", reach=reach) for name in names]
    identities, receipts, replays, subscriptions, callbacks, traces, heard = stores
    counted = Store(services.dsn, "dujiang gateway counted", answer_s=ANSWER_S, reach=reach)
    try:
        kept = StoredReceipts(receipts, clock, kept_days=settings.gateway.receipts_days)
        yield _Stores(
            directory=StoredDirectory(identities, clock),
            receipts=Receipts(kept),
            signatures=Signatures(
                StoredKeys(identities, clock), StoredReplays(replays, clock), clock, settings.gateway.audience
            ),
            subscriptions=Subscriptions(subscriptions, clock),
            deliveries=Deliveries(subscriptions, clock, destinations_of(settings)),
            callbacks=Callbacks(callbacks, clock),  # open to everybody: a flood of guesses delays no reader
            traces=Traces(traces),
            heard=heard,
            counted=counted,
        )
    finally:
        for store in (*stores, counted):
            store.close()


def all_or_fault(publisher: RecordPublisher) -> Publish:
    """What a webhook needs: all acknowledged, or the first fault raised so that its sender repeats the body."""

    async def publish(messages: list[Message]) -> None:
        for outcome in await publisher.publish(messages):
            if isinstance(outcome, Fault):
                raise outcome

    return publish
