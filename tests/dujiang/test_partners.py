"""The demo's partners: the same for the same seed, right but for what is wrong on purpose."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from connectors.alertmanager import mapping
from connectors.alertmanager.settings import AlertmanagerSettings
from dujiang.demo.partners import CAST, Act, Event, Role, Stage, Straight, Webhook, Wrong
from dujiang.demo.partners.acts import bytes_of, seeded
from dujiang.demo.partners.monitor import MONITORS
from dujiang.demo.partners.scripts import SOURCES, enterprise, institute
from dujiang.wiring import STEPS
from engine.clock import FakeClock
from engine.entity import arrive
from engine.filedrop import Mapped, Unusable
from engine.ports import Entity, Outcome
from engine.records import Record, Refused, decode
from gateway.admission import admit, mode_of
from gateway.problems import Problem
from schemas.catalogue import default_registry
from schemas.cloudevents import json_format
from schemas.contract import Fact

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
REGISTRY = default_registry()
ACTS = 2_000
roles = pytest.mark.parametrize("role", CAST, ids=lambda role: role.name)


def acts_of(role: Role, seed: int = 7, run: str = "001", count: int = ACTS) -> list[Act]:
    """One act a tenth of a second, as the demo plays it."""
    clock = FakeClock(NOW)
    return list(_played(role.script(Stage(seeded(seed, run, role.name), clock, run)), clock, count))


def _played(script: Iterator[Act], clock: FakeClock, count: int) -> Iterator[Act]:
    for act in islice(script, count):
        clock.advance(0.1)
        yield act


def events_of(acts: list[Act]) -> list[Event]:
    return [act for act in acts if isinstance(act, Event)]


@roles
def test_same_seed_and_run_give_the_same_acts(role: Role) -> None:
    assert acts_of(role, count=500) == acts_of(role, count=500)
    assert acts_of(role, count=500) != acts_of(role, seed=8, count=500)


@roles
def test_another_run_repeats_no_identity(role: Role) -> None:
    first, second = ({event.identity for event in events_of(acts_of(role, run=run, count=500))} for run in ("001", "002"))
    assert not first & second


@roles
def test_events_keep_their_contract_and_come_from_known_sources(role: Role) -> None:
    for event in events_of(acts_of(role)):
        REGISTRY.fact(json_format.decode(bytes_of(event.body)))
        assert event.body["source"] in SOURCES


@roles
def test_an_identity_is_one_event(role: Role) -> None:
    bodies: dict[tuple[str, str], bytes] = {}
    for event in events_of(acts_of(role)):
        assert bodies.setdefault(event.identity, bytes_of(event.body)) == bytes_of(event.body)


def test_wrong_requests_are_refused_by_the_gateway() -> None:
    wrong = [act for act in acts_of(CAST[0]) if isinstance(act, Wrong)]
    for act in wrong:
        with pytest.raises(Problem):
            admit(REGISTRY, [("content-type", act.content_type)], act.body, mode_of(act.content_type), NOW)
    assert len({act.why for act in wrong}) == 6


def test_careless_records_can_only_go_to_quarantine() -> None:
    straight = [act for act in acts_of(CAST[0]) if isinstance(act, Straight)]
    headers = [("content-type", b"application/cloudevents+json")]
    for act in straight:
        assert isinstance(decode(Record(act.topic, 0, 0, 0, act.key, headers, act.value), REGISTRY), Refused)
    assert len({act.why for act in straight}) == 4


def test_webhooks_are_taken_whole_but_for_those_of_another_version() -> None:
    webhooks = [act for act in acts_of(CAST[2]) if isinstance(act, Webhook)]
    for act in webhooks:
        assert act.monitor in MONITORS
        if act.is_wrong:
            with pytest.raises(Unusable):
                mapping.alerts(act.body, act.monitor, NOW, AlertmanagerSettings())
        else:
            answers = mapping.alerts(act.body, act.monitor, NOW + timedelta(hours=1), AlertmanagerSettings())
            assert all(isinstance(answer, Mapped) and not answer.findings for answer in answers)
    assert {act.is_wrong for act in webhooks} == {True, False}


@pytest.mark.parametrize("script", [institute, enterprise], ids=["institute", "enterprise"])
def test_projects_show_every_outcome_and_mostly_keep_the_rules(script: object) -> None:
    role = next(role for role in CAST if role.script is script)
    outcomes, states = _decided(events_of(acts_of(role)))
    assert outcomes[Outcome.APPLIED] > 0.85 * sum(outcomes.values())
    assert min(outcomes[name] for name in (Outcome.DUPLICATE, Outcome.PARKED, Outcome.REJECTED)) > 0
    assert {"applied", "executing", "archived", "rejected", "withdrawn"} <= states


def _decided(events: list[Event]) -> tuple[Counter[Outcome], set[str | None]]:
    step = STEPS["projects"]
    entities: dict[str, Entity] = {}
    outcomes: Counter[Outcome] = Counter()
    for event in events:
        fact: Fact = REGISTRY.fact(json_format.decode(bytes_of(event.body)))
        entity = entities.setdefault(fact.key, Entity(step.initial()))
        outcomes[arrive(step, entity, fact).outcome] += 1
    return outcomes, {step.state_name(entity.state) for entity in entities.values()}
