"""How long operators wait, with a million projects, 10,000 alerts, 3,000 calls and subscriptions: panels, questions, pages.

  python -m benchmarks.pages            panels and questions with the reading role's limits, pages over HTTP: ms
  python -m benchmarks.pages --quick    with 50,000 projects and fewer events; nothing is written down

Nothing else runs. Panels and questions ask PostgreSQL each time. A page is looked at twice, by RUNS consoles that were just
started: first when nothing of it is kept, but for the board and the list that a console asks for at its start and what a page
above it in the list asked too; then at once again, when the console keeps the answers.

Ends with status 1, and says which, when a panel's median is over 200 ms or a page's over 1 s; the figures are written down all
the same.
"""

import argparse
import http.client
import os
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

import psycopg
from psycopg import Connection, Cursor

from benchmarks import report, seeded
from benchmarks.harness import ROOT, Bench, bench, machine, say, schema
from gateway.console import queries, users
from gateway.console.queries import AlertFilter, CallFilter, HeldFilter, ProjectFilter, SubscriptionFilter
from gateway.console.rights import Role
from monitoring.dashboards import DASHBOARDS
from monitoring.dashboards.declared import asked

PROJECTS, ALERTS, EVENTS, HELD = 1_000_000, 10_000, 500_000, 1_000
CALLS, SUBSCRIPTIONS = 3_000, 3_000
QUICK_PROJECTS, QUICK_EVENTS = 50_000, 25_000
RUNS = 5
START_S = 60
LOOKS = ("page, first look", "page, kept")
MEDIANS_MS_MAX = {"panel": 200.0} | dict.fromkeys(LOOKS, 1_000.0)  # a question is a part of a page
PASSWORD = "a password of benchmarks"  # noqa: S105 - of a schema that ends with the run
PROJECT, CALL = "P-0000777", "C-77"
ENDS = {("research.project.event", partition): 1_007 for partition in range(12)}  # of the log, as seeded positions stand before
# As monitoring/postgres/reader.sh sets them for Grafana.
SETTINGS = ("SET statement_timeout = '10s'", "SET max_parallel_workers_per_gather = 0", "SET jit = off")

