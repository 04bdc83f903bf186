"""One worker draining so many events: its rate, CPU by part, and what it made PostgreSQL write."""

import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from benchmarks.harness import Bench, checkpoint, create_topics, load_topic
from benchmarks.peers.gauges import LedgerGauge
from benchmarks.peers.measure import Watched, watched
from benchmarks.peers.peer import Program
from benchmarks.traffic import Event
from engine.ledger import OUTCOMES
from schemas.topics import FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE

ENDED_S_MAX = 10.0


@dataclass(frozen=True)
class Drain:
    """What was seen from the first commit on; by event: bytes of write-ahead log, rows of state or history written."""

    seen: Watched
    wal_bytes: float
    rows_written: float


def loaded(at: Bench, events: Iterable[Event], partitions: int | None = None) -> Bench:
    """The events in fresh topics."""
    fresh = renamed(at)
    create_topics(fresh, (PROJECT_EVENT,), partitions)
    create_topics(fresh, (PROJECT_STATE, FINDING_EVENT))
    load_topic(fresh, fresh.topic(PROJECT_EVENT.name), events)
    return fresh


def renamed(at: Bench) -> Bench:
    """Topics of its own."""
    return replace(at, prefix=f"{at.prefix}.{secrets.token_hex(2)}")


def drained(at: Bench, dsn: str, events: int, *more: str, module: str = "benchmarks.worker", steps: int = 1) -> Drain:
    """One worker until the ledger has moved over all; the clock starts once all its steps have committed something.

    Raises RuntimeError unless every event was applied.
    """
    command = [sys.executable, "-m", module, "--bootstrap", at.bootstrap, "--dsn", dsn, "--prefix", at.prefix]
    program = Program([*command, "--group", f"{at.prefix}.scale", *more])
    checkpoint(at)  # so that what was written before is not paid for here
    with psycopg.connect(dsn, autocommit=True) as connection:
        written, wal = _rows_written(connection), _wal_bytes(connection)
        with _until_closed(connection), TemporaryDirectory(prefix="dujiang-scale-") as folder:
            seen = watched(at, [program], LedgerGauge(connection, _moved(at, steps), events), events, Path(folder))
        outcomes = _outcomes(connection, at)
        if outcomes != {"applied": events}:
            raise RuntimeError(
                f"{events:,} events should have been applied, there were {outcomes}: unlike work does not compare"
            )
        return Drain(seen, (_wal_bytes(connection) - wal) / events, (_rows_written(connection) - written) / events)


def _moved(at: Bench, steps: int) -> str:
    """Events moved over; 0 while a step has not begun."""
    return (
        f"SELECT CASE WHEN count(DISTINCT step) FILTER (WHERE next_offset > start_offset) >= {steps}"  # noqa: S608
        " THEN sum(next_offset - start_offset) ELSE 0 END"
        f" FROM ledger WHERE starts_with(topic, '{at.prefix}.')"
    )


@contextmanager
def _until_closed(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Until the connections that were opened meanwhile are closed: what they did is counted only then."""
    before = _pids(connection)
    yield
    end = time.monotonic() + ENDED_S_MAX
    while _pids(connection) - before and time.monotonic() < end:
        time.sleep(0.05)


def _pids(connection: psycopg.Connection[Any]) -> set[int]:
    rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dujiang %'")
    return {pid for (pid,) in rows}


def _outcomes(connection: psycopg.Connection[Any], at: Bench) -> dict[str, int]:
    """How many records ended how, without those that none did."""
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in OUTCOMES)
    query = f"SELECT {sums} FROM ledger_day WHERE starts_with(topic, %s)"  # noqa: S608 - fixed names
    counts = connection.execute(query.encode(), (f"{at.prefix}.",)).fetchone()
    assert counts is not None
    return {name: int(count) for name, count in zip(OUTCOMES, counts, strict=True) if count}


def _rows_written(connection: psycopg.Connection[Any]) -> float:
    return _number(
        connection,
        "SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables"
        " WHERE schemaname = current_schema() AND relname IN ('project_status', 'event_history')",
    )


def _wal_bytes(connection: psycopg.Connection[Any]) -> float:
    return _number(connection, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")


def _number(connection: psycopg.Connection[Any], query: str, *values: object) -> int:
    row = connection.execute(query.encode(), values or None).fetchone()
    return int(row[0] or 0) if row else 0
