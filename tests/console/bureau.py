"""A small bureau on real services, and its console as a process: what the browser tests look at."""

import json
import re
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any
from urllib.request import urlopen
from uuid import UUID

import psycopg
from prometheus_client import CollectorRegistry

from engine.subscriptions import deliveries, register
from engine.subscriptions.deliveries import Outcome, Plan, Planned, Settlement
from gateway.console import users
from gateway.console.rights import Role
from monitoring.metrics import ReadingMetrics
from schemas.subscriptions import Basis, Place, Status, Subscription
from schemas.topics import PROJECT_EVENT
from sinks.status.reading import keep_fresh
from tests.conftest import TEMPLATE, Stage, _emptied, _with_database

PASSWORD = "a password of tests"
PREFIX = "gov.stiib."
INSTITUTE = "/partners/institute"
HOOK, READER = UUID(int=7), UUID(int=8)
TITLE = "水泵 <b onmouseover=alert(1)>quiet</b>"


class Bureau:
    """`url` of the console; `stage` below it."""

    def __init__(self, stage: Stage, url: str, metrics_url: str) -> None:
        self.stage = stage
        self.url, self._metrics_url = url, metrics_url

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.stage.rows(query, *values)

    def metrics(self) -> str:
        """What Prometheus would read."""
        with urlopen(self._metrics_url, timeout=5) as answer:  # noqa: S310 - our own address
            return str(answer.read(), "utf-8")


def event(
    name: str, event_id: str, subject: str, time: datetime, data: dict[str, Any] | None = None, source: str = INSTITUTE
) -> bytes:
    """One structured CloudEvent."""
    body = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": f"{PREFIX}{name}.v1",
        "subject": subject,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": data or {},
    }
    return json.dumps(body, ensure_ascii=False).encode()


def firing(key: str, event_id: str, time: datetime, severity: str, title: str) -> bytes:
    """A monitor's word."""
    data = {
        "status": "firing",
        "severity": severity,
        "title": title,
        "starts_at": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "refresh_s": None,
    }
    return event("infra.monitor.received", event_id, key, time, data, "/connectors/alertmanager")


def life(now: datetime) -> list[bytes]:
    """A project that is overdue, was paid, and of which one payment was refused; an early one; alerts."""
    day = timedelta(days=1)
    milestones = [{"id": "M-1", "due": f"{now - 40 * day:%Y-%m-%d}"}, {"id": "M-2", "due": f"{now + 20 * day:%Y-%m-%d}"}]
    contract = {
        "contract_no": "HT-7",
        "amount": 1_000,
        "start": f"{now - 300 * day:%Y-%m-%d}",
        "end": f"{now + 100 * day:%Y-%m-%d}",
        "milestones": milestones,
    }
    application = {"call_id": "C-1", "title": TITLE, "lead": "Institute of Pumps", "budget": 1_000}
    return [
        event("research.application.submitted", "e-1", "P/1", now - 400 * day, application),
        event("research.review.started", "e-2", "P/1", now - 390 * day),
        event("research.project.approved", "e-3", "P/1", now - 380 * day),
        event("research.project.contracted", "e-4", "P/1", now - 310 * day, contract),
        event("research.funds.disbursed", "e-5", "P/1", now - 200 * day, {"amount": 400, "tranche": 1}),
        event("research.funds.disbursed", "e-6", "P/1", now - 100 * day, {"amount": 900, "tranche": 2}),
        event("research.application.submitted", "e-7", "P/2", now - 3 * day, application | {"title": "Weir"}),
        firing("am/1", "a-1", now - timedelta(hours=1), "critical", "pump station away"),
        firing("am/2", "a-2", now - timedelta(minutes=1), "low", "disk fills"),
        firing("am/3", "a-3", now - timedelta(minutes=1), "warning", "certificate ends"),
    ]


