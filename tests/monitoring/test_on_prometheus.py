"""A real Prometheus with the real rules scrapes a real worker and gateway: every panel has something to show."""

import json
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.pages import PASSWORD, page_of, signed_in, until_alive
from dujiang.embedded.ports import free_port
from gateway import partners
from gateway.console import users
from gateway.console.rights import Role
from gateway.identity import Partner
from gateway.limits import Allowance
from monitoring.dashboards import DASHBOARDS
from monitoring.dashboards.declared import Prom
from tests.conftest import Stage
from tests.monitoring.grafana import promql_of
from tests.sinks.webhooks.conftest import Post

pytestmark = [pytest.mark.services, pytest.mark.slow]

SECONDS_MAX = 90
PHASES = ("poll", "decide", "wait", "publish", "store")  # as the catalogue names them


@pytest.fixture(scope="module")
def prometheus_program() -> str:
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("no prometheus: on Debian `apt-get install prometheus`")
    return found


def test_every_panel_and_rule_has_data_from_a_running_platform(
    prometheus_program: str, rule_files: list[Path], rules: list[dict[str, Any]], stage: Stage, theirs: str, tmp_path: Path
) -> None:
    ports = {job: free_port() for job in ("worker", "gateway", "deliverer", "connector", "console")}
    stage.worker(worker__http_port=str(ports["worker"]), worker__timers="true", worker__timer_poll_ms="100")
    stage.execute(
        "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by,"
        " promised_s, promised_at) VALUES ('a', 'A', '{publish:*}', '{/partners/a}', 1, 1000, 1, 'tests', 3600, now())"
    )
    stage.gateway(ports["gateway"])
    # The guard refuses loopback, which is an outcome as good as any.
    Post(stage).subscribe("http://127.0.0.1:1/", b"s" * 32)
    stage.deliverer(ports["deliverer"])
    stage.connector("institute-7", theirs, ports["connector"])
    port, cookie = _console(stage, ports["console"])
    queries = {
        f"{dashboard.uid}: {panel.title.en}: {query.text}": promql_of(query)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries
        if isinstance(query, Prom)
    } | {f"rule {rule['record']}": rule["record"] for rule in rules if "record" in rule}
    queries |= {phase: f'dujiang_batch_phase_seconds_count{{phase="{phase}"}}' for phase in PHASES}
    with _prometheus(prometheus_program, rule_files, ports, tmp_path) as address:
        silent = dict(queries)
        number = 0
        end = time.monotonic() + SECONDS_MAX
        while silent and time.monotonic() < end:
            _traffic(stage, ports["gateway"], number)
            _monitors(ports["gateway"])
            _partners_traffic(stage, theirs, number)
            page_of(port, "/", cookie)
            number += 1
            silent = {name: query for name, query in silent.items() if not _asked(address, query)}
            time.sleep(0.5)
        assert list(silent) == []


