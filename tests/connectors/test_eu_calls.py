"""Calls of the EU portal as facts, refusals and findings."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.eu_calls import mapping
from connectors.eu_calls.settings import EuCallsSettings
from connectors.eu_calls.source import EuCallsConnector
from engine.filedrop import Mapped, Refused, message_of
from schemas.catalogue import default_registry

DAY = datetime(2026, 5, 1, tzinfo=UTC)
ROW: dict[str, Any] = {
    "reference": "1TOPICSen",
    "topicId": "EXAMPLE-1",
    "title": "Canals",
    "programme": "Example",
    "deadlineModel": "single-stage",
    "deadline": "2026-09-15",
    "callStatus": "open",
    "budgetMin": 1,
    "budgetMax": 2,
    "expectedGrants": 3,
}


def mapped(settings: EuCallsSettings = EuCallsSettings(), **members: Any) -> Mapped:  # noqa: B008 - frozen
    outcome = mapping.call(ROW | members, DAY, settings)
    assert isinstance(outcome, Mapped)
    return outcome


def rules(outcome: Mapped) -> list[tuple[str, str, str]]:
    return [(finding.rule, finding.pointer, finding.value) for finding in outcome.findings]


def test_call_closes_at_five_in_brussels() -> None:
    fact = mapped().facts[0]
    assert (fact.name, fact.key, fact.source) == ("research.call.registered", "eu:EXAMPLE-1", "/connectors/eu_calls")
    assert fact.data == {
        "register_name": "sedia",
        "source_status": "open",
        "title": "Canals",
        "programme": "Example",
        "opens_at": None,
        "closes_at": datetime(2026, 9, 15, 15, tzinfo=UTC),
        "budget": 2,
        "deadline_model": "single-stage",
    }
    assert message_of(default_registry(), fact).topic == "research.call.event"
    assert mapped(deadline="2026-12-01").facts[0].data["closes_at"] == datetime(2026, 12, 1, 16, tzinfo=UTC)


def test_reference_names_a_call_without_topic() -> None:
    assert mapped(topicId="").facts[0].key == "eu:1TOPICSen"


def test_mojibake_is_repaired_and_the_text_as_it_came_told() -> None:
    outcome = mapped(title="Skills â€“ HubsÂ\xa0")
    assert outcome.facts[0].data["title"] == "Skills – Hubs"
    assert rules(outcome) == [("mojibake_repaired", "/title", "Skills â€“ HubsÂ\xa0")]


def test_mojibake_that_cannot_be_undone_is_kept_and_told() -> None:
    outcome = mapped(title="水 â€“ Hubs")
    assert outcome.facts[0].data["title"] == "水 â€“ Hubs"
    assert rules(outcome) == [("mojibake", "/title", "水 â€“ Hubs")]


@pytest.mark.parametrize(
    ("members", "finding"),
    [
        ({"stage": "two-stage"}, ("stage_contradicts_model", "/stage", "two-stage")),
        ({"deadlineModel": ""}, ("deadline_model_missing", "/deadlineModel", "")),
        ({"budgetMax": None}, ("budget_missing", "/budgetMax", "")),
        ({"budgetMin": 3}, ("budget_range", "/budgetMin", "3")),
        ({"deadline": ""}, ("deadline_missing", "/deadline", "")),
        ({"callStatus": "closed"}, ("closed_in_open_list", "/callStatus", "closed")),
        ({"title": None}, ("title_missing", "/title", "")),
    ],
)
def test_dirt_that_does_not_spoil_the_call_is_a_finding(members: dict[str, Any], finding: tuple[str, str, str]) -> None:
    assert rules(mapped(**members)) == [finding]


def test_closed_call_in_a_list_of_all_calls_is_nothing_to_tell() -> None:
    assert mapped(EuCallsSettings(lists_open_only=False), callStatus="closed").findings == ()


@pytest.mark.parametrize(
    ("members", "reason", "pointer"),
    [
        ({"topicId": "", "reference": None}, "identifier_missing", "/topicId"),
        ({"topicId": "a\nb"}, "identifier_invalid", "/topicId"),
        ({"topicId": 5}, "text_invalid", "/topicId"),
        ({"callStatus": "paused"}, "status_unknown", "/callStatus"),
        ({"deadline": "15/09/2026"}, "deadline_invalid", "/deadline"),
        ({"deadline": "0001-01-01"}, "", ""),
        ({"budgetMax": 1.5}, "budget_invalid", "/budgetMax"),
        ({"budgetMax": True}, "budget_invalid", "/budgetMax"),
        ({"budgetMax": -1}, "budget_invalid", "/budgetMax"),
        ({"title": ["x"]}, "text_invalid", "/title"),
    ],
)
def test_impossible_value_is_refused_with_its_member(members: dict[str, Any], reason: str, pointer: str) -> None:
    outcome = mapping.call(ROW | members, DAY, EuCallsSettings())
    found = (outcome.reason, outcome.pointer) if isinstance(outcome, Refused) else ("", "")
    assert found == (reason, pointer)


def test_zone_that_does_not_exist_is_told_when_the_settings_are_read() -> None:
    with pytest.raises(ValueError, match="not a time zone"):
        EuCallsSettings(deadline_zone="Europe/Brussel")


def test_sample_is_taken_line_by_line(tmp_path: Path) -> None:
    sample = next((Path(mapping.__file__).parent / "samples").glob("*.jsonl"))
    path = tmp_path / sample.name
    path.write_text(sample.read_text() + "\nnot json\n[]\n")
    taken = list(EuCallsConnector(EuCallsSettings()).open(path).taken())
    assert [(each.row, each.outcome.reason) for each in taken if isinstance(each.outcome, Refused)] == [
        (3, "deadline_invalid"),
        (6, "json_invalid"),
        (7, "not_an_object"),
    ]
