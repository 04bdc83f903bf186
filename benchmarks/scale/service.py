"""The simulation's service times, measured here: CPU by part an event and a batch, WAL an event, the time of a small commit.

Two drains of the same events, in small and in large batches, give two points of the line cost = by event + by batch / size.
"""

import statistics
import time

import psycopg

from benchmarks.harness import Bench, say, schema
from benchmarks.scale.drains import Drain, drained, loaded
from benchmarks.scale.simulation import Times
from benchmarks.traffic import status_events
from engine.options import BatchOptions

SMALL_BATCH, LARGE_BATCH = 1_000, BatchOptions().records_max
COMMITS = 200


def measured(at: Bench, events: int) -> Times:
    """The two drains and the commits."""
    small, large = (_drain(at, events, batch) for batch in (SMALL_BATCH, LARGE_BATCH))
    worker = split(small.seen.micros(small.seen.used.worker), large.seen.micros(large.seen.used.worker))
    database = split(small.seen.micros(small.seen.used.database), large.seen.micros(large.seen.used.database))
    broker_us = round(large.seen.micros(large.seen.used.broker), 2)
    times = Times(*worker, *database, broker_us, round(large.wal_bytes), _commit_us(at))
    say(f"service times: {times}")
    return times


def _drain(at: Bench, events: int, batch: int) -> Drain:
    fresh = loaded(at, status_events(events, max(1, events // 10)))
    with schema(at) as dsn:
        return drained(fresh, dsn, events, "--records-max", str(batch))


def split(small_us: float, large_us: float) -> tuple[float, float]:
    """(microseconds an event, microseconds a batch). Noise may turn the slope round: then all is by event."""
    by_batch = max(0.0, (small_us - large_us) / (1 / SMALL_BATCH - 1 / LARGE_BATCH))
    return round(large_us - by_batch / LARGE_BATCH, 2), round(by_batch)


def _commit_us(at: Bench) -> float:
    """The median of small commits, one after another."""
    with schema(at, migrated=False) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE probe (number int)")
        taken = []
        for number in range(COMMITS):
            began = time.perf_counter()
            connection.execute("INSERT INTO probe VALUES (%s)", (number,))
            taken.append(time.perf_counter() - began)
    return round(statistics.median(taken) * 1e6)
