"""How quickly a backlog drains: Dujiang beside the floor, interleaved, in one run.

  python -m benchmarks.drain --quick     300,000 events of W1, one run each, Dujiang as it is run: a worker process a core;
                                         ends with `W1 dujiang=N/s floor=N/s ratio=0.NN`
  python -m benchmarks.drain             all workloads, three runs each, medians; writes results and the page

The clock runs by the database, from the commit that shows every worker at work to the last one; what was done before it does
not count.
"""

import argparse
import secrets
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from benchmarks import report
from benchmarks.floor import TABLES
from benchmarks.harness import CORES, Bench, bench, cpu, create_topics, load_topic, machine, peak_mib, processes, say, schema
from benchmarks.traffic import Event, alert_events, status_events
from schemas.topics import ALERT_EVENT, ALERT_STATE, FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE

SECONDS_MAX = 300.0


@dataclass(frozen=True)
class Workload:
    """Events in one topic and the parts of Dujiang that take them."""

    name: str
    what: str
    topic: str
    events: Callable[[int], Iterable[Event]]
    parts: tuple[str, ...]
    history: tuple[str, ...] = ()
    floor_appends: bool = False


WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            "W1",
            "project events, 100,000 keys per million",
            PROJECT_EVENT.name,
            lambda n: status_events(n, n // 10),
            ("projects",),
        ),
        Workload(
            "W1h",
            "W1 with the event history",
            PROJECT_EVENT.name,
            lambda n: status_events(n, n // 10),
            ("projects", "history"),
            (PROJECT_EVENT.name,),
        ),
        Workload(
            "W2",
            "event history alone",
            PROJECT_EVENT.name,
            lambda n: status_events(n, n // 10),
            ("history",),
            (PROJECT_EVENT.name,),
            True,
        ),
        Workload("W3", "project events, 2,000 hot keys", PROJECT_EVENT.name, lambda n: status_events(n, 2_000), ("projects",)),
        Workload(
            "W4", "alerts, 20,000 keys, nine in ten repeats", ALERT_EVENT.name, lambda n: alert_events(n, 20_000), ("alerts",)
        ),
    )
}


@dataclass(frozen=True)
class Run:
    """One drain. CPU in microseconds an event."""

    workload: str
    subject: str
    workers: int
    events: int
    seconds: float
    rate: float
    worker_us: float
    database_us: float
    broker_us: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workloads", nargs="+", default=["W1", "W1h", "W2", "W3", "W4"], choices=WORKLOADS)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--records-max", type=int, default=None, help="records a batch, for both")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.events, arguments.runs, arguments.workloads = 300_000, 1, ["W1"]
        arguments.workers = [CORES]
    with bench() as at:
        runs = measure(at, arguments)
    if not arguments.quick:
        is_whole = report.is_whole(arguments, parser.parse_args([]))
        by = ("workload", "subject", "workers")
        report.write("drain", machine(), [asdict(run) for run in runs], by=by, is_whole=is_whole)
    for name in arguments.workloads:
        ours = max(
            statistics.median(
                run.rate for run in runs if (run.workload, run.subject, run.workers) == (name, "dujiang", workers)
            )
            for workers in arguments.workers
        )
        floor = statistics.median(run.rate for run in runs if (run.workload, run.subject) == (name, "floor"))
        print(f"{name} dujiang={ours:.0f}/s floor={floor:.0f}/s ratio={ours / floor:.2f}")


def measure(at: Bench, arguments: argparse.Namespace) -> list[Run]:
    """All runs, floor and Dujiang by turns, each workload's events loaded once."""
    runs: list[Run] = []
    loaded = ""
    for name in arguments.workloads:
        workload = WORKLOADS[name]
        signature = f"{workload.topic} {name if name in ('W3', 'W4') else 'W1'}"
        if signature != loaded:
            at = Bench(at.bootstrap, at.dsn, at.broker_pid, at.database_pid, f"{at.prefix[:12]}.{secrets.token_hex(2)}")
            began = time.monotonic()
            create_topics(at, (PROJECT_EVENT, PROJECT_STATE, ALERT_EVENT, ALERT_STATE, FINDING_EVENT))
            count = load_topic(at, at.topic(workload.topic), workload.events(arguments.events))
            say(f"{name}: {count:,} events loaded in {time.monotonic() - began:.1f} s")
            loaded = signature
        for turn in range(arguments.runs):
            runs.append(drain(at, workload, "floor", 1, arguments))
            runs += [drain(at, workload, "dujiang", workers, arguments) for workers in arguments.workers]
            for run in runs[-1 - len(arguments.workers) :]:
                say(
                    f"{run.workload} {run.subject:8} {run.workers} worker(s) run {turn + 1}: {run.rate:9,.0f}/s"
                    f"  CPU us/event worker {run.worker_us:.1f} database {run.database_us:.1f} broker {run.broker_us:.1f}"
                    f"  peak {run.peak_mib:.0f} MiB"
                )
    return runs


