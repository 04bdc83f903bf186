"""What readers cost the pipeline: the same backlog drained alone and beside an open console, Grafana and the copy, by turns.

  python -m benchmarks.readers            five runs each of 1,000,000 events; medians; writes results and the page
  python -m benchmarks.readers --quick    one run each of 100,000 events; nothing is written down

Readers: a console with four pages asked for every 2 s, as open pages are built anew; every panel's SQL, every 5 s; and the
passes that keep the copy. A reader that fails fails the run: the pipeline alone would be measured instead.
All on the cores of the workers, so the figure is what a single machine pays. The aim is 5 % at most.
"""

import argparse
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry

from benchmarks import report
from benchmarks.drain import WORKLOADS, drain
from benchmarks.harness import Bench, bench, create_topics, load_topic, machine, processes, say
from benchmarks.pages import PROJECT, SETTINGS, get, opened_console
from gateway.console.screens.house import LIVE_S
from monitoring.dashboards import DASHBOARDS
from monitoring.dashboards.declared import Sql, asked
from monitoring.metrics import ReadingMetrics
from schemas.topics import FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE
from sinks.status.reading import keep_fresh

PANELS_EVERY_S = 5.0
PAGES = ("/", "/projects", "/alerts", "/way")
EVENTS, QUICK_EVENTS, RUNS = 1_000_000, 100_000, 5
SUBJECTS = ("alone", "read")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--read", default="", help="be the readers of this database (used by the benchmark itself)")
    arguments = parser.parse_args()
    if arguments.read:
        _read(arguments.read)
        return
    events, runs = (QUICK_EVENTS, 1) if arguments.quick else (EVENTS, RUNS)
    given = argparse.Namespace(events=events, records_max=None)
    workload = WORKLOADS["W1h"]
    rows: list[dict[str, Any]] = []
    with bench() as at:
        create_topics(at, (PROJECT_EVENT, PROJECT_STATE, FINDING_EVENT))
        load_topic(at, at.topic(workload.topic), workload.events(events))
        for turn in range(runs):
            for subject in SUBJECTS if turn % 2 == 0 else reversed(SUBJECTS):  # the machine drifts, so nobody is always first
                beside = {"beside": lambda dsn: _readers(at, dsn)} if subject == "read" else {}
                run = drain(at, workload, "dujiang", arguments.workers, given, **beside)
                say(f"{subject:6} run {turn + 1}: {run.rate:9,.0f}/s")
                rows.append({"subject": subject, "run": turn + 1, "workers": run.workers, "events": events, "rate": run.rate})
    medians = {name: statistics.median(row["rate"] for row in rows if row["subject"] == name) for name in SUBJECTS}
    cost = 1 - medians["read"] / medians["alone"]
    print(f"alone={medians['alone']:.0f}/s read={medians['read']:.0f}/s cost={cost:.1%}")
    if not arguments.quick:
        report.write("readers", machine(), [*rows, {"subject": "median cost, share of the rate", "rate": cost}])


@contextmanager
def _readers(at: Bench, dsn: str) -> Iterator[None]:
    """A process of readers, and a console whose pages a thread asks for."""
    stop = threading.Event()
    with (
        processes([["benchmarks.readers", "--read", dsn]]) as (reader,),
        opened_console(at, dsn) as (port, cookie),
        ThreadPoolExecutor(1) as thread,
    ):
        looking = thread.submit(_look, port, cookie, stop)
        try:
            yield
        finally:
            stop.set()
        _check_read_to_the_end(reader, looking.result())


def _check_read_to_the_end(reader: "subprocess.Popen[bytes]", looks: int) -> None:
    """RuntimeError when the figure is of a pipeline that nobody read beside."""
    if reader.poll() is not None:
        raise RuntimeError(f"the readers of panels ended by themselves with status {reader.returncode}")
    if not looks:
        raise RuntimeError("the backlog was drained before the console was looked at once; take more events")


def _look(port: int, cookie: str, stop: threading.Event) -> int:
    """All pages as often as an open page is built anew; returns how often. Raises what the first failed look raised."""
    looks = 0
    while not stop.wait(LIVE_S):
        for page in PAGES:
            get(port, page, cookie)
        looks += 1
    return looks


def _read(dsn: str) -> None:
    """Until it is ended: the copy's passes, and all panels every PANELS_EVERY_S."""
    arguments = dsn, threading.Event(), ReadingMetrics(CollectorRegistry())
    passes = threading.Thread(target=keep_fresh, args=arguments, daemon=True)
    passes.start()
    questions = [
        asked(query, dashboard.hours, subject=PROJECT)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries
        if isinstance(query, Sql)
    ]
    with psycopg.connect(dsn, autocommit=True) as connection:
        for setting in SETTINGS:
            connection.execute(setting.encode())
        while passes.is_alive():
            for text in questions:
                connection.execute(text.encode())
            time.sleep(PANELS_EVERY_S)
    raise RuntimeError("the passes that keep the copy have ended")


if __name__ == "__main__":
    main()
