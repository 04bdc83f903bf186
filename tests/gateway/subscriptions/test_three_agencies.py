"""Three agencies at one gateway: one subscribed to all, one in part, one that must see nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.identity import Identity, digest_of
from tests.conftest import Stage
from tests.gateway.subscriptions.cast import Partner
from tests.gateway.subscriptions.memory import ANNOUNCED, MONITORED, SUSPENDED, body_of

pytestmark = pytest.mark.services

# Planted in every event that must not leak.
SECRET = "绝密样本"
CALL = {"type": ANNOUNCED, "subject": "C-1", "data": {"title": "Quiet pumps", "opens": "2026-03-01", "closes": "2026-04-01"}}
EVENTS = [
    body_of("project"),
    body_of("secret", dataclassification="restricted", data={"reason": SECRET}),
    body_of("call", **CALL),
    body_of(
        "secret-call",
        **CALL | {"data": {"title": SECRET, "opens": "2026-03-01", "closes": "2026-04-01"}},
        dataclassification="核心",
    ),
]


@pytest.fixture
def statistics(subscribers: Any, directory: Any) -> Partner:
    """May receive all of research, whatever its classification."""
    return Partner(subscribers, directory.register("statistics", "subscribe:gov.stiib.research.*", "clearance:restricted"))


@pytest.fixture
def library(subscribers: Any, directory: Any) -> Partner:
    """May receive research, as far as it is public or internal."""
    return Partner(subscribers, directory.register("library", "subscribe:gov.stiib.research.*", "clearance:internal"))


@pytest.fixture
def waterworks(subscribers: Any, directory: Any) -> Partner:
    """May receive the infrastructure's events, and nothing of research."""
    return Partner(subscribers, directory.register("waterworks", "subscribe:gov.stiib.infra.*", "clearance:restricted"))


def test_each_agency_pulls_what_is_its_own(statistics: Partner, library: Partner, waterworks: Partner, stage: Stage) -> None:
    made = [agency.subscribe().json["id"] for agency in (statistics, library, waterworks)]
    stage.send(EVENTS)
    told = [sorted(agency.pull_all(one)[0]) for agency, one in zip((statistics, library, waterworks), made, strict=True)]
    assert told == [["call", "project", "secret", "secret-call"], ["call", "project"], []]


def test_nothing_of_a_withheld_event_is_in_any_answer(library: Partner, stage: Stage) -> None:
    made = library.subscribe(SUSPENDED, ANNOUNCED, start="earliest").json["id"]
    stage.send(EVENTS)
    stage.until(lambda: sum(library.pull(made).json["withheld"].values()) == 2)
    page = library.pull(made)
    assert page.json["withheld"] == {"right": 0, "classification": 2}
    rehearsed = library.send(
        "POST",
        "/subscriptions/rehearse",
        {"types": [SUSPENDED, ANNOUNCED], "days": 31, "purpose": "a", "legal_basis": "b", "approver": "c"},
    )
    assert rehearsed.json["withheld"] == {"right": 0, "classification": 2}
    assert sorted(sample["id"] for sample in rehearsed.json["samples"]) == ["call", "project"]
    with library.stream(made) as stream:
        stage.until(lambda: len(stream.came.events()) == 2)
        shown = json.dumps(stream.came.frames, ensure_ascii=False)
    assert not any(SECRET in text for text in (page.body.decode(), rehearsed.body.decode(), shown))


