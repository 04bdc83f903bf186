"""Where the parts meet: steps with their stores, sinks, clients, the worker. The only place that knows all folders."""

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry

from dujiang.settings import Settings, SettingsError
from dujiang.user import user_name
from engine.audit import by_operator
from engine.clock import Clock, SystemClock
from engine.database import Database
from engine.handlers import Handler, SinkHandler, StepHandler
from engine.kafka import BatchPublisher, new_consumer
from engine.options import EngineOptions
from engine.ports import Sink, Step
from engine.reach import Reach
from engine.runner import Runner
from engine.share import Share
from engine.tracing import Tracer
from monitoring.metrics import DependencyMetrics, EngineMetrics
from monitoring.tracing import Spans
from schemas.catalogue import default_registry
from schemas.registry import Registry
from sinks.history import HistorySink
from sinks.status import StatusStore
from sinks.status.alerts import ALERTS
from sinks.status.calls import CALLS
from sinks.status.projects import PROJECTS
from sinks.webhooks.destinations import Rules
from streams import alerts, calls, projects

STEPS: dict[str, Step[Any]] = {step.name: step for step in (projects.STEP, calls.STEP, alerts.STEP)}
STORES: dict[str, StatusStore[Any]] = {
    "projects": StatusStore(PROJECTS),
    "calls": StatusStore(CALLS),
    "alerts": StatusStore(ALERTS),
}
SINKS: dict[str, Sink] = {sink.name: sink for sink in (HistorySink(),)}
PARTS: dict[str, Step[Any] | Sink] = {**STEPS, **SINKS}


@dataclass(frozen=True)
class Services:
    """Addresses of the two services that everything stands on."""

    bootstrap: str
    dsn: str

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """One connection for a command; committed at its end."""
        with psycopg.connect(self.dsn, application_name="dujiang cli", options="-c timezone=UTC") as connection:
            connection.execute("SELECT set_config('dujiang.actor', %s, false)", (by_operator(user_name()),))
            connection.commit()
            yield connection


def destinations_of(settings: Settings) -> Rules:
    """Where the operator lets deliveries go."""
    deliver = settings.deliver
    ports = frozenset(deliver.ports) or None
    return Rules(tuple(map(ipaddress.ip_network, deliver.networks)), is_plain_allowed=deliver.http, ports=ports)


def check_parts(names: list[str]) -> None:
    """Raises SettingsError for steps or sinks that there are not, and for none."""
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise SettingsError(f"worker.steps: no step or sink {unknown}; there are {', '.join(PARTS)}")


def code_version() -> str:
    """Of this build; kept with every quarantined record."""
    return version("dujiang")


def build_runners(
    names: list[str],
    options: EngineOptions,
    registry: Registry,
    metrics_registry: CollectorRegistry,
    clock: Clock | None = None,
    parts: Mapping[str, Step[Any] | Sink] = PARTS,
    spans: Spans | None = None,
) -> list[Runner]:
    """One runner a step or sink. Raises KeyError for a name that neither has."""
    metrics, dependencies = EngineMetrics(metrics_registry), DependencyMetrics(metrics_registry)
    postgresql, kafka = dependencies.reach("postgresql"), dependencies.reach("kafka")
    share = Share(options.batch.records_max)
    return [
        Runner(
            _handler(parts[name], options, registry, postgresql, is_traced=spans is not None),
            # A batch begins every 20 ms at most: an answer for each record that comes would buy nothing.
            consumer=new_consumer(options.kafka, name, kafka, **{"fetch.min.bytes": 65_536}),
            publisher=BatchPublisher(options.kafka),
            registry=registry,
            options=options,
            clock=clock or SystemClock(),
            metrics=metrics,
            code_version=code_version(),
            share=share,
            tracer=None if spans is None else Tracer(spans),
            reach=postgresql,
        )
        for name in names
    ]


def _handler(part: Step[Any] | Sink, options: EngineOptions, registry: Registry, reach: Reach, *, is_traced: bool) -> Handler:
    if not isinstance(part, Step):
        return SinkHandler(part)
    return StepHandler(
        part,
        STORES[part.name],
        registry,
        Database(options.dsn, f"dujiang {part.name} reader", reach),
        cached_entities_max=options.batch.cached_entities_max,
        is_traced=is_traced,
    )


def registry_of(settings: Settings) -> Registry:
    """All contracts under the set prefix."""
    return default_registry(settings.type_prefix)


@contextmanager
def spans_of(settings: Settings, service: str) -> Iterator[Spans | None]:
    """Open until the process ends; None while tracing is off. Raises SettingsError without the packages for it."""
    if not settings.telemetry.otlp_endpoint:
        yield None
        return
    try:
        spans = Spans(settings.telemetry.otlp_endpoint, service, settings.telemetry.ratio)
    except ImportError as error:
        raise SettingsError(
            f"telemetry.otlp_endpoint is set, and {error.name} is not installed: install dujiang[traces], or unset it"
        ) from error
    try:
        yield spans
    finally:
        spans.close()
