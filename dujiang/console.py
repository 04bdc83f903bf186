"""A console process: the web pages of operators, with readers of PostgreSQL and a Kafka producer for what they do."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prometheus_client import CollectorRegistry

from dujiang import pages
from dujiang.settings import Settings
from dujiang.story import teller
from dujiang.topology import DERIVED
from dujiang.wiring import SINKS, STEPS, STORES, Services, registry_of
from engine.clock import SystemClock
from engine.errors import EnvironmentFault
from engine.kafka import BatchPublisher
from gateway.console.app import Base, opened
from gateway.console.pages.way import Part
from gateway.console.sampler import LogEnds
from gateway.console.users import Limits
from gateway.front import LOOPBACK_HOSTS
from gateway.publisher import publishing_options
from gateway.server import listening_address, run
from monitoring.metrics import ConsoleMetrics
from sinks.history.tables import EVENT_HISTORY


def run_console(settings: Settings, services: Services, on_listening: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or SIGINT. Raises EnvironmentFault for an address that passwords would travel to in the open."""
    url = urlsplit(settings.console.public_url)
    is_secure = url.scheme == "https"
    _refuse_open_address(settings.console.host, is_secure=is_secure)

    prometheus = CollectorRegistry()
    base = _base(settings, services, ConsoleMetrics(prometheus), is_secure=is_secure)

    def open_app() -> AbstractAsyncContextManager[Any]:
        return opened(base)

    # Not among the pages: a proxy lets everybody reach those, and whom it lets in is for them to say.
    answers = {"/health/live": pages.live, "/metrics": lambda: pages.metrics(prometheus)}
    chosen = settings.console
    with pages.served("console", "console.http_port", chosen.http_host, chosen.http_port, answers):
        run(
            open_app,
            host=chosen.host,
            port=chosen.port,
            has_identities=is_secure,
            has_websockets=True,
            on_listening=on_listening,
        )


def _refuse_open_address(host: str, *, is_secure: bool) -> None:
    try:
        listening_address(host, has_identities=is_secure)
    except EnvironmentFault as fault:
        raise EnvironmentFault(
            f"the console cannot listen on {host!r}: beyond this machine passwords would travel in the open",
            "set console.host to 127.0.0.1; or to an address of this machine, and console.public_url to the https address at"
            " which a proxy with a certificate serves it",
        ) from fault


def _base(settings: Settings, services: Services, metrics: ConsoleMetrics, *, is_secure: bool) -> Base:
    registry = registry_of(settings)
    options = settings.kafka_options(services.bootstrap)
    chosen = settings.console
    hosts = frozenset(name.decode() for name in LOOPBACK_HOSTS)
    host = urlsplit(chosen.public_url).hostname
    return Base(
        dsn=services.dsn,
        reader_dsn=chosen.reader_dsn.get_secret_value(),
        publish=BatchPublisher(publishing_options(options)).publish,
        ends=LogEnds(options),
        tell=teller(STEPS, registry),
        parts=_parts(),
        registry=registry,
        clock=SystemClock(),
        limits=Limits(timedelta(hours=chosen.session_hours), timedelta(minutes=chosen.idle_minutes)),
        zone=_zone(chosen.time_zone),
        grafana_url=chosen.grafana_url,
        hosts=hosts | ({host} if host else frozenset()),
        is_secure=is_secure,
        metrics=metrics,
    )


def _parts() -> tuple[Part, ...]:
    steps = [Part(name, "step", (step.topic,), DERIVED.get(name, ()), STORES[name].table) for name, step in STEPS.items()]
    sinks = [Part(name, "sink", tuple(sink.topics), (), EVENT_HISTORY.name) for name, sink in SINKS.items()]
    return (*steps, *sinks)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise EnvironmentFault(
            f"console.time_zone is {name!r}, which is no time zone known here",
            "set it to a name such as Asia/Shanghai, and install the package tzdata where the system has no zones",
        ) from None
