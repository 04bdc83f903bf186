"""The simulation's service times, measured here: CPU by part an event and a batch, WAL an event, the time of a small commit.

Two drains of the same events, in small and in large batches, give two lines through (1/batch, cost): slope and intercept.
"""

import statistics
import time
from dataclasses import dataclass

import psycopg

from benchmarks.harness import Bench, say, schema
from benchmarks.peers.measure import Watched
from benchmarks.scale.cells import drained, loaded
from benchmarks.scale.simulation import BATCH, Times
from benchmarks.traffic import status_events

SMALL_BATCH = 1_000
COMMITS = 200


@dataclass(frozen=True)
class _Drain:
    seen: Watched
    wal_bytes: float


def measured(at: Bench, events: int) -> Times:
    """The two drains and the commits."""
    small, large = (_drain(at, events, batch) for batch in (SMALL_BATCH, BATCH))
    worker = _split(small.seen.micros(small.seen.used.worker), large.seen.micros(large.seen.used.worker))
    database = _split(small.seen.micros(small.seen.used.database), large.seen.micros(large.seen.used.database))
    times = Times(
        worker_us=worker[0],
        worker_batch_us=worker[1],
        database_us=database[0],
        database_batch_us=database[1],
        broker_us=round(large.seen.micros(large.seen.used.broker), 2),
        wal_bytes=round(large.wal_bytes),
        commit_here_us=_commit_us(at),
    )
    say(f"service times: {times}")
    return times


def _drain(at: Bench, events: int, batch: int) -> _Drain:
    fresh = loaded(at, status_events(events, max(1, events // 10)))
    with schema(at) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        before = _wal(connection)
        seen = drained(fresh, dsn, events, "--records-max", str(batch))
        return _Drain(seen, (_wal(connection) - before) / events)


def _wal(connection: psycopg.Connection[tuple[float]]) -> float:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8").fetchone()
    assert row is not None
    return row[0]


def _split(small_us: float, large_us: float) -> tuple[float, float]:
    """(microseconds an event, microseconds a batch). Noise may turn the slope round: then all is by event."""
    by_batch = max(0.0, (small_us - large_us) / (1 / SMALL_BATCH - 1 / BATCH))
    return round(large_us - by_batch / BATCH, 2), round(by_batch)


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
