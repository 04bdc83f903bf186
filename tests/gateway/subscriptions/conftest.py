"""Gateways whose subscribers read a real Kafka and keep their subscriptions in a real PostgreSQL."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.store import Store
from gateway.subscriptions.service import SubscriptionService
from gateway.subscriptions.store import Subscriptions
from gateway.subscriptions.tail import SharedLog
from monitoring.metrics import ReaderMetrics
from schemas.registry import Registry
from tests.gateway.subscriptions.memory import MemoryLog


@pytest.fixture
def memory_log(registry: Registry) -> MemoryLog:
    return MemoryLog(registry)


@pytest.fixture
def reader_counts() -> CollectorRegistry:
    """What the subscribers' gateway counts."""
    return CollectorRegistry()


@pytest.fixture
def subscribers(
    serve_gateway: Callable[..., Any],
    fake_publisher: Any,
    directory: Any,
    stage: Any,
    registry: Registry,
    reader_counts: CollectorRegistry,
) -> Iterator[Any]:
    """A gateway that asks for tokens, whose subscribers read the stage's Kafka; its clock is the fake one."""
    store = Store(stage.dsn, "test subscriptions")
    log = SharedLog(stage.options.kafka, registry)
    clock = directory.clock
    service = SubscriptionService(
        log=log,
        subscriptions=Subscriptions(store, clock),
        registry=registry,
        clock=clock,
        metrics=ReaderMetrics(reader_counts),
    )
    yield serve_gateway(fake_publisher, directory=directory, subscriptions=service, resources=[log], clock=clock)
    store.close()