def call(now: datetime) -> list[bytes]:
    """A call that was prolonged, and closes within days."""
    told = {"title": "Pumps of tomorrow", "programme": "Water", "budget": 5_000_000}
    term = {
        "opens_at": f"{now - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}",
        "closes_at": f"{now + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    }
    later = {"closes_at": f"{now + timedelta(days=5):%Y-%m-%dT%H:%M:%SZ}"}
    return [
        event("research.call.announced", "c-1", "C-1", now - timedelta(days=30), told | term, "/partners/bureau"),
        event("research.call.extended", "c-2", "C-1", now - timedelta(days=2), later, "/partners/bureau"),
    ]


def broken(now: datetime, event_id: str = "bad-1") -> bytes:
    """An application without a call."""
    data = {"title": "Sluice", "lead": "Institute of Sluices", "budget": 10}
    return event("research.application.submitted", event_id, "P/9", now, data, "/partners/careless")


def subscribed(cursor: psycopg.Cursor[Any], now: datetime, owner: str = "institute", other: str = "other") -> None:
    """A webhook of the owner: a delivery acknowledged, one given up, one that waits; a reader of somebody else."""
    place, basis = Place("research.call.event", 0), Basis("audit of funds", "Audit Law 36", "Office 3")
    enabled = Status("enabled", "validated", "partner", now, validated_at=now)
    hook = Subscription(HOOK, owner, "HTTP", enabled, now, now, sink="https://hooks.example.org/secret-path", basis=basis)
    register.add(cursor, hook, {place: 10})
    reader = Subscription(READER, other, "PULL", Status("enabled", "created", "partner", now, validated_at=now), now, now)
    register.add(cursor, reader, {place: 0})
    deliveries.plan(cursor, [Plan(HOOK, 0, 3, {place: 13}, [Planned(number, place, 9 + number) for number in (1, 2, 3)])])
    deliveries.settle(cursor, [settlement(1, place, now, "acknowledged"), settlement(2, place, now, "dead_lettered", "failed")])


def settlement(number: int, place: Place, now: datetime, outcome: Outcome, reason: str | None = None) -> Settlement:
    """How the first attempt at a delivery of HOOK ended."""
    return Settlement(
        subscription_id=HOOK,
        number=number,
        place=place,
        offset=9 + number,
        event_id=f"call-{number}",
        event_source="/partners/bureau",
        event_type=f"{PREFIX}research.call.announced.v1",
        attempt=1,
        failures=1,
        started_at=now,
        first_at=now,
        duration_ms=70,
        outcome=outcome,
        reason=reason,
        status=500 if reason else 200,
        body=b"{}",
        message="<b>they</b> answered 500" if reason else "",
    )


@contextmanager
def founded(services: Any, registry: Any) -> Iterator[Bureau]:
    """Seeded, with workers and a console; all of it ends with the block."""
    name, reader = f"t_{secrets.token_hex(6)}", f"console_{secrets.token_hex(4)}"
    with psycopg.connect(services.postgres.admin_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER dujiang")
        connection.execute(f"CREATE ROLE {reader} LOGIN PASSWORD '{reader}' IN ROLE dujiang_reader")
    dsn = _with_database(services.addresses.dsn, name)
    reader_dsn = re.sub(r"//[^@]*@", f"//{reader}:{reader}@", dsn)
    try:
        with _emptied(services, dsn):
            stage, stop = Stage(services, dsn, registry), Event()
            figures = ReadingMetrics(CollectorRegistry())
            copying = Thread(target=keep_fresh, args=(dsn, stop, figures), daemon=True)  # as a worker process does
            try:
                _seed(stage)
                copying.start()
                port, http_port = free_port(), free_port()
                process = stage.console(port, http_port, console__reader_dsn=reader_dsn)
                url = f"http://127.0.0.1:{port}/console"
                stage.until(lambda: _answers(url, process), 90, lambda: "the console does not answer")
                yield Bureau(stage, url, f"http://127.0.0.1:{http_port}/metrics")
            finally:
                stop.set()
                stage.stop()
    finally:
        with psycopg.connect(services.postgres.admin_dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute(f"DROP ROLE {reader}")


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _seed(stage: Stage) -> None:
    now = datetime.now(UTC)
    stage.send([*life(now), *call(now)])
    stage.send_raw(PROJECT_EVENT.name, b"P/9", broken(now))
    with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
            " SELECT id, name, '{publish:gov.stiib.*}', ARRAY['/partners/' || id], 100, 5000, 1000, 'tests'"
            " FROM (VALUES ('institute', 'Institute of Pumps'), ('other', 'Other Works')) AS wanted (id, name)"
        )
        for role in (Role.VIEWER, Role.OPERATOR, Role.STEWARD):
            users.add(cursor, str(role), role, PASSWORD, "tests")
        subscribed(cursor, now)
        cursor.execute(
            "INSERT INTO work (kind, title, started_by, done, total) VALUES ('ingest', 'gtr a.csv', 'li', 400, 1000)"
        )
        users.add(cursor, "institute", Role.PARTNER, PASSWORD, "tests", "institute")
    stage.start("projects", "calls", "alerts", "history")
    stage.drained("projects", "calls", "alerts", "history")


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the console ended while starting"
    try:
        with urlopen(f"{url}/sign-in", timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False
