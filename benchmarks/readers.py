"""What readers cost the pipeline: the same backlog drained alone and beside an open console, Grafana and the copy, by turns.

  python -m benchmarks.readers            three runs each of 4,000,000 events; medians; writes results and the page
  python -m benchmarks.readers --quick    one run each of 200,000 events, too short for some; nothing is written down

Readers: a console with four pages open, each at the end of a socket as a browser's is; the SQL of every panel of all dashboards
as often as Grafana refreshes them; and the passes that keep the copy. A reader that fails fails the run, since the pipeline
alone would be measured instead; so does a run that is too short for all panels to come round twice.
All on the cores of the workers, so the figure is what a single machine pays. The aim is 5 % at most. It is said twice: by the
rates, which drift by more than that between runs, and by the CPU of the readers and of their backends in PostgreSQL as a share
of all that the platform used, readers included: that is what they take where there is no more.
"""

import argparse
import asyncio
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import socketio
from prometheus_client import CollectorRegistry

from benchmarks import report
from benchmarks.drain import WORKLOADS, Run, drain
from benchmarks.harness import Bench, bench, create_topics, load_topic, machine, process_s, processes, say
from benchmarks.pages import PROJECT, SETTINGS, opened_console, page_of
from monitoring.dashboards import DASHBOARDS
from monitoring.dashboards.built import REFRESH_S
from monitoring.dashboards.declared import asked
from monitoring.metrics import ReadingMetrics
from schemas.topics import FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE
from sinks.status.reading import keep_fresh

PAGES = ("/", "/projects", "/alerts", "/way")
CLIENT = re.compile(rb"'client_id': '([0-9a-f-]{36})'")
OPEN_S = 30.0
EVENTS, QUICK_EVENTS, RUNS = 4_000_000, 200_000, 3
SUBJECTS = ("alone", "read")
PANELS = "benchmark panels"
BACKENDS = {
    "console's queries": "dujiang console%",
    "copies": "dujiang reading copy%",
    "panels": PANELS,
}  # what: whose connections


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--read", default="", help="be the readers of this database (used by the benchmark itself)")
    arguments = parser.parse_args()
    if arguments.read:
        _read(arguments.read)
        return
    events, runs = (QUICK_EVENTS, 1) if arguments.quick else (arguments.events, arguments.runs)
    given = argparse.Namespace(events=events, records_max=None)
    workload = WORKLOADS["W1h"]
    rows: list[dict[str, Any]] = []
    used: list[dict[str, float]] = []  # of each run that is read: seconds of CPU by what readers do
    with bench() as at:
        create_topics(at, (PROJECT_EVENT, PROJECT_STATE, FINDING_EVENT))
        load_topic(at, at.topic(workload.topic), workload.events(events))
        for turn in range(runs):
            for subject in SUBJECTS if turn % 2 == 0 else reversed(SUBJECTS):  # the machine drifts, so nobody is always first
                beside = {"beside": lambda dsn: _readers(at, dsn, used)} if subject == "read" else {}
                run = drain(at, workload, "dujiang", arguments.workers, given, **beside)
                if beside and not arguments.quick and run.seconds < 2 * REFRESH_S:
                    raise RuntimeError(
                        f"panels are asked for each {REFRESH_S} s, and a run took {run.seconds:.0f}: give --events"
                    )
                shares = _shares(run, used[-1]) if beside else {}
                told = "  ".join(f"{what} {share:.1%}" for what, share in shares.items())
                say(f"{subject:6} run {turn + 1}: {run.rate:9,.0f}/s  {told}")
                row = {"subject": subject, "run": turn + 1, "workers": run.workers, "events": events, "rate": run.rate}
                rows.append(row | {"cpu_of_readers": sum(shares.values()) if shares else None, **shares})
    medians = {name: statistics.median(row["rate"] for row in rows if row["subject"] == name) for name in SUBJECTS}
    cost = 1 - medians["read"] / medians["alone"]
    share = statistics.median(row["cpu_of_readers"] for row in rows if row["subject"] == "read")
    print(f"alone={medians['alone']:.0f}/s read={medians['read']:.0f}/s cost={cost:.1%} cpu={share:.1%}")
    if not arguments.quick:
        median = {"subject": "median cost, share of the rate and of the CPU", "rate": cost, "cpu_of_readers": share}
        report.write("readers", machine(), [*rows, median])