@pytest.fixture
def theirs(stage: Stage) -> Iterator[str]:
    """A partner, and a topic of its own."""
    partner = Partner("institute-7", ("publish:*",), ("/partners/institute-7",), Allowance(1, 1_000, 1))
    with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
        partners.put(cursor, partner, "I", "tests", replace=False)
    topic, admin = f"their.{secrets.token_hex(4)}", AdminClient({"bootstrap.servers": stage.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    yield topic
    admin.delete_topics([topic])[topic].result(30)


def _console(stage: Stage, metrics_port: int) -> tuple[int, str]:
    """(port, the cookie of somebody who signed in)."""
    with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
        users.add(cursor, "viewer", Role.VIEWER, PASSWORD, "tests")
    port = free_port()
    stage.console(port, metrics_port)
    until_alive(port)
    return port, signed_in(port, "viewer")


def _partners_traffic(stage: Stage, topic: str, number: int) -> None:
    """What the connector carries, and what it refuses."""
    event = {
        "specversion": "1.0",
        "id": f"theirs-{number}",
        "source": "/partners/institute-7",
        "type": "gov.stiib.research.application.submitted.v1",
        "subject": f"T-{number}",
        "time": "2026-02-28T10:00:00Z",
        "data": {"call_id": "C-1", "title": "t", "lead": "l", "budget": 5},
    }
    stage.send_raw(topic, b"k", json.dumps(event).encode())
    stage.send_raw(topic, b"k", b"no event at all")


def _monitors(gateway: int) -> None:
    """An Alertmanager that is right, one that is half right, and one that is not."""
    alert = {"status": "firing", "labels": {"alertname": "PumpStopped", "severity": "critical"}, "annotations": {}}
    begun = {"startsAt": "2026-03-01T11:59:30Z", "endsAt": "0001-01-01T00:00:00Z"}
    body = {"version": "4", "truncatedAlerts": 0, "groupKey": "g"}
    _ask(gateway, "/hooks/alertmanager/weir-1", {**body, "alerts": [alert | begun, alert | begun | {"status": "odd"}]})
    _ask(gateway, "/hooks/alertmanager/weir-1", {"version": "3"})


def _traffic(stage: Stage, gateway: int, number: int) -> None:
    """Through the door and past it: a project whose start passes (a timer), one in the wrong order, and mistakes."""
    began = datetime.now(UTC) - timedelta(days=400)
    key, early = f"P-{number}", f"E-{number}"
    contract = {"contract_no": "1", "amount": 100, "start": "2025-01-01", "end": "2025-02-01", "milestones": []}
    application = {"call_id": "C-1", "title": "t", "lead": "l", "budget": 100}
    told = [
        (key, "application.submitted", application),
        (key, "application.submitted", application),  # the same again
        (key, "review.started", {}),
        (key, "project.approved", {}),
        (key, "project.contracted", contract),
        (early, "review.started", {}),
        (early, "application.submitted", application),
    ]
    for minute, (subject, name, data) in enumerate(told):
        time_of = began + timedelta(minutes=minute if subject == key else 20 - minute)
        _post(gateway, subject, f"gov.stiib.research.{name}.v1", time_of, data)
    _post(gateway, key, "gov.stiib.research.project.contracted.v1", began, {"amount": "much"})  # refused at the door
    stage.send_raw("research.project.event", key.encode(), b"no event at all")
    call = {"title": "t", "programme": "p", "opens_at": None, "closes_at": None, "budget": None}
    for subject, more in ((f"C-{number}", {}), (f"R-{number}", {"dataclassification": "restricted"})):
        _post(gateway, subject, "gov.stiib.research.call.announced.v1", began, call, more)
    _read(gateway)


def _read(gateway: int) -> None:
    """A subscriber who reads the public call and is not shown the restricted one."""
    wanted = {"protocol": "PULL", "types": ["gov.stiib.research.call.announced.v1"], "start": "earliest"}
    made = _ask(gateway, "/subscriptions", wanted)
    if made is not None:
        _ask(gateway, f"/subscriptions/{made['id']}/events")
        _ask(gateway, f"/subscriptions/{made['id']}", method="DELETE")


def _ask(gateway: int, path: str, body: Any = None, method: str | None = None) -> Any:
    """The answer's JSON; None when it is refused, empty, or nobody is there yet."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway}{path}",
        None if body is None else json.dumps(body).encode(),
        {"content-type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")
    except (urllib.error.URLError, TimeoutError):
        return None


def _post(gateway: int, subject: str, kind: str, time_of: datetime, data: Any, more: dict[str, str] | None = None) -> None:
    event = {
        "specversion": "1.0",
        "id": f"{subject}-{kind}",
        "source": "/partners/a",
        "type": kind,
        "subject": subject,
        "time": time_of.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data,
        **(more or {}),
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway}/events",
        json.dumps(event).encode(),
        {"content-type": "application/cloudevents+json"},
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    except (urllib.error.URLError, TimeoutError):
        return  # refused, or not there yet


@contextmanager
def _prometheus(program: str, rule_files: list[Path], ports: dict[str, int], folder: Path) -> Iterator[str]:
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rule_files],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in ports.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=error",
        ]
    )
    try:
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _asked(address: str, query: str) -> list[Any]:
    """Series at this moment; none while Prometheus starts."""
    url = f"http://{address}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
            return found
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return []
        raise
    except urllib.error.URLError:
        return []
