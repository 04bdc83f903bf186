"""Reading by cursor: in order, without loss or repeat, waiting where there is nothing yet."""

import socket
import threading
import time
from typing import Any

import pytest

from tests.conftest import Stage
from tests.gateway.subscriptions.cast import Partner
from tests.gateway.subscriptions.memory import ANNOUNCED, SUSPENDED, body_of

pytestmark = pytest.mark.services


@pytest.fixture
def agency(subscribers: Any, directory: Any) -> Partner:
    return Partner(subscribers, directory.register("agency-1", "subscribe:*", "clearance:internal"))


def events(count: int, name: str = "e", entities: int = 7) -> list[bytes]:
    return [body_of(f"{name}-{number:04}", subject=f"P-{number % entities}") for number in range(count)]


def of_entity(ids: list[str], entity: int, entities: int = 7) -> list[str]:
    return [one for one in ids if int(one.rpartition("-")[2]) % entities == entity]


def test_every_event_comes_once_and_those_of_an_entity_in_order(agency: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    stage.send(events(500))
    ids, cursor = agency.pull_all(made, limit=37)
    assert sorted(ids) == [f"e-{number:04}" for number in range(500)]
    for entity in range(7):
        found = of_entity(ids, entity)
        assert found == sorted(found)
    assert agency.pull_all(made, cursor)[0] == []


def test_the_same_cursor_gives_the_same_events_again(agency: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json
    stage.send(events(20, entities=1))
    ids, _ = agency.pull_all(made["id"], made["cursor"], limit=5)
    assert len(ids) == 20
    assert agency.pull_all(made["id"], made["cursor"], limit=7)[0] == ids


def test_what_came_before_the_gateway_looked_is_caught_up_with(agency: Partner, stage: Stage) -> None:
    stage.send(events(50, "old"))
    made = agency.subscribe(SUSPENDED, start="earliest").json["id"]
    ids, cursor = agency.pull_all(made, limit=20)
    stage.send(events(50, "new"))
    later, _ = agency.pull_all(made, cursor, limit=20)
    assert (len(ids), len(set(ids)), {one[:3] for one in ids}) == (50, 50, {"old"})
    assert (len(later), len(set(later)), {one[:3] for one in later}) == (50, 50, {"new"})


def test_a_subscription_begins_where_it_was_told_to(agency: Partner, stage: Stage) -> None:
    stage.send(events(3, "old", entities=1))
    time.sleep(0.01)  # the log's time stamps have milliseconds
    between = _now(stage)
    stage.send(events(2, "new", entities=1))
    starts = {"earliest": 5, between: 2, "now": 0}
    found = {start: len(agency.pull_all(agency.subscribe(SUSPENDED, start=start).json["id"])[0]) for start in starts}
    assert found == starts
    behind = agency.pull(agency.subscribe(SUSPENDED, start="earliest").json["id"], limit=4).json["cursor"]
    assert agency.pull_all(agency.subscribe(SUSPENDED, start=behind).json["id"])[0] == ["new-0001"]


def _now(stage: Stage) -> str:
    return str(stage.rows("SELECT to_char(clock_timestamp(), 'YYYY-MM-DD\"T\"HH24:MI:SS.MSZ')")[0][0])


def test_a_long_poll_answers_when_something_comes(agency: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    agency.pull(made)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(agency.pull(made, wait=20)))
    waiting.start()
    stage.send(events(1))
    waiting.join(10)
    assert [event["id"] for event in answers[0].json["events"]] == ["e-0000"]


def test_a_long_poll_that_nothing_comes_for_answers_with_the_same_place(agency: Partner) -> None:
    made = agency.subscribe(SUSPENDED).json
    page = agency.pull(made["id"], wait=0.2)
    assert page.json == {
        "events": [],
        "cursor": made["cursor"],
        "has_more": False,
        "withheld": {"right": 0, "classification": 0},
    }


def test_a_pause_ends_a_long_poll_and_nothing_is_lost(agency: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json
    path = f"/subscriptions/{made['id']}"
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(agency.pull(made["id"], wait=20)))
    waiting.start()
    stage.until(lambda: waiting.is_alive())
    agency.send("POST", f"{path}/pause")
    waiting.join(10)
    assert (answers[0].kind, answers[0].json["state"]) == ("subscription_not_enabled", "paused")
    stage.send(events(3))
    agency.send("POST", f"{path}/resume")
    assert len(agency.pull_all(made["id"], made["cursor"])[0]) == 3


def test_a_change_of_filter_holds_from_the_next_page_on(agency: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json
    narrowed = made | {"filters": [{"sql": "id = 'e-0001'"}]}
    assert agency.send("PUT", f"/subscriptions/{made['id']}", narrowed).json["revision"] == 2
    stage.send(events(3))
    assert agency.pull_all(made["id"])[0] == ["e-0001"]


def test_a_type_that_is_added_begins_now(agency: Partner, stage: Stage) -> None:
    call = {"type": ANNOUNCED, "subject": "C-1", "data": {"title": "x", "opens": "2026-03-01", "closes": "2026-04-01"}}
    made = agency.subscribe(SUSPENDED).json
    stage.send([body_of("before", **call)])
    agency.send("PUT", f"/subscriptions/{made['id']}", made | {"types": [SUSPENDED, ANNOUNCED]})
    stage.send([body_of("after", **call), body_of("project")])
    assert sorted(agency.pull_all(made["id"], made["cursor"])[0]) == ["after", "project"]


def test_a_type_that_comes_back_begins_anew(agency: Partner, stage: Stage) -> None:
    call = {"type": ANNOUNCED, "subject": "C-1", "data": {"title": "x", "opens": "2026-03-01", "closes": "2026-04-01"}}
    made = agency.subscribe(SUSPENDED, ANNOUNCED).json
    path = f"/subscriptions/{made['id']}"
    agency.send("PUT", path, made | {"types": [SUSPENDED]})
    stage.send([body_of("without", **call)])
    cursor = agency.pull(made["id"]).json["cursor"]
    agency.send("PUT", path, made)
    stage.send([body_of("again", **call)])
    assert agency.pull_all(made["id"], cursor)[0] == ["again"]


@pytest.mark.parametrize("cursor", ["x", "MQ", "%E6%B8%B8"])
def test_a_malformed_cursor_is_a_problem(agency: Partner, cursor: str) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    refused = agency.pull(made, cursor)
    assert (refused.status, refused.kind) == (400, "cursor_invalid")
    with agency.stream(made, "x") as stream:
        assert stream.response.status == 400


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "wait=31", "wait=-1", "limit=x", "wait=nan"])
def test_a_parameter_out_of_bounds_is_a_problem(agency: Partner, query: str) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    assert agency.send("GET", f"/subscriptions/{made}/events?{query}").kind == "request_invalid"


def test_a_webhooks_events_are_not_read_here(agency: Partner) -> None:
    made = agency.subscribe(SUSPENDED, protocol="HTTP", sink="https://agency.example/").json["id"]
    assert agency.pull(made).kind == "protocol_mismatch"


def test_a_subscription_has_only_so_many_readers(agency: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    with agency.stream(made), agency.stream(made):
        refused = agency.pull(made)
        assert (refused.status, refused.kind, refused.headers["retry-after"]) == (429, "readers_too_many", "5")
    stage.until(lambda: agency.pull(made).status == 200)


def test_who_goes_away_while_he_waits_gives_his_seat_back(agency: Partner, stage: Stage) -> None:
    made = agency.subscribe(SUSPENDED).json["id"]
    host, port = agency.gateway.host, agency.gateway.port
    asked = f"GET /subscriptions/{made}/events?wait=30 HTTP/1.1\r\nhost: {host}\r\n{agency.raw_headers}\r\n".encode()
    waiting = [socket.create_connection((host, port)) for _ in range(2)]
    for one in waiting:
        one.sendall(asked)
    stage.until(lambda: agency.pull(made).status == 429)
    for one in waiting:
        one.close()
    stage.until(lambda: agency.pull(made).status == 200, seconds_max=10)


def test_a_rehearsal_shows_matches_by_day_samples_and_what_it_looked_at(agency: Partner, stage: Stage) -> None:
    stage.send(events(15, entities=1))
    asked = {
        "types": [SUSPENDED],
        "filters": [{"not": {"suffix": {"id": "0000"}}}],
        "purpose": "a",
        "legal_basis": "b",
        "approver": "c",
    }
    told = agency.send("POST", "/subscriptions/rehearse", asked).json
    assert (told["matched"], sum(told["matched_by_day"].values()), len(told["samples"])) == (14, 14, 10)
    assert told["looked_at"] == {
        "since": "2026-02-22T08:00:00Z",
        "until": "2026-03-01T08:00:00Z",
        "records": 15,
        "is_complete": True,
        "stopped_by": None,
    }
    assert agency.send("GET", "/subscriptions").json == {"subscriptions": []}


def test_a_rehearsal_ends_at_its_bound_and_says_so(agency: Partner, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.subscriptions.rehearsal.RECORDS_MAX", 0)
    stage.send(events(15))
    told = agency.send("POST", "/subscriptions/rehearse", {"types": [ANNOUNCED, SUSPENDED]}).json
    assert told["looked_at"]["records"] == 0
    assert (told["looked_at"]["is_complete"], told["looked_at"]["stopped_by"]) == (False, "records")
