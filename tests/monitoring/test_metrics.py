"""What a process serves at /metrics is what the catalogue names, and no series beside it."""

import re

from prometheus_client import CollectorRegistry, generate_latest

from monitoring.metrics import EngineMetrics
from tests.monitoring.series import catalogue


def test_a_counter_and_a_histogram_have_no_series_of_when_they_were_made() -> None:
    registry = CollectorRegistry()
    engine = EngineMetrics(registry)
    engine.timers.labels("projects").inc()
    engine.batch_records.labels("projects").observe(1)
    served = set(re.findall(r"^(\w+)[{ ]", generate_latest(registry).decode(), re.MULTILINE))
    named = {re.sub(r"_(bucket|count|sum)$", "", name) for name in served}
    assert {"dujiang_timers_fired_total", "dujiang_batch_records"} <= named <= catalogue().keys()
