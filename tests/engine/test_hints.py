"""Kafka's own offsets: a hint for other tools that follows the ledger, also after a worker that died before it had told."""

from typing import Any

import pytest

from dujiang.kafka_consumers import committed
from dujiang.settings import Kafka
from dujiang.topics import admin_of
from tests.engine import traffic

pytestmark = pytest.mark.services


def _told(stage: Any, step: str) -> dict[tuple[str, int], int]:
    group = f"{stage.group_prefix}.{step}"
    with admin_of(stage.bootstrap, Kafka()) as admin:
        return {tuple(place): offset for place, offset in committed(admin, [group]).get(group, {}).items() if offset}


def _ledger(stage: Any, step: str) -> dict[tuple[str, int], int]:
    rows = stage.rows("SELECT topic, partition, next_offset FROM ledger WHERE step = %s AND next_offset > 0", step)
    return {(topic, partition): offset for topic, partition, offset in rows}


def test_kafka_is_told_while_a_step_runs_when_it_stops_and_when_it_begins(stage: Any) -> None:
    def is_told() -> bool:
        return _told(stage, "projects") == _ledger(stage, "projects")

    stage.publisher.publish(traffic.projects(21, 300).messages)
    stage.start("projects")
    stage.drained("projects")
    stage.until(is_told)
    stage.publisher.publish(traffic.projects(22, 300, "Q").messages)
    stage.drained("projects")
    stage.stop()
    assert is_told()
    stage.commit(f"{stage.group_prefix}.projects", dict.fromkeys(_ledger(stage, "projects"), 1))
    assert not is_told()
    stage.start("projects")
    stage.until(is_told)
