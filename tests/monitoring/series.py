"""Which series a query reads, and which the catalogue has: names as Prometheus sees them."""

import re

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from monitoring import metrics
from monitoring.histogram import BatchHistogram

_NAME = re.compile(r"\bdujiang_[a-z_]+|\b[a-z_]+:dujiang_[a-z_]+:\w+")
_SUFFIXES = re.compile(r"_(bucket|count|sum)$")


def catalogue() -> dict[str, str]:
    """Every metric of the catalogue: name to kind; a counter with its `_total`."""
    registry = CollectorRegistry()
    found = {}
    groups = (
        metrics.EngineMetrics(registry),
        metrics.DependencyMetrics(registry),
        metrics.ServerMetrics(registry),
        metrics.ReadingMetrics(registry),
        metrics.AlertMetrics(registry),
        metrics.ConnectorMetrics(registry),
        metrics.AlertmanagerMetrics(registry),
        metrics.GatewayMetrics(registry),
        metrics.ConsoleMetrics(registry),
        metrics.ReaderMetrics(registry),
        metrics.DeliveryMetrics(registry),
    )
    for group in groups:
        for metric in vars(group).values():
            if isinstance(metric, MetricWrapperBase | BatchHistogram):
                family = next(iter(metric.collect()))
                found[f"{family.name}_total" if family.type == "counter" else family.name] = family.type
    return found


def names_in(query: str) -> set[str]:
    """The metrics and recorded series that a query names; a histogram by its own name."""
    known = catalogue()
    return {name if name in known else _histogram(name, known) for name in _NAME.findall(query)}


def _histogram(name: str, known: dict[str, str]) -> str:
    stem = _SUFFIXES.sub("", name)
    return stem if known.get(stem) == "histogram" else name
