"""Every episode of an alert is told to its end, with the notifications that it took."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from engine.ports import Decision
from schemas.alerts import Acknowledged, Alert, Received
from schemas.contract import Fact
from streams import alerts

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def _decide(alert: Alert, name: str, at: datetime, data: Any) -> Decision[Alert]:
    return alerts.decide(alert, Fact(name, f"{name}-{at}", "/tests", "am/1", at, data))


def _received(alert: Alert, at: datetime, status: Literal["firing", "resolved"] = "firing") -> Decision[Alert]:
    word = Received(status=status, severity="high", title="pump away", starts_at=NOW, refresh_s=60)
    return _decide(alert, "infra.monitor.received", at, word)


def _told(decision: Decision[Alert]) -> list[tuple[Any, ...]]:
    names = ("episodes", "condition", "repeats", "reopened", "ended_at")
    return [tuple(event.data[name] for name in names) for event in decision.derived]


def test_an_end_tells_how_often_it_was_told_and_opened_again() -> None:
    alert = _received(Alert(), NOW).state
    for minutes, status in ((1, "firing"), (2, "resolved"), (3, "firing"), (4, "firing")):
        alert = _received(alert, NOW + minutes * MINUTE, status).state  # type: ignore[arg-type]
    over = _received(alert, NOW + 5 * MINUTE, "resolved")
    assert _told(over) == [(1, "resolved", 2, 1, "2026-06-01T08:05:00Z")]


def test_an_end_that_only_the_next_beginning_brings_to_light_is_told_before_it() -> None:
    alert = _received(_received(Alert(), NOW).state, NOW + MINUTE).state
    again = _received(alert, NOW + timedelta(hours=2))
    assert _told(again) == [(1, "expired", 1, 0, "2026-06-01T08:04:00Z"), (2, "firing", 0, 0, None)]


def test_what_time_changes_within_an_episode_is_one_word_with_the_event() -> None:
    alert = _received(Alert(), NOW).state
    seen = _decide(alert, "infra.alert.acknowledged", NOW + timedelta(hours=2), Acknowledged(by="li"))
    assert _told(seen) == [(1, "expired", 0, 0, "2026-06-01T08:03:00Z")]
    assert [event.data["handling"] for event in seen.derived] == ["closed"]
