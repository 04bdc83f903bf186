"""Webhook bodies as facts, refusals and findings, and a capture of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.alertmanager import mapping
from connectors.alertmanager.settings import AlertmanagerSettings
from connectors.alertmanager.source import CaptureConnector
from engine.filedrop import Mapped, Refused, Unusable, message_of
from schemas.catalogue import default_registry

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ZERO = "0001-01-01T00:00:00Z"
SETTINGS = AlertmanagerSettings(refresh_s_of={"weir-2": 60, "weir-3": None})


def alert(**members: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "PumpStopped", "severity": "page"},
        "annotations": {"summary": "1号泵停止"},
        "startsAt": "2026-03-01T11:59:30.123456789Z",
        "endsAt": ZERO,
        "fingerprint": "00d4bbf0ca55fde3",
        **members,
    }


def body(*alerts: Any, **members: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "alerts": list(alerts), **members}


def answers(*alerts: Any, monitor: str = "weir-1", at: datetime = NOON, **members: Any) -> list[Mapped | Refused]:
    return mapping.alerts(body(*alerts, **members), monitor, at, SETTINGS)


def one(monitor: str = "weir-1", at: datetime = NOON, **members: Any) -> Mapped:
    outcome = answers(alert(**members), monitor=monitor, at=at)[0]
    assert isinstance(outcome, Mapped)
    return outcome


def rules(outcome: Mapped | Refused) -> list[tuple[str, str, str]]:
    return [(finding.rule, finding.pointer, finding.value) for finding in outcome.findings]


def test_alert_is_the_monitors_word_at_the_instant_of_receipt() -> None:
    outcome = one()
    fact = outcome.facts[0]
    assert (fact.name, fact.source, fact.time) == ("infra.monitor.received", "/connectors/alertmanager", NOON)
    assert fact.key == "weir-1/00d4bbf0ca55fde3"
    assert fact.data == {
        "status": "firing",
        "severity": "critical",
        "title": "1号泵停止",
        "starts_at": datetime(2026, 3, 1, 11, 59, 30, 123456, tzinfo=UTC),
        "refresh_s": 14_400,
    }
    assert outcome.findings == ()
    assert message_of(default_registry(), fact).topic == "infra.alert.event"


def test_refresh_is_the_monitors_own() -> None:
    assert [one(monitor).facts[0].data["refresh_s"] for monitor in ("weir-2", "weir-3")] == [60, None]


def test_each_firing_message_is_new_evidence() -> None:
    assert one().facts[0].id == one().facts[0].id
    assert one().facts[0].id != one(at=NOON.replace(minute=5)).facts[0].id


def test_resolved_alert_repeated_in_a_later_message_is_the_same_event() -> None:
    ended: dict[str, Any] = {"status": "resolved", "endsAt": "2026-03-01T11:59:59Z"}
    first, repeat = one(**ended), one(at=NOON.replace(minute=5), **ended)
    assert (first.key, first.digest, first.facts[0].id) == (repeat.key, repeat.digest, repeat.facts[0].id)
    assert first.facts[0].id != one(status="resolved", endsAt="2026-03-01T12:00:00Z").facts[0].id


def test_fingerprint_that_is_missing_is_computed_as_alertmanager_does() -> None:
    labels = {"alertname": "HighCPU", "asset_id": "AST-0101", "instance": "app-01:9100", "severity": "warning"}
    outcome = one(labels=labels | {"site": "hall-2"}, fingerprint=None)
    assert outcome.facts[0].key == "weir-1/00d4bbf0ca55fde3"
    assert rules(outcome) == [("fingerprint_missing", "/fingerprint", "00d4bbf0ca55fde3")]
    assert mapping.fingerprint_of({}) == "cbf29ce484222325"


@pytest.mark.parametrize(
    ("label", "level", "rule"),
    [
        ("critical", "critical", None),
        (" PAGE", "critical", None),
        ("major", "high", None),
        ("average", "warning", None),
        ("minor", "low", None),
        ("none", "info", None),
        ("", "warning", "severity_missing"),
        ("purple", "warning", "severity_unknown"),
    ],
)
def test_severity_label_is_mapped_and_what_is_not_known_is_told(label: str, level: str, rule: str | None) -> None:
    outcome = one(labels={"alertname": "A", "severity": label})
    assert outcome.facts[0].data["severity"] == level
    assert [found for found, _, _ in rules(outcome)] == ([rule] if rule else [])


def test_title_falls_back_to_the_name_then_to_the_key() -> None:
    assert one(annotations={}).facts[0].data["title"] == "PumpStopped"
    outcome = one(annotations=None, labels={"severity": "info"})
    assert outcome.facts[0].data["title"] == "weir-1/00d4bbf0ca55fde3"
    assert [rule for rule, _, _ in rules(outcome)] == ["title_missing"]


def test_title_beyond_the_contract_is_cut_and_told() -> None:
    outcome = one(annotations={"summary": "长" * 20_001})
    assert len(outcome.facts[0].data["title"]) == 20_000
    assert [rule for rule, _, _ in rules(outcome)] == ["title_cut"]


@pytest.mark.parametrize("given", [ZERO, None, "", "0001-01-01T00:00:00+08:00"])
def test_start_that_is_missing_is_taken_as_the_receipt(given: str | None) -> None:
    outcome = one(startsAt=given)
    assert outcome.facts[0].data["starts_at"] == NOON
    assert [rule for rule, _, _ in rules(outcome)] == ["start_missing"]


def test_start_ahead_of_our_clock_is_kept_and_told() -> None:
    outcome = one(startsAt="2026-03-01T12:10:00Z")
    assert outcome.facts[0].data["starts_at"] == NOON.replace(minute=10)
    assert rules(outcome) == [("clock_ahead", "/startsAt", "2026-03-01T12:10:00Z")]
    assert one(startsAt="2026-03-01T12:00:59Z").findings == ()


def test_end_that_is_missing_on_a_resolved_alert_is_told() -> None:
    assert rules(one(status="resolved")) == [("end_missing", "/endsAt", ZERO)]


def test_truncated_group_is_told_once_a_body_about_the_group() -> None:
    outcomes = answers(alert(), alert(fingerprint="b"), truncatedAlerts=9)
    assert [rules(outcome) for outcome in outcomes] == [[("group_truncated", "/truncatedAlerts", "9")], []]
    assert outcomes[0].findings[0].subject.startswith("weir-1/group/")


def test_truncated_group_is_told_even_when_its_first_alert_is_refused() -> None:
    assert rules(answers("odd", truncatedAlerts=1)[0]) == [("group_truncated", "/truncatedAlerts", "1")]


@pytest.mark.parametrize(
    ("broken", "reason", "pointer"),
    [
        ("text", "alert_invalid", "/alerts/0"),
        (alert(labels=[]), "labels_invalid", "/alerts/0/labels"),
        (alert(labels={"a/b": 7}), "labels_invalid", "/alerts/0/labels/a~1b"),
        (alert(labels={"a": "\ud800"}, fingerprint=""), "labels_invalid", "/alerts/0/labels"),
        (alert(fingerprint=7), "fingerprint_invalid", "/alerts/0/fingerprint"),
        (alert(fingerprint="a b"), "fingerprint_invalid", "/alerts/0/fingerprint"),
        (alert(status="pending"), "status_unknown", "/alerts/0/status"),
        (alert(status=["firing"]), "status_unknown", "/alerts/0/status"),
        (alert(annotations=[1]), "annotations_invalid", "/alerts/0/annotations"),
        (alert(annotations={"summary": 7}), "annotations_invalid", "/alerts/0/annotations"),
        (alert(startsAt="yesterday"), "starts_at_invalid", "/alerts/0/startsAt"),
        (alert(startsAt="2026-02-30T00:00:00Z"), "starts_at_invalid", "/alerts/0/startsAt"),
        (alert(startsAt=5), "starts_at_invalid", "/alerts/0/startsAt"),
        (alert(status="resolved", endsAt="later"), "ends_at_invalid", "/alerts/0/endsAt"),
    ],
)
def test_broken_alert_is_refused_and_the_next_goes_on(broken: Any, reason: str, pointer: str) -> None:
    first, second = answers(broken, alert())
    assert isinstance(first, Refused)
    assert (first.reason, first.pointer) == (reason, pointer)
    assert isinstance(second, Mapped)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"version": "3"}, "version_unsupported"),
        ({"version": 4}, "version_unsupported"),
        ({"alerts": []}, "alerts_missing"),
        ({"alerts": {}}, "alerts_missing"),
        ({"alerts": [{}] * 10_001}, "alerts_too_many"),
    ],
)
def test_body_that_is_not_version_4_is_refused_as_a_whole(members: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unusable) as caught:
        mapping.alerts(body(alert()) | members, "weir-1", NOON, SETTINGS)
    assert caught.value.reason == reason


def test_capture_counts_alerts_and_unreadable_lines(tmp_path: Path) -> None:
    path = tmp_path / "capture.jsonl"
    rows: list[Any] = [
        {"received_at": "2026-03-01T12:00:00Z", "body": body(alert(), alert(fingerprint="b"))},
        {"received_at": "never", "body": body(alert())},
        {"received_at": "2026-03-01T12:05:00Z", "body": "text"},
        {"received_at": "2026-03-01T12:05:00Z", "body": body(alert(), version="3")},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\nnot json\n")
    taken = list(CaptureConnector(SETTINGS, "weir-1").open(path).taken())
    assert [(each.row, getattr(each.outcome, "reason", "")) for each in taken] == [
        (1, ""),
        (1, ""),
        (2, "received_at_invalid"),
        (3, "body_invalid"),
        (4, "version_unsupported"),
        (5, "json_invalid"),
    ]


def test_monitors_name_is_checked() -> None:
    with pytest.raises(ValueError, match="no monitor's name"):
        CaptureConnector(SETTINGS, "Weir 1")