QUESTIONS: dict[str, Callable[[Cursor[Any]], object]] = {
    "now: what waits": queries.needs,
    "now: pulse": queries.pulse,
    "now: news": lambda cursor: queries.news(cursor, 600),
    "now: calls": queries.closing_calls,
    "now: events by the hour": queries.events_by_hour,
    "projects: board": queries.board,
    "projects: list": lambda cursor: queries.projects(cursor, ProjectFilter()),
    "projects: executing": lambda cursor: queries.projects(cursor, ProjectFilter(state="executing")),
    "projects: closed": lambda cursor: queries.projects(cursor, ProjectFilter(state="closed")),
    **{
        f"projects: {claim}": lambda cursor, claim=claim: queries.projects(cursor, ProjectFilter(claim=claim))  # type: ignore[misc]
        for claim in queries.CLAIMS
    },
    "projects: by rare words": lambda cursor: queries.projects(cursor, ProjectFilter(words="abcd12")),
    "projects: by frequent words": lambda cursor: queries.projects(cursor, ProjectFilter(words="institute 7")),
    "project: one": lambda cursor: queries.project(cursor, PROJECT),
    "alerts: list": lambda cursor: queries.alerts(cursor, AlertFilter()),
    "alerts: by words": lambda cursor: queries.alerts(cursor, AlertFilter("all", words="node-77")),
    "alerts: by the hour": queries.alerts_by_hour,
    "calls: phases": queries.call_phases,
    "calls: list": lambda cursor: queries.calls(cursor, CallFilter()),
    "calls: open": lambda cursor: queries.calls(cursor, CallFilter(phase="open")),
    "calls: by words": lambda cursor: queries.calls(cursor, CallFilter(words="programme 7")),
    "call: one": lambda cursor: queries.call(cursor, CALL),
    "way: ways out": lambda cursor: queries.kept_ways_out(cursor, ENDS),
    "way: partners of one": lambda cursor: queries.kept_out_partners(cursor, "HTTP", ENDS),
    "way: the worst of one": lambda cursor: queries.kept_outs(cursor, "HTTP", "", ENDS),
    "way: those of a partner": lambda cursor: queries.kept_outs(cursor, "HTTP", seeded.PARTNER, ENDS),
    "works: list": queries.works,
    "partners: their last day": queries.day_tallies,
    "partner: its scorecard": lambda cursor: queries.tallies(cursor, seeded.SOURCE),
    "partner: what was refused": lambda cursor: queries.turned_away(cursor, seeded.PARTNER),
    "partner: what was sent again": lambda cursor: queries.sent_again(cursor, seeded.PARTNER),
    "subscriptions: list": lambda cursor: queries.subscriptions(cursor, SubscriptionFilter()),
    "subscriptions: paused": lambda cursor: queries.subscriptions(cursor, SubscriptionFilter(state="paused")),
    "subscriptions: of a partner": lambda cursor: queries.subscriptions(cursor, SubscriptionFilter(), seeded.PARTNER),
    "subscriptions: a later page": lambda cursor: queries.subscriptions(
        cursor, SubscriptionFilter(after=f"{seeded.PARTNER} {seeded.SUBSCRIPTION}")
    ),
    "subscriptions: by words": lambda cursor: queries.subscriptions(cursor, SubscriptionFilter(words="purpose 7")),
    "subscription: one": lambda cursor: queries.subscription(cursor, seeded.SUBSCRIPTION),
    "subscription: its endpoint": lambda cursor: queries.kept_endpoint(cursor, seeded.SUBSCRIPTION),
    "subscription: its positions": lambda cursor: queries.kept_positions(cursor, seeded.SUBSCRIPTION),
    "subscription: its attempts": lambda cursor: queries.kept_attempts(cursor, seeded.SUBSCRIPTION),
    "subscription: its dead letters": lambda cursor: queries.kept_letters(cursor, seeded.SUBSCRIPTION),
    "quarantine: causes": queries.causes,
    "quarantine: by the hour": queries.causes_by_hour,
    "quarantine: records": lambda cursor: queries.held(cursor, HeldFilter()),
    "search: by id": lambda cursor: queries.find_key(cursor, PROJECT),
    "search: event by id": lambda cursor: queries.find_events(cursor, "e-777"),
    "search: rare words": lambda cursor: queries.find_words(cursor, "abcd1234"),
    "search: no such words": lambda cursor: queries.find_words(cursor, "no such thing"),
}
PAGES = (
    "/",
    "/projects",
    "/projects?state=executing",
    "/projects?claim=overdue",
    "/projects?words=abcd12",
    f"/projects/{PROJECT}",
    "/alerts",
    "/alerts/am/77",
    "/quarantine",
    "/way",
    "/way/step/projects",
    "/way/process/gateway",
    "/way/out/HTTP",
    "/way/topic/research.project.event",
    "/calls",
    f"/calls/{CALL}",
    "/works",
    "/subscriptions",
    "/subscriptions?state=paused",
    f"/subscriptions/{seeded.SUBSCRIPTION}",
    "/search?q=abcd1234",
    "/partners",
    f"/partners/{seeded.PARTNER}",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer projects and events")
    is_quick = parser.parse_args().quick
    projects, events = (QUICK_PROJECTS, QUICK_EVENTS) if is_quick else (PROJECTS, EVENTS)
    with bench() as at, schema(at) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        say(f"storing {projects:,} projects, {ALERTS:,} alerts, {events:,} events")
        began_s = time.monotonic()
        seeded.fill(
            connection,
            projects=projects,
            alerts=ALERTS,
            events=events,
            held=HELD,
            calls=CALLS,
            subscriptions=SUBSCRIPTIONS,
        )
        say(f"stored in {time.monotonic() - began_s:.0f} s")
        rows = [*_panels(connection), *_questions(connection), *_pages(at, dsn)]
    conclude(rows, is_written_down=not is_quick)


def conclude(rows: list[dict[str, Any]], *, is_written_down: bool) -> None:
    """Write the figures down first. Raises SystemExit with a line for each that is too slow."""
    if is_written_down:
        report.write("pages", machine(), rows)
    if slow := too_slow(rows):
        sys.exit("\n".join(slow))


def too_slow(rows: Iterable[dict[str, Any]]) -> list[str]:
    """A line for each panel and page whose median is over its limit."""
    return [
        f"{row['kind']} {row['name']}: {row['median_ms']:,.1f} ms, at most {limit_ms:,.0f}"
        for row in rows
        if (limit_ms := MEDIANS_MS_MAX.get(row["kind"])) is not None and row["median_ms"] > limit_ms
    ]


def _panels(connection: Connection[Any]) -> Iterator[dict[str, Any]]:
    """As Grafana would ask: for the variables' values, then for what the panels show."""
    with connection.transaction(force_rollback=True):
        _read_only(connection)
        for name, text in _panel_queries():
            yield _timed("panel", name, lambda text=text: _all(connection, text))  # type: ignore[misc]


def _panel_queries() -> Iterator[tuple[str, str]]:
    for dashboard in DASHBOARDS:
        for variable in dashboard.variables:
            if variable.values:
                yield f"{dashboard.uid}: values of {variable.name}", variable.choices.text
        for panel, query in dashboard.questions:
            yield f"{dashboard.uid}: {panel.title.en}", asked(query, dashboard, subject=PROJECT)


def _questions(connection: Connection[Any]) -> Iterator[dict[str, Any]]:
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        _read_only(connection)
        for name, ask in QUESTIONS.items():
            yield _timed("question", name, lambda ask=ask: ask(cursor))  # type: ignore[misc]


def _read_only(connection: Connection[Any]) -> None:
    """The limits of the reading role; a view's plan is the same whoever reads it."""
    for setting in (*SETTINGS, "SET transaction_read_only = on"):
        connection.execute(setting.replace("SET ", "SET LOCAL ").encode())


def _all(connection: Connection[Any], text: str) -> list[Any]:
    return connection.execute(text.encode()).fetchall()


def _pages(at: Bench, dsn: str) -> list[dict[str, Any]]:
    """The HTML of each page, built from what the database says; a browser is not in the figure."""
    took: dict[tuple[str, str], list[float]] = {(look, path): [] for look in LOOKS for path in PAGES}
    for _ in range(RUNS):
        with opened_console(at, dsn) as console:
            for path in PAGES:
                for look in LOOKS:
                    took[look, path].append(_took_ms(lambda path=path: page_of(console.port, path, console.cookie)))  # type: ignore[misc]
    return [_row(look, path, each) for (look, path), each in took.items()]


class Console(NamedTuple):
    """A console process, and the cookie of somebody who is signed in."""

    port: int
    pid: int
    cookie: str


@contextmanager
def opened_console(at: Bench, dsn: str) -> Iterator[Console]:
    """One that answers."""
    name = f"bench-{secrets.token_hex(3)}"
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        users.add(cursor, name, Role.STEWARD, PASSWORD, "benchmarks")
    with _console(at, dsn) as (port, pid):
        yield Console(port, pid, signed_in(port, name))


@contextmanager
def _console(at: Bench, dsn: str) -> Iterator[tuple[int, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    given = {"KAFKA__BOOTSTRAP": at.bootstrap, "DATABASE__DSN": dsn, "CONSOLE__PORT": str(port), "CONSOLE__HTTP_PORT": "0"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
    environment |= {f"DUJIANG_{name}": value for name, value in given.items()}
    process = subprocess.Popen([sys.executable, "-m", "dujiang", "console"], cwd=ROOT, env=environment)
    try:
        until_alive(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(15)


def until_alive(port: int) -> None:
    """Raises OSError where a console does not answer in time."""
    end_s = time.monotonic() + START_S
    while True:
        try:
            _sent(port, "GET", "/health/live")
            return
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.2)


def signed_in(port: int, name: str) -> str:
    """The cookie of a user whose password is PASSWORD."""
    form = urlencode({"name": name, "password": PASSWORD, "next": "/console/"})
    answer, _ = _sent(port, "POST", "/console/sign-in", form, origin=f"http://127.0.0.1:{port}")
    assert answer.status == 303, answer.status
    return answer.getheader("set-cookie", "").partition(";")[0]


def page_of(port: int, path: str, cookie: str) -> bytes:
    """One page, whole. AssertionError for any other answer."""
    answer, content = _sent(port, "GET", f"/console{path}", cookie=cookie)
    assert answer.status == 200, (path, answer.status)
    return content


def _sent(port: int, method: str, path: str, body: str | None = None, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    given = {"accept": "text/html", "content-type": "application/x-www-form-urlencoded", **headers}
    connection.request(method, path, body, given)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def _timed(kind: str, name: str, ask: Callable[[], object]) -> dict[str, Any]:
    return _row(kind, name, [_took_ms(ask) for _ in range(RUNS)])


def _took_ms(ask: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    ask()
    return (time.perf_counter() - began_s) * 1000


def _row(kind: str, name: str, took_ms: list[float]) -> dict[str, Any]:
    median, worst = round(statistics.median(took_ms), 1), round(max(took_ms), 1)
    print(f"{kind:16} {name:60} {median:8.1f} {worst:8.1f} ms", flush=True)
    return {"kind": kind, "name": name, "median_ms": median, "worst_ms": worst}


if __name__ == "__main__":
    main()