@contextmanager
def _readers(at: Bench, dsn: str, used: list[dict[str, float]]) -> Iterator[None]:
    """A process of readers, and a console whose pages a thread asks for. At the end `used` has what they used."""
    stop = threading.Event()
    with (
        processes([["benchmarks.readers", "--read", dsn]]) as (reader,),
        opened_console(at, dsn) as console,
        ThreadPoolExecutor(1) as thread,
    ):
        looking = thread.submit(lambda: asyncio.run(_look(console.port, console.cookie, stop)))
        _until_read(dsn)
        pids = {"console": console.pid, "panels' client": reader.pid}
        before_s = _used_s(dsn, pids)
        try:
            yield
            used.append({what: now_s - before_s[what] for what, now_s in _used_s(dsn, pids).items()})
        finally:
            stop.set()
        _check_read_to_the_end(reader, looking.result())


def _until_read(dsn: str) -> None:
    """Until panels are asked for: what a process costs to start is no share of its work."""
    end_s = time.monotonic() + OPEN_S
    with psycopg.connect(dsn, autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", (PANELS,)).fetchall():
            if time.monotonic() > end_s:
                raise RuntimeError(f"no panel was asked for within {OPEN_S:g} s")
            time.sleep(0.2)


def _shares(run: Run, used_s: dict[str, float]) -> dict[str, float]:
    """Of all CPU that workers, broker, database and readers used; the database's has the readers' backends in it already."""
    pipeline_s = run.events * (run.worker_us + run.database_us + run.broker_us) / 1e6
    all_s = pipeline_s + sum(s for what, s in used_s.items() if what not in BACKENDS)
    return {what: s / all_s for what, s in used_s.items()}


def _used_s(dsn: str, pids: dict[str, int]) -> dict[str, float]:
    """CPU of these processes, and of all backends that work for readers: they stay connected, so none is missing at the end."""
    found = {what: process_s(pid) for what, pid in pids.items()}
    with psycopg.connect(dsn) as connection:
        for what, name in BACKENDS.items():
            query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s"
            found[what] = sum(process_s(row[0]) for row in connection.execute(query, (name,)).fetchall())
    return found


def _check_read_to_the_end(reader: "subprocess.Popen[bytes]", looks: int) -> None:
    """`looks`: what pages were told. RuntimeError when the figure is of a pipeline that nobody read beside."""
    if reader.poll() is not None:
        raise RuntimeError(f"the readers of panels ended by themselves with status {reader.returncode}")
    if not looks:
        raise RuntimeError("the backlog was drained before the console was looked at once; take more events")


async def _look(port: int, cookie: str, stop: threading.Event) -> int:
    """All pages stay open until `stop`; returns how many changes they were told. Raises when one closes."""
    pages = [await _opened(port, path, cookie) for path in PAGES]
    while not stop.is_set():
        await asyncio.sleep(0.5)
        if closed := [path for path, (socket, _) in zip(PAGES, pages, strict=True) if not socket.connected]:
            raise RuntimeError(f"the console closed {closed}")
    for socket, _ in pages:
        await socket.disconnect()
    return sum(len(told) for _, told in pages)


async def _opened(port: int, path: str, cookie: str) -> tuple[socketio.AsyncClient, list[str]]:
    """One page at the end of its socket, and the changes that it was told."""
    found = CLIENT.search(page_of(port, path, cookie))
    assert found is not None, path
    client = found.group(1).decode()
    socket, told = socketio.AsyncClient(reconnection=False), []
    socket.on("run_javascript", lambda message: told.append(message["code"]))
    socket.on("update", lambda message: told.append(str(message)))
    names = f"client_id={client}&tab_id={uuid4()}&document_id={uuid4()}&next_message_id=0&implicit_handshake=true"
    await socket.connect(
        f"http://127.0.0.1:{port}?{names}",
        headers={"cookie": cookie, "origin": f"http://127.0.0.1:{port}"},
        transports=["websocket"],
        socketio_path="/console/_nicegui_ws/socket.io",
        wait_timeout=OPEN_S,
    )
    return socket, told


def _read(dsn: str) -> None:
    """Until it is ended: the copy's passes, and all panels every REFRESH_S."""
    arguments = dsn, threading.Event(), ReadingMetrics(CollectorRegistry())
    passes = threading.Thread(target=keep_fresh, args=arguments, daemon=True)
    passes.start()
    questions = [asked(query, dashboard, subject=PROJECT) for dashboard in DASHBOARDS for _, query in dashboard.questions]
    with psycopg.connect(dsn, autocommit=True, application_name=PANELS) as connection:
        for setting in SETTINGS:
            connection.execute(setting.encode())
        while passes.is_alive():
            for text in questions:
                connection.execute(text.encode())
            time.sleep(REFRESH_S)
    raise RuntimeError("the passes that keep the copy have ended")


if __name__ == "__main__":
    main()