def drain(
    at: Bench,
    workload: Workload,
    subject: str,
    workers: int,
    arguments: argparse.Namespace,
    beside: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> Run:
    """One drain in a fresh schema; `beside`, given its DSN: what runs meanwhile, and is not in the worker's CPU."""
    group = f"bench-{secrets.token_hex(3)}"
    with ExitStack() as stack:
        dsn = stack.enter_context(schema(at, migrated=subject == "dujiang"))
        if subject == "floor":
            with psycopg.connect(dsn) as connection:
                connection.execute(TABLES)
        command = _command(at, workload, subject, dsn, group, arguments)
        stack.enter_context(beside(dsn))  # before the workers: it may take longer to start than the backlog lasts
        started = stack.enter_context(processes([command] * workers, one_a_core=True))
        pids = [process.pid for process in started]
        ledger = "floor_ledger" if subject == "floor" else "ledger"
        expected = arguments.events * (len(workload.parts) if subject == "dujiang" else 1)
        writers = workers * len(workload.parts) if subject == "dujiang" else 0
        first, base, idle = _first_commit(dsn, ledger, started, at, pids, writers)
        last = _last_commit(dsn, ledger, expected, started)
        used = cpu(at, pids).minus(idle)
        events, seconds = expected - base, last - first
        share = max(1, events // (len(workload.parts) if subject == "dujiang" else 1))
        peak = max(peak_mib(pid) for pid in pids)
    us = used.us(share)
    return Run(
        workload.name,
        subject,
        workers,
        share,
        seconds,
        share / seconds,
        us.worker,
        us.database,
        us.broker,
        peak,
    )


def _command(at: Bench, workload: Workload, subject: str, dsn: str, group: str, arguments: argparse.Namespace) -> list[str]:
    common = ["--bootstrap", at.bootstrap, "--dsn", dsn, "--group", group]
    if arguments.records_max:
        common += ["--records-max", str(arguments.records_max)]
    if subject == "floor":
        return [
            "benchmarks.floor",
            *common,
            "--topic",
            at.topic(workload.topic),
            *(["--append"] if workload.floor_appends else []),
        ]
    return ["benchmarks.worker", *common, "--prefix", at.prefix, "--parts", *workload.parts, "--topics", *workload.history]


def _progress(connection: psycopg.Connection[Any], ledger: str) -> tuple[int, float]:
    query = f"SELECT coalesce(sum(next_offset - start_offset), 0), coalesce(extract(epoch FROM max(moved_at)), 0) FROM {ledger}"  # noqa: S608
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0]), float(row[1])


def _first_commit(
    dsn: str, ledger: str, started: Iterable[Any], at: Bench, pids: list[int], writers: int
) -> tuple[float, int, Any]:
    """(instant, events, CPU so far) at the first progress seen once so many connections of writers are there."""
    return _wait(dsn, ledger, 1, started, 0.005, lambda: cpu(at, pids), writers)


def _last_commit(dsn: str, ledger: str, expected: int, started: Iterable[Any]) -> float:
    return _wait(dsn, ledger, expected, started, 0.05, lambda: None)[0]


def _wait(
    dsn: str, ledger: str, events: int, started: Iterable[Any], every_s: float, note: Callable[[], Any], writers: int = 0
) -> tuple[float, int, Any]:
    end = time.monotonic() + SECONDS_MAX
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            done, instant = _progress(connection, ledger)
            if done >= events and (not writers or _writers(connection) >= writers):
                return instant, done, note()
            if time.monotonic() > end or any(process.poll() is not None for process in started):
                raise RuntimeError(f"only {done:,} of {events:,} events: {SECONDS_MAX:.0f} s passed or a process ended")
            time.sleep(every_s)


def _writers(connection: psycopg.Connection[Any]) -> int:
    """A writer connects at its first batch."""
    row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dujiang % writer'").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
