"""The model of many workers keeps to what can be reckoned by hand. No services."""

import json
from datetime import datetime

import pytest

from benchmarks.scale.fills import payments
from benchmarks.scale.simulation import Case, Times, in_words, simulated
from schemas.catalogue import default_registry

TIMES = Times(
    worker_us=20, worker_batch_us=0, database_us=10, database_batch_us=0, broker_us=1, wal_bytes=200, commit_here_us=200
)
ROOMY = Case("roomy", database_cores=64, fsync_ms=1.0, brokers=10)


def test_one_worker_does_what_its_core_can():
    outcome = simulated(TIMES, ROOMY, 1)
    assert outcome.rate == pytest.approx(1e6 / 20, rel=0.02)
    assert outcome.limit == "workers"


def test_database_cores_end_the_growth_when_they_are_few():
    outcome = simulated(TIMES, Case("small", database_cores=4, fsync_ms=1.0), 50)
    assert outcome.rate == pytest.approx(4 * 1e6 / 10, rel=0.02)
    assert outcome.limit == "database cores"


def test_disk_ends_the_growth_when_the_log_fills_it():
    outcome = simulated(TIMES, Case("slow disk", database_cores=64, fsync_ms=1.0, disk_mb_s=20.0), 50)
    assert outcome.rate == pytest.approx(20e6 / 200, rel=0.15)
    assert outcome.limit == "disk of the log"


def test_commits_delay_a_worker_whose_batches_are_small():
    slow = simulated(TIMES, Case("small batches", database_cores=64, fsync_ms=5.0, batch=100), 1)
    assert slow.rate == pytest.approx(100 / 0.006, rel=0.1)
    assert slow.limit == "delay of commits"


def test_words_name_the_limit_and_what_moves_it():
    outcomes = [simulated(TIMES, Case("small", database_cores=4, fsync_ms=1.0), workers) for workers in (1, 50)]
    assert "small: from 50 workers" in in_words(TIMES, outcomes)
    assert "more cores" in in_words(TIMES, outcomes)


def test_payments_are_good_events_in_order_per_project():
    registry = default_registry()
    last: dict[str, datetime] = {}
    for event in payments(200, 5, turn=1):
        read = registry.quick(event.value)
        assert read is not None
        fact = read[0]
        assert fact.time >= last.get(fact.key, fact.time)
        assert json.loads(event.value)["subject"] == event.key.decode() == fact.key
        last[fact.key] = fact.time
    assert len(last) == 5
