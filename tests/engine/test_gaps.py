"""Offsets that hold no record, and offsets that are no more."""

from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from engine.status import Condition
from schemas.topics import PROJECT_EVENT
from tests.engine import oracle, traffic
from tests.engine.markers import has_all_markers

pytestmark = pytest.mark.services


def _transaction(producer: Producer, *keys: str, commits: bool) -> None:
    producer.begin_transaction()
    for key in keys:
        message = traffic.event(key, f"e-{key}")
        producer.produce(message.topic, message.value, message.key, headers=message.headers)
    producer.flush()
    (producer.commit_transaction if commits else producer.abort_transaction)()


def test_markers_and_aborted_records_are_booked_as_gaps_and_the_account_balances(stage: Any) -> None:
    producer = Producer(
        {"bootstrap.servers": stage.bootstrap, "transactional.id": stage.group_prefix, "partitioner": "murmur2_random"}
    )
    producer.init_transactions()
    stage.start("projects", "history")
    kept = [f"T-{number}" for number in range(12)]
    _transaction(producer, *kept, commits=True)
    _transaction(producer, *(f"U-{number}" for number in range(12)), commits=False)
    _transaction(producer, *kept[:6], "V-1", commits=True)
    stage.until(lambda: has_all_markers(stage))
    stage.publisher.publish([traffic.event(f"W-{number}", "w") for number in range(60)])  # behind the last markers
    stage.drained("projects", "history")
    account = stage.account("projects")
    assert account.unaccounted == 0
    assert (account.applied, account.duplicate, account.quarantined) == (12 + 1 + 60, 6, 0)
    assert account.gap == account.published - 79
    assert account.gap > 12  # the aborted ones and the markers
    assert set(oracle.stored(stage, "projects")) == {*kept, "V-1", *(f"W-{number}" for number in range(60))}
    oracle.assert_exact(stage)


def test_a_log_cut_below_the_ledger_blocks_loudly(stage: Any) -> None:
    (runner,) = stage.start("projects")
    stage.publisher.publish([traffic.event("cut", "a")])
    stage.drained("projects")
    stage.stop()
    stage.publisher.publish([traffic.event("cut", f"b{number}") for number in range(20)])
    ((home, end),) = stage.rows(
        "SELECT partition, next_offset FROM ledger WHERE next_offset > start_offset AND step = 'projects'"
    )
    _cut(stage, home, end + 5)
    (runner,) = stage.start("projects")
    stage.until(lambda: runner.status.condition is Condition.BLOCKED, describe=lambda: str(runner.status))
    assert f"the ledger of projects stands at {end}" in runner.status.message
    assert "docs/runbook/ledger.md" in runner.status.remedy
    assert stage.rows("SELECT next_offset FROM ledger WHERE step = 'projects' AND partition = %s", home) == [(end,)]
    assert stage.rows("SELECT sum(gap) FROM ledger_day") == [(0,)]


def test_a_log_cut_under_a_running_worker_is_no_gap_either(stage: Any) -> None:
    (runner,) = stage.start("projects")
    stage.publisher.publish([traffic.event("cut", "a")])
    stage.drained("projects")
    ((home, end),) = stage.rows(
        "SELECT partition, next_offset FROM ledger WHERE step = 'projects' AND next_offset > start_offset"
    )
    runner._intake.shut((PROJECT_EVENT.name, home))  # it does not look for a while
    stage.publisher.publish([traffic.event("cut", f"b{number}") for number in range(20)])
    _cut(stage, home, end + 5)
    runner._intake.open((PROJECT_EVENT.name, home))
    stage.until(lambda: runner.status.condition is Condition.BLOCKED, describe=lambda: str(runner.status))
    assert "docs/runbook/ledger.md" in runner.status.remedy
    assert stage.rows("SELECT next_offset FROM ledger WHERE step = 'projects' AND partition = %s", home) == [(end,)]
    # A person decides: the lost records are written off, and the worker goes on by itself.
    stage.rows(
        "UPDATE ledger SET start_offset = start_offset + 5, next_offset = next_offset + 5"
        " WHERE step = 'projects' AND partition = %s RETURNING 1",
        home,
    )
    stage.drained("projects")
    assert stage.account("projects").unaccounted == 0


def _cut(stage: Any, partition: int, offset: int) -> None:
    admin = AdminClient({"bootstrap.servers": stage.bootstrap})
    for future in admin.delete_records([TopicPartition(PROJECT_EVENT.name, partition, offset)]).values():
        future.result(30)
