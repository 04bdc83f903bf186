"""Commands on a real Kafka and PostgreSQL: a small run, looked at from every side."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.services

Cli = Callable[..., Any]
ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "connectors"
STEPS = ("projects", "calls", "alerts", "history")


def event(number: int, name: str, subject: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/partners/a",
        "type": f"gov.stiib.{name}.v1",
        "subject": subject,
        "time": f"2026-01-01T00:00:{number:02d}Z",
        "data": data,
    }


EVENTS = [
    event(1, "research.application.submitted", "P-1", {"call_id": "C-1", "title": "水网", "lead": "ORG-1", "budget": 5}),
    event(2, "research.review.started", "P-1", {}),
    event(3, "research.application.submitted", "P-2", {"call_id": "C-1", "title": "[电]网", "lead": "ORG-2", "budget": 6}),
    event(
        4,
        "research.call.announced",
        "C-1",
        {"title": "t", "programme": "p", "opens_at": None, "closes_at": None, "budget": None},
    ),
    event(
        5,
        "infra.monitor.received",
        "m/1",
        {"status": "firing", "severity": "high", "title": "t", "starts_at": "2026-01-01T00:00:00Z", "refresh_s": None},
    ),
    event(6, "infra.alert.acknowledged", "m/9", {"by": "duty"}),
]


def file_of(folder: Path, events: list[dict[str, Any]]) -> Path:
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in events))
    return file


@pytest.fixture
def small_run(stage: Any, on_stage: Cli, tmp_path: Path) -> Cli:
    """Six events and a repeat published by command, two bad records, all done."""
    said = on_stage("publish", file_of(tmp_path, [*EVENTS, EVENTS[0]]))
    assert (said.status, said.out) == (0, "published 7, refused 0\n")
    stage.send_raw("research.project.event", b"P-3", b"no json")
    stage.send_raw("research.call.event", b"C-9", json.dumps(event(9, "research.call.closed", "C-9", {}) | {"id": ""}).encode())
    stage.start(*STEPS)
    stage.drained(*STEPS)
    return on_stage


def test_publish_tells_what_it_refused_and_publishes_the_rest(on_stage: Cli, stage: Any, tmp_path: Path) -> None:
    file = file_of(tmp_path, [EVENTS[0], EVENTS[1] | {"time": "soon"}, EVENTS[2]])
    said = on_stage("publish", file, "--json")
    assert (said.status, said.rows) == (1, [{"published": 2, "refused": 1}])
    assert "line 2: refused: " in said.err


def test_states_are_shown_as_table_and_as_json(small_run: Cli) -> None:
    said = small_run("projects", "--json")
    assert [(row["project_id"], row["state"], row["duplicates"]) for row in said.rows] == [
        ("P-1", "under_review", 1),
        ("P-2", "applied", 0),
    ]
    assert [row["project_id"] for row in small_run("projects", "--state", "applied", "--json").rows] == ["P-2"]
    table = small_run("projects", "P-1")
    assert "under_review" in table.out
    assert "P-2" not in table.out
    calls, alerts = small_run("calls"), small_run("alerts", "--condition", "firing")
    assert "[电]" not in calls.out
    assert "open" in calls.out
    assert "m/1" in alerts.out
    assert "m/9" not in alerts.out


def test_ledger_accounts_for_everything(small_run: Cli) -> None:
    said = small_run("ledger", "--json")
    assert said.status == 0
    projects = next(row for row in said.rows if row["step"] == "projects")
    assert (projects["published"], projects["applied"], projects["duplicate"], projects["quarantined"]) == (5, 3, 1, 1)
    assert all(row["unaccounted"] == 0 and row["lag"] == 0 for row in said.rows)
    assert "quarantined" in small_run("ledger").out


def test_a_ledger_that_does_not_add_up_ends_with_status_1(small_run: Cli, stage: Any) -> None:
    stage.stop()
    stage.rows("UPDATE ledger_day SET duplicate = duplicate + 1 WHERE step = 'alerts' RETURNING 1")
    said = small_run("ledger")
    assert said.status == 1
    assert "unaccounted for" in said.err


def test_topics_are_listed_described_and_their_lag_told(small_run: Cli) -> None:
    listed = {row["topic"]: row for row in small_run("topics", "list", "--json").rows}
    assert listed["research.project.event"]["exists"] is True
    described = small_run("topics", "describe", "research.project.event", "--json").rows[0]
    assert described["partitions"] == len(described["ends"]) == 8
    assert "retention.ms" in small_run("topics", "describe", "research.project.event").out
    lags = small_run("topics", "lag", "--json").rows
    assert {row["step"] for row in lags} == set(STEPS)
    assert not any(row["lag"] for row in lags)
    assert small_run("topics", "create").out == "all topics exist\n"
    unknown = small_run("topics", "describe", "nothing")
    assert unknown.status == 1
    assert "dujiang topics list" in unknown.err


def test_quarantine_is_worked_off(small_run: Cli, stage: Any, tmp_path: Path) -> None:
    rows = small_run("quarantine", "list", "--json").rows
    assert {row["topic"] for row in rows} == {"research.project.event", "research.call.event"}
    bad = {row["topic"]: str(row["id"]) for row in rows}
    assert "invalid_json" in small_run("quarantine", "list").out
    assert sum(row["records"] for row in small_run("quarantine", "list", "--causes", "--json").rows) == 2
    shown = small_run("quarantine", "show", bad["research.project.event"], "--json").rows[0]
    assert (shown["value"], shown["state"]) == ("no json", "waiting")

    still = small_run("quarantine", "replay", bad["research.project.event"])
    assert still.status == 1
    assert "still refused: " in still.err
    repaired = tmp_path / "repaired.json"
    repaired.write_text(json.dumps(event(10, "research.review.started", "P-2", {})))
    replayed = small_run("quarantine", "replay", bad["research.project.event"], "--file", repaired, "--why", "typed anew")
    assert replayed.status == 0
    stage.until(lambda: small_run("projects", "P-2", "--json").rows[0]["state"] == "under_review")

    silent = small_run("quarantine", "park", bad["research.call.event"])
    assert silent.status == 2
    parked = small_run("quarantine", "park", bad["research.call.event"], "--why", "a test", "--by", "me")
    assert parked.status == 0
    assert small_run("quarantine", "list", "--json").rows == []
    states = {row["state"] for row in small_run("quarantine", "list", "--state", "all", "--json").rows}
    assert states == {"replayed", "parked"}
    again = small_run("quarantine", "replay", bad["research.project.event"])
    assert again.status == 1
    assert "replayed already" in again.err
    assert small_run("quarantine", "show", "999999").status == 1


def test_nothing_there_is_said_and_not_printed(on_stage: Cli) -> None:
    for arguments, said in (
        (("projects",), "no projects stored"),
        (("quarantine", "list"), "nothing in quarantine"),
        (("breaker", "list"), "no partition is paused"),
        (("timers", "list"), "no timers"),
    ):
        answer = on_stage(*arguments)
        assert (answer.status, answer.out) == (0, "")
        assert said in answer.err


def test_a_broker_that_does_not_answer_is_one_line(on_stage: Cli) -> None:
    said = on_stage("topics", "list", kafka__bootstrap="127.0.0.1:1")
    assert said.status == 1
    assert "Traceback" not in said.err
    assert "127.0.0.1:1" in said.err


# --- gateway ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def gateway(stage: Any) -> Iterator[str]:
    """`dujiang gateway` on a free port; its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
    environment |= {"DUJIANG_KAFKA__BOOTSTRAP": stage.bootstrap, "DUJIANG_DATABASE__DSN": stage.dsn}
    command = [sys.executable, "-u", "-m", "dujiang", "gateway", "--port", "0"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        name, _, url = process.stdout.readline().decode().strip().partition("  ")
        assert name == "gateway"
        yield url
        process.terminate()
        assert process.wait(20) == 0


def post(url: str, body: Any, content_type: str = "application/cloudevents+json") -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": content_type})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_what_is_published_over_http_is_shown(gateway: str, stage: Any, on_stage: Cli) -> None:
    status, answer = post(f"{gateway}/events", EVENTS[0])
    assert status == 202
    assert answer["receipts"][0]["topic"] == "research.project.event"
    status, problem = post(f"{gateway}/events", EVENTS[0] | {"data": {"title": 7}})
    assert status == 422
    assert problem["type"].endswith("contract_broken")
    stage.start(*STEPS)
    stage.drained(*STEPS)
    assert [(row["project_id"], row["state"]) for row in on_stage("projects", "--json").rows] == [("P-1", "applied")]


def test_alertmanager_calls_the_gateway(gateway: str, stage: Any, on_stage: Cli) -> None:
    alert = {"status": "firing", "labels": {"severity": "page"}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f1"}
    body = {"version": "4", "groupKey": "g", "alerts": [alert]}
    assert post(f"{gateway}/hooks/alertmanager/hall-1", body, "application/json") == (200, {"accepted": 1, "refused": []})
    assert post(f"{gateway}/hooks/alertmanager/hall-1", {"version": "3"}, "application/json")[0] == 422
    stage.start(*STEPS)
    stage.drained(*STEPS)
    rows = on_stage("alerts", "--json").rows
    assert [(row["key"], row["severity"]) for row in rows] == [("hall-1/f1", "critical")]


def test_the_gateway_shows_its_metrics(gateway: str) -> None:
    post(f"{gateway}/events", EVENTS[0])
    with urllib.request.urlopen(f"{gateway}/metrics", timeout=20) as response:  # noqa: S310
        text = response.read().decode()
    assert "dujiang_gateway_accepted_events_total 1.0" in text


# --- ingest -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connector", ["gtr", "eu_calls", "alertmanager"])
def test_samples_are_taken_once(connector: str, on_stage: Cli, stage: Any) -> None:
    folder = SAMPLES / connector / "samples"
    first = on_stage("ingest", connector, folder, "--json")
    assert first.status == 0, first.err
    told = first.rows[0]
    assert told["read"] == told["published"] + told["unchanged"] + sum(told["refused"].values())
    assert told["published"] > 0
    second = on_stage("ingest", connector, folder, "--json").rows[0]
    assert (second["published"], second["read"]) == (0, told["read"])
    assert second["unchanged"] == told["published"] + told["unchanged"]
    stage.start(*STEPS)
    stage.drained(*STEPS)
    assert not any(account.unaccounted for account in stage.accounts())


def test_ingest_says_it_in_lines_too(on_stage: Cli) -> None:
    said = on_stage("ingest", "gtr", SAMPLES / "gtr" / "samples" / "made_up_2024-03-01.csv")
    assert said.status == 0
    assert said.out.startswith("read ")


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (("scopus", "x"), 2, "alertmanager, eu_calls, gtr"),
        (("alertmanager", "x", "--name", "Hall 1"), 2, "a-z, 0-9 and -"),
        (("gtr", "nowhere.csv"), 1, "nowhere.csv"),
    ],
    ids=["connector", "monitor", "file"],
)
def test_ingest_refuses_what_it_cannot_do(on_stage: Cli, arguments: tuple[str, ...], status: int, part: str) -> None:
    said = on_stage("ingest", *arguments)
    assert said.status == status
    assert part in said.err
    assert "Traceback" not in said.err
