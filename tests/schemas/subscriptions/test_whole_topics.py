"""Kafka gives a topic whole or not at all."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from schemas.registry import Registry
from schemas.subscriptions import Basis, Reader, Subscription, begun
from schemas.subscriptions.whole_topics import Obstacle, Verdict, types_on, whole_topics

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
CALLS = "research.call.event"
ANNOUNCED = "gov.stiib.research.call.announced.v1"
TIMERS = "gov.stiib.platform.timer.fired.v1"
WHOLE = ("subscribe:gov.stiib.research.call.*", f"subscribe:{TIMERS}", "clearance:restricted")
SUBSCRIPTION = Subscription(
    UUID(int=7), "agency-1", "KAFKA", begun("KAFKA", "partner", NOW), NOW, NOW, types=(ANNOUNCED,), basis=Basis("p", "l", "a")
)


def reader(*scopes: str, is_stated: bool = True) -> Reader:
    return Reader((scopes,), is_stated)


def test_all_types_and_the_highest_clearance_give_the_topic(registry: Registry) -> None:
    found = whole_topics(SUBSCRIPTION, registry, reader(*WHOLE))
    assert found == Verdict((CALLS,), ())


def test_types_that_are_not_granted_are_named(registry: Registry) -> None:
    found = whole_topics(SUBSCRIPTION, registry, reader(f"subscribe:{ANNOUNCED}", "clearance:restricted"))
    others = tuple(wire for wire in types_on(CALLS, registry) if wire != ANNOUNCED)
    assert found == Verdict((), (Obstacle("types_not_granted", CALLS, others),))
    said = str(found.obstacles[0])
    assert all(wire in said for wire in others)
    assert "Kafka cannot withhold" in said
    assert "Kafka 无法扣留" in said


@pytest.mark.parametrize("clearance", ["clearance:internal", "publish:*"])
def test_a_public_topic_may_carry_restricted_events(registry: Registry, clearance: str) -> None:
    assert whole_topics(SUBSCRIPTION, registry, reader("subscribe:*", clearance)) == Verdict(
        (), (Obstacle("clearance_missing", CALLS),)
    )


def test_without_a_basis_nothing_is_given(registry: Registry) -> None:
    found = whole_topics(SUBSCRIPTION, registry, reader("subscribe:*", "clearance:restricted", is_stated=False))
    assert found == Verdict((), (Obstacle("basis_missing"),))


def test_a_partner_of_single_events_gets_no_topic(registry: Registry) -> None:
    found = whole_topics(SUBSCRIPTION, registry, reader(*WHOLE, "only:subject=C-1"))
    assert found == Verdict((), (Obstacle("rows_limited"),))
    assert found.obstacles[0].is_right_lost


@pytest.mark.parametrize("narrower", [{"filters": ({"prefix": {"subject": "C-"}},)}, {"source": "/partners/test"}])
def test_what_kafka_cannot_filter_is_not_given(registry: Registry, narrower: dict[str, object]) -> None:
    subscription = replace(SUBSCRIPTION, **narrower)  # type: ignore[arg-type]
    found = whole_topics(subscription, registry, reader("subscribe:*", "clearance:restricted"))
    assert found == Verdict((), (Obstacle("filtered"),))


def test_without_types_all_topics_that_are_granted_are_given(registry: Registry) -> None:
    states = ("subscribe:gov.stiib.research.call.phasechanged.v1", "subscribe:gov.stiib.infra.alert.changed.v1")
    found = whole_topics(replace(SUBSCRIPTION, types=()), registry, reader(*states, "clearance:restricted"))
    assert found == Verdict(("infra.alert.state", "research.call.state"), ())


def test_without_types_a_topic_granted_in_part_is_an_obstacle(registry: Registry) -> None:
    found = whole_topics(
        replace(SUBSCRIPTION, types=()), registry, reader("subscribe:gov.stiib.research.call.*", "clearance:restricted")
    )
    assert found == Verdict((), (Obstacle("types_not_granted", CALLS, (TIMERS,)),))


def test_without_types_and_without_rights_there_is_no_topic(registry: Registry) -> None:
    found = whole_topics(replace(SUBSCRIPTION, types=()), registry, reader("clearance:restricted"))
    assert found == Verdict((), (Obstacle("no_topic"),))


def test_where_nobody_is_asked_every_topic_is_given(registry: Registry) -> None:
    found = whole_topics(replace(SUBSCRIPTION, types=()), registry, Reader(None, is_stated=True))
    assert {topic for contract in registry.contracts.values() for topic in contract.topic_names} == set(found.topics)
