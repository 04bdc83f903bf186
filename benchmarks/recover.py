"""How soon work goes on after `kill -9`, whatever the size of state, and how much memory a worker takes.

  python -m benchmarks.recover                      1 and 10 million rows of state, three kills each
  python -m benchmarks.recover --rows 100000

Events flow at 2,000/s; the only worker, or one of two, is killed and started anew; the clock runs from the kill until every
partition has committed again.
"""

import argparse
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import psycopg

from benchmarks import report
from benchmarks.harness import ROOT, Bench, bench, create_topics, keep_if_allowed, machine, peak_mib, processes, schema
from benchmarks.scale.fills import fill_projects
from schemas.topics import FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE

ROWS = [1_000_000, 10_000_000]
RATE = 2_000
SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Recovery:
    """One kill."""

    rows: int
    workers: int
    seconds: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    found: list[Recovery] = []
    with bench() as at, schema(at) as dsn:
        filled = 0
        for rows in arguments.rows:
            fill_projects(dsn, filled + 1, rows, mark="F")  # others than the events' own
            filled = rows
            found += [_kill(at, dsn, rows, workers) for _ in range(arguments.runs) for workers in (1, 2)]
    for row in found:
        print(
            f"{row.rows:11,} rows, kill -9 of one of {row.workers}: {row.seconds:.1f} s to the next commit,"
            f" peak {row.peak_mib:.0f} MiB"
        )
    is_whole = report.is_whole(arguments, parser.parse_args([]))
    report.write("recover", machine(), [asdict(row) for row in found], by=("rows", "workers"), is_whole=is_whole)


def _kill(at: Bench, dsn: str, rows: int, workers: int) -> Recovery:
    at = Bench(at.bootstrap, at.dsn, at.broker_pid, at.database_pid, f"{at.prefix[:12]}.{secrets.token_hex(2)}")
    create_topics(at, (PROJECT_EVENT, PROJECT_STATE, FINDING_EVENT))
    topic = at.topic(PROJECT_EVENT.name)
    command = ["benchmarks.worker", "--bootstrap", at.bootstrap, "--dsn", dsn, "--prefix", at.prefix, "--group", at.prefix]
    with ExitStack() as stack:
        started = stack.enter_context(processes([command] * workers, one_a_core=True))
        producing = [sys.executable, "-m", "benchmarks.latency", "--produce", at.bootstrap, topic, str(RATE), "--seconds", "60"]
        producer = subprocess.Popen(producing, cwd=ROOT)
        stack.callback(producer.wait)
        stack.callback(producer.terminate)
        with psycopg.connect(dsn, autocommit=True) as connection:
            _until_all_move(connection, topic)
            time.sleep(3)
            before = _moved_at(connection, topic)
            victim = started[0]
            killed = time.time()
            victim.kill()
            victim.wait()
            (heir,) = stack.enter_context(processes([command]))
            keep_if_allowed(heir, 0, workers)
            seconds = _until_all_move(connection, topic, since=killed, at_least=len(before)) - killed
            peak = max(peak_mib(process.pid) for process in (*started[1:], heir))
    return Recovery(rows, workers, round(seconds, 2), round(peak))


def _moved_at(connection: psycopg.Connection[tuple[int, float]], topic: str) -> dict[int, float]:
    query = "SELECT partition, extract(epoch FROM moved_at)::float8 FROM ledger WHERE topic = %s AND next_offset > start_offset"
    return dict(connection.execute(query, (topic,)).fetchall())


def _until_all_move(
    connection: psycopg.Connection[tuple[int, float]], topic: str, *, since: float = 0.0, at_least: int = 8
) -> float:
    """When the last partition had moved after `since`: every partition is owned and served again."""
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end:
        moved = [instant for instant in _moved_at(connection, topic).values() if instant > since]
        if len(moved) >= at_least:
            return time.time() if since else max(moved)
        time.sleep(0.02)
    raise RuntimeError(f"not all partitions moved within {SECONDS_MAX:.0f} s")


if __name__ == "__main__":
    main()