def test_an_agency_of_one_region_sees_its_own_rows_alone(subscribers: Any, directory: Any, stage: Stage) -> None:
    district = Partner(
        subscribers,
        directory.register(
            "district", "subscribe:gov.stiib.research.*", "clearance:internal", "only:region=3301*", "only:region=3302"
        ),
    )
    made = district.subscribe(SUSPENDED, start="earliest").json["id"]
    stage.send(
        [
            body_of("near", region="330106"),
            body_of("far", region="440300", data={"reason": SECRET}),
            body_of("nowhere", data={"reason": SECRET}),
            body_of("beside", region="3302"),
        ]
    )
    stage.until(lambda: sum(district.pull(made).json["withheld"].values()) == 2)
    page = district.pull(made)
    assert sorted(event["id"] for event in page.json["events"]) == ["beside", "near"]
    assert page.json["withheld"] == {"right": 2, "classification": 0}
    rehearsed = district.send(
        "POST",
        "/subscriptions/rehearse",
        {"types": [SUSPENDED], "days": 31, "purpose": "a", "legal_basis": "b", "approver": "c"},
    )
    assert rehearsed.json["withheld"] == {"right": 2, "classification": 0}
    with district.stream(made) as stream:
        stage.until(lambda: len(stream.came.events()) == 2)
        shown = json.dumps(stream.came.frames, ensure_ascii=False)
    assert not any(SECRET in text for text in (page.body.decode(), rehearsed.body.decode(), shown))


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        ({"protocol": "HTTP", "sink": "https://agency.example.org/events"}, []),
        ({"protocol": "HTTP", "sink": "https://agency.example.org/events", "start": "snapshot"}, []),
        ({"protocol": "KAFKA"}, ["/protocol"]),
        ({"protocol": "PULL", "start": "snapshot"}, ["/start"]),
        ({"protocol": "PULL"}, []),
    ],
)
def test_a_token_of_single_rows_orders_nothing_that_cannot_be_judged_by_rows(
    subscribers: Any, directory: Any, asked: dict[str, Any], places: list[str]
) -> None:
    token = directory.register("district", "subscribe:gov.stiib.research.*", "clearance:internal")
    whole = directory.known[digest_of(token)]
    directory.known[digest_of(token)] = replace(whole, scopes=(*whole.partner.scopes, "only:region=3301*"))
    answer = Partner(subscribers, token).send("POST", "/subscriptions", {"types": [ANNOUNCED], **asked})
    assert (answer.status, [fault["pointer"] for fault in answer.json.get("errors", [])]) == (403 if places else 201, places)
    if not places:
        assert answer.json["granted"] == [*whole.partner.scopes, "only:region=3301*"]


def test_what_went_out_and_what_was_withheld_is_counted(
    library: Partner, stage: Stage, reader_counts: CollectorRegistry
) -> None:
    made = library.subscribe(SUSPENDED, ANNOUNCED).json["id"]
    stage.send(EVENTS)
    assert len(library.pull_all(made)[0]) == 2
    counted = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in reader_counts.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }
    assert counted == {
        ("dujiang_gateway_delivered_events_total", "pull"): 2,
        ("dujiang_gateway_withheld_events_total", "classification"): 2,
        ("dujiang_gateway_withheld_events_total", "right"): 0,
        ("dujiang_gateway_readers",): 0,
    }


def test_what_is_not_granted_cannot_be_subscribed_to_or_rehearsed(waterworks: Partner) -> None:
    refused = waterworks.subscribe(MONITORED, SUSPENDED)
    assert (refused.status, refused.kind, refused.faults) == (
        403,
        "subscribe_right_missing",
        [("/types/1", "type_not_granted")],
    )
    rehearsed = waterworks.send("POST", "/subscriptions/rehearse", {"types": [SUSPENDED]})
    assert rehearsed.kind == "subscribe_right_missing"


def test_without_a_basis_only_public_events_go_out(statistics: Partner, stage: Stage) -> None:
    made = statistics.send("POST", "/subscriptions", {"protocol": "PULL", "types": [ANNOUNCED]}).json["id"]
    stage.send(EVENTS)
    assert statistics.pull_all(made)[0] == ["call"]


def test_a_narrower_token_narrows_what_comes(subscribers: Any, directory: Any, statistics: Partner, stage: Stage) -> None:
    assert statistics.token is not None
    made = statistics.subscribe().json["id"]
    stage.send(EVENTS)
    digest = digest_of(statistics.token)
    known = directory.known[digest]
    directory.known[digest] = Identity(known.partner, ("subscribe:gov.stiib.research.call.*",), known.expires_at)
    assert statistics.pull_all(made)[0] == ["call"]


def test_a_right_that_ends_while_a_stream_runs_ends_what_comes(statistics: Partner, directory: Any, stage: Stage) -> None:
    made = statistics.subscribe(SUSPENDED, ANNOUNCED).json["id"]
    with statistics.stream(made) as stream:
        stage.send([body_of("before")])
        stage.until(lambda: stream.came.ids() == ["before"])
        directory.register("statistics", "subscribe:gov.stiib.research.call.*", token=statistics.token)
        stage.send([body_of("after"), body_of("call", **CALL)])
        stage.until(lambda: len(stream.came.events()) == 2)
        assert stream.came.ids() == ["before", "call"]


def test_a_token_that_is_revoked_ends_the_stream(statistics: Partner, directory: Any) -> None:
    made = statistics.subscribe(SUSPENDED).json["id"]
    with statistics.stream(made) as stream:
        directory.known.clear()
        assert stream.ended()
        assert [json.loads(frame["data"])["reason"] for frame in stream.came.named("end")] == ["token_invalid"]
