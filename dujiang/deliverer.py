"""A deliverer process: webhooks, messages and objects to subscribers, with pages for health and metrics."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import structlog
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dujiang.kafka_consumers import KafkaConsumers
from dujiang.settings import Settings
from dujiang.wiring import Services, destinations_of, registry_of, spans_of
from engine.clock import SystemClock
from engine.database import Database
from engine.errors import EnvironmentFault, Fault
from engine.host import tune_interpreter
from engine.reach import Reach
from monitoring.metrics import DeliveryMetrics, DependencyMetrics
from schemas.subscriptions import Protocol
from schemas.topics import TOPICS
from sinks import queues
from sinks.storage.s3 import S3Transport
from sinks.webhooks.books import Books
from sinks.webhooks.deliverer import Deliverer
from sinks.webhooks.exchange import TimeLimits
from sinks.webhooks.http import HttpTransport
from sinks.webhooks.log import KafkaLog
from sinks.webhooks.schedule import Policy
from sinks.webhooks.sender import Sender
from sinks.webhooks.transport import Transport

OPEN_RETRY_S = 2.0
LOOK_ENDS_S = 1.0

log = structlog.get_logger("webhooks")


def run_deliverer(settings: Settings, services: Services, on_listening: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or SIGINT; then at most ten seconds. `on_listening` is told where health and metrics are."""

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tune_interpreter()
        await deliver_until(stop, settings, services, on_listening)

    uvloop.run(run())


async def deliver_until(
    stop: asyncio.Event, settings: Settings, services: Services, on_listening: Callable[[str], None]
) -> None:
    """In the running loop."""
    prometheus = CollectorRegistry()
    metrics, clock = DeliveryMetrics(prometheus), SystemClock()
    dependencies = DependencyMetrics(prometheus)
    postgresql = dependencies.reach("postgresql")
    async with AsyncExitStack() as opened:
        kafka_log = await _opened_log(stop, settings, services, dependencies.reach("kafka"))
        if kafka_log is None:
            return
        opened.push_async_callback(kafka_log.close)
        limits = TimeLimits(headers_s=settings.deliver.answer_s)
        sender = Sender(destinations_of(settings), clock, origin=settings.deliver.origin, limits=limits)
        opened.push_async_callback(sender.close)
        transports: dict[Protocol, Transport] = {"HTTP": HttpTransport(sender, clock), "S3": S3Transport(sender, clock)}
        if queues.is_mqtt_installed():
            from sinks.queues.mqtt import MqttTransport  # its library is an extra

            mqtt = MqttTransport(destinations_of(settings), limits=limits)
            opened.push_async_callback(mqtt.close)
            transports["MQTT5"] = mqtt
        else:
            log.warning("subscriptions with protocol MQTT5 wait: dujiang[mqtt] is not installed")
        books = Books(services.dsn, postgresql)
        opened.push_async_callback(books.close)
        place = Database(services.dsn, "dujiang deliverer's place", postgresql)
        opened.callback(place.close)
        deliverer = Deliverer(
            log=kafka_log,
            books=books,
            transports=transports,
            place=place,
            clock=clock,
            metrics=metrics,
            policy=Policy(patience_s=settings.deliver.patience_h * 3600, failing_s_max=settings.deliver.failing_h * 3600),
            are_owners_asked=settings.gateway.auth == "token",
            trace_days=settings.deliver.trace_days,
            spans=opened.enter_context(spans_of(settings, "deliverer")),
            prefix=settings.type_prefix,
            gateway_url=settings.gateway.public_url,
        )
        consumers = KafkaConsumers(settings, services, clock, is_due=lambda: deliverer.is_working)
        opened.enter_context(_looking(consumers))
        url = await opened.enter_async_context(_pages(settings, deliverer, prometheus))
        on_listening(url)
        await deliverer.run(stop)


async def _opened_log(stop: asyncio.Event, settings: Settings, services: Services, reach: Reach) -> KafkaLog | None:
    """Waits for a broker that is away; a topic that is missing ends the process and says what to do."""
    while not stop.is_set():
        kafka_log = KafkaLog(
            settings.kafka_options(services.bootstrap),
            {topic.name: topic.classification for topic in TOPICS.values()},
            registry_of(settings),
            reach,
        )
        try:
            await kafka_log.open()
        except EnvironmentFault:
            await kafka_log.close()
            raise
        except Fault as fault:
            await kafka_log.close()
            log.warning("the log cannot be opened; trying again", error=str(fault))
            await asyncio.sleep(OPEN_RETRY_S)
        else:
            return kafka_log
    return None


@contextmanager
def _looking(consumers: KafkaConsumers) -> Iterator[None]:
    """In a thread of its own, for which no delivery waits, nor the process's end."""
    stop = threading.Event()
    thread = threading.Thread(target=consumers.run, args=(stop,), name="kafka-consumers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LOOK_ENDS_S)


@asynccontextmanager
async def _pages(settings: Settings, deliverer: Deliverer, prometheus: CollectorRegistry) -> AsyncIterator[str]:
    """/health/live, /health/ready and /metrics. Ready is also who waits for another's place; who cannot read rights is not."""

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(_: web.Request) -> web.Response:
        body = {"ready": deliverer.is_ready, "working": deliverer.is_working}
        return web.json_response(body, status=200 if deliverer.is_ready else 503)

    async def shown(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(prometheus), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/health/live", live), web.get("/health/ready", ready), web.get("/metrics", shown)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.deliver.http_host, settings.deliver.http_port)
        try:
            await site.start()
        except OSError as error:
            raise EnvironmentFault(
                f"the deliverer cannot listen on {settings.deliver.http_host} port {settings.deliver.http_port}:"
                f" {error.strerror}",
                "set deliver.http_port to another port, or 0 for a free one",
            ) from error
        port = runner.addresses[0][1]
        yield f"http://{settings.deliver.http_host}:{port}"
    finally:
        await runner.cleanup()
