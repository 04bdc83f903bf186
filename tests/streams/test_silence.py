"""A silence touches the third axis alone, needs a reason and an end, and ends by itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.ports import Decision, Outcome
from schemas.alerts import Acknowledged, Alert, Condition, Handling, Received, Silenced, Suppression, Unsilenced
from schemas.contract import Fact
from streams import alerts

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _decide(alert: Alert, name: str, at: datetime, data: Any) -> Decision[Alert]:
    return alerts.decide(alert, Fact(name, f"{name}-{at}", "/tests", "am/1", at, data))


def _firing(alert: Alert, at: datetime, severity: Any = "critical") -> Alert:
    word = Received(status="firing", severity=severity, title="pump away", starts_at=at, refresh_s=None)
    return _decide(alert, "infra.monitor.received", at, word).state


def _silenced(alert: Alert, at: datetime, until: datetime, reason: str = "pump is exchanged") -> Decision[Alert]:
    return _decide(alert, "infra.alert.silenced", at, Silenced(by="li", reason=reason, until=until))


def _axes(alert: Alert) -> tuple[Condition, Handling, Suppression]:
    assert alert.episode is not None
    return alert.episode.condition, alert.episode.handling, alert.episode.suppression


def test_silence_leaves_condition_and_handling_and_is_told() -> None:
    decided = _silenced(_firing(Alert(), NOW), NOW, NOW + HOUR)
    assert _axes(decided.state) == (Condition.FIRING, Handling.OPEN, Suppression.SILENCED)
    assert [event.data["suppression"] for event in decided.derived] == ["silenced"]
    assert alerts.due_at(decided.state) == NOW + HOUR


def test_silence_ends_by_itself_and_the_clock_of_acknowledging_begins_anew() -> None:
    quiet = _silenced(_firing(Alert(), NOW), NOW, NOW + HOUR).state
    assert alerts.overlays(quiet, NOW + HOUR - timedelta(seconds=1)) == []
    over = alerts.advance(quiet, NOW + HOUR, "am/1")
    assert _axes(over.state) == (Condition.FIRING, Handling.OPEN, Suppression.NONE)
    assert [event.data["suppression"] for event in over.derived] == ["none"]
    assert alerts.overlays(over.state, NOW + HOUR + timedelta(minutes=14)) == []
    assert alerts.overlays(over.state, NOW + HOUR + timedelta(minutes=16)) == ["unacknowledged_late"]
    assert alerts.due_at(over.state) is None


def test_what_comes_again_within_the_silence_is_quiet_too() -> None:
    quiet = _silenced(_firing(Alert(), NOW), NOW, NOW + 5 * HOUR).state
    gone = Received(status="resolved", severity="critical", title="pump away", starts_at=NOW, refresh_s=None)
    resolved = _decide(quiet, "infra.monitor.received", NOW + HOUR, gone).state
    again = _firing(resolved, NOW + 3 * HOUR)
    assert again.episodes == 2
    assert _axes(again) == (Condition.FIRING, Handling.OPEN, Suppression.SILENCED)
    assert _axes(_firing(again, NOW + 6 * HOUR))[2] is Suppression.NONE


def test_monitors_silence_still_expires_an_alert_that_people_silenced() -> None:
    word = Received(status="firing", severity="low", title="t", starts_at=NOW, refresh_s=60)
    alert = _decide(Alert(), "infra.monitor.received", NOW, word).state
    quiet = _silenced(alert, NOW, NOW + HOUR).state
    assert alerts.due_at(quiet) == NOW + timedelta(minutes=3)
    later = alerts.advance(quiet, NOW + 2 * HOUR, "am/1").state
    assert _axes(later) == (Condition.EXPIRED, Handling.OPEN, Suppression.NONE)


def test_later_word_replaces_the_end_and_a_person_can_end_it() -> None:
    quiet = _silenced(_firing(Alert(), NOW), NOW, NOW + HOUR).state
    longer = _silenced(quiet, NOW, NOW + 9 * HOUR).state
    assert alerts.due_at(longer) == NOW + 9 * HOUR
    heard = _decide(longer, "infra.alert.unsilenced", NOW + HOUR, Unsilenced(by="li")).state
    assert _axes(heard)[2] is Suppression.NONE
    assert _decide(heard, "infra.alert.unsilenced", NOW + HOUR, Unsilenced(by="li")).reason == "not_silenced"


def test_acknowledging_goes_on_within_a_silence() -> None:
    quiet = _silenced(_firing(Alert(), NOW), NOW, NOW + HOUR).state
    taken = _decide(quiet, "infra.alert.acknowledged", NOW, Acknowledged(by="li")).state
    assert _axes(taken) == (Condition.FIRING, Handling.ACKNOWLEDGED, Suppression.SILENCED)
    after = alerts.advance(taken, NOW + HOUR, "am/1").state
    assert alerts.overlays(after, NOW + 9 * HOUR) == []


@pytest.mark.parametrize(
    ("known", "until", "reason", "refused"),
    [
        (False, NOW + HOUR, "why", "alert_unknown"),
        (True, NOW + HOUR, "", "reason_missing"),
        (True, NOW, "why", "silence_over"),
        (True, NOW + alerts.SILENCE_MAX + HOUR, "why", "silence_too_long"),
    ],
)
def test_silence_that_cannot_be_is_refused(known: bool, until: datetime, reason: str, refused: str) -> None:
    before = _firing(Alert(), NOW) if known else Alert()
    decided = _silenced(before, NOW, until, reason)
    assert (decided.outcome, decided.reason, decided.state) == (Outcome.REJECTED, refused, before)
