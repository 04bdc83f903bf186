"""Infrastructure alerts: condition by the monitor, handling by people, and the time after which nobody believes either.

A silence sets only the third axis and ends by its own timer. Maintenance windows, inhibition and flapping come on top.
"""

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from engine.ports import Decision, Derived, Entity, Outcome, Step
from schemas.alerts import SEVERITIES, Alert, Condition, Episode, Handling, Suppression
from schemas.contract import Fact, instant_text
from schemas.topics import ALERT_EVENT

SILENT_REFRESHES = 3
UNSEEN_AFTER = timedelta(days=7)
SILENCE_MAX = timedelta(days=31)  # nothing is quiet for ever: whoever wants longer asks again
REOPEN_WINDOW = timedelta(minutes=30)
ACKNOWLEDGE_LIMIT = {"critical": timedelta(minutes=15), "high": timedelta(hours=1), "warning": timedelta(days=1)}

_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


def decide(alert: Alert, fact: Fact) -> Decision[Alert]:
    """Timers due by the event's time, then the event; every answer leaves the timers it fired fired."""
    aged = _advanced(alert, fact.time)
    answer = _EVENTS[fact.name](aged, fact)
    if isinstance(answer, str):
        outcome, reason, after = Outcome.REJECTED, answer, aged
    elif answer is None:
        outcome, reason, after = Outcome.SUPERSEDED, "", aged
    else:
        outcome, reason, after = (
            Outcome.APPLIED,
            "",
            replace(answer, changed_at=fact.time, changed_by=f"{fact.source} {fact.id}"),
        )
    return Decision(after, outcome, reason, _all_told(alert, aged, after, fact))


def advance(alert: Alert, instant: datetime, key: str) -> Decision[Alert]:
    """Only the timers due at or before an instant."""
    after = _advanced(alert, instant)
    if after is alert:
        return Decision(alert, Outcome.SUPERSEDED)
    return Decision(after, Outcome.APPLIED, "", _told(alert, after, key, instant, "timer"))


def due_at(alert: Alert) -> datetime | None:
    """When the monitor's silence, or everybody's, ends something next; or the quiet that somebody asked for ends."""
    episode = alert.episode
    if episode is None:
        return None
    ends = _believed_until(episode)
    if episode.silenced_until is None:
        return ends
    return episode.silenced_until if ends is None else min(ends, episode.silenced_until)


def _believed_until(episode: Episode) -> datetime | None:
    if episode.condition is Condition.FIRING:
        if episode.refresh_s is None:
            return None
        return episode.last_seen + timedelta(seconds=SILENT_REFRESHES * episode.refresh_s)
    if episode.handling is Handling.OPEN and episode.ended_at is not None:
        return episode.ended_at + UNSEEN_AFTER
    return None


def _advanced(alert: Alert, instant: datetime) -> Alert:
    while (due := due_at(alert)) is not None and due <= instant:
        episode = alert.episode
        assert episode is not None  # due_at says so  # noqa: S101
        if episode.silenced_until == due:
            episode, cause = _heard(episode, due), "silence_over"
        elif episode.condition is Condition.FIRING:
            episode, cause = _ended(episode, Condition.EXPIRED, due), "expiry"
        else:
            episode, cause = replace(episode, handling=Handling.CLOSED, closed_reason="unseen"), "unseen"
        alert = replace(alert, episode=episode, changed_at=due, changed_by=cause)
    return alert


def _ended(episode: Episode, condition: Condition, at: datetime) -> Episode:
    """After any end an acknowledged alert closes by itself; an open one stays for somebody to see."""
    ended = replace(episode, condition=condition, ended_at=at)
    if episode.handling is Handling.ACKNOWLEDGED:
        return replace(ended, handling=Handling.CLOSED, closed_reason=condition.value)
    return ended


def _heard(episode: Episode, at: datetime) -> Episode:
    """The quiet is over. Whoever is to take the alert has as long for it as if it were new."""
    attention_at = None if episode.attention_at is None else max(episode.attention_at, at)
    return replace(episode, suppression=Suppression.NONE, silenced_until=None, attention_at=attention_at)


# --- events: the alert after it, None for superseded, a reason for rejected -------------------------------------------------

_Answer = Alert | str | None


def _received(alert: Alert, fact: Fact) -> _Answer:
    return _firing(alert, fact) if fact.data.status == "firing" else _resolved(alert, fact)


def _firing(alert: Alert, fact: Fact) -> _Answer:
    episode, word, at = alert.episode, fact.data, fact.time
    if episode is None:
        return _new_episode(alert, fact)
    if episode.condition is Condition.FIRING:
        if at < episode.last_seen:
            return None
        return replace(
            alert,
            episode=replace(
                episode,
                repeats=episode.repeats + 1,
                last_seen=at,
                title=word.title,
                severity=_higher(episode.severity, word.severity),
                refresh_s=word.refresh_s,
            ),
        )
    assert episode.ended_at is not None  # it is not firing  # noqa: S101
    if at <= episode.ended_at:
        return None
    if at - episode.ended_at > REOPEN_WINDOW:
        return _new_episode(alert, fact)
    reopened = replace(
        episode,
        condition=Condition.FIRING,
        handling=Handling.OPEN,
        closed_reason=None,
        ended_at=None,
        reopened=episode.reopened + 1,
        last_seen=at,
        attention_at=at,
        title=word.title,
        severity=_higher(episode.severity, word.severity),
        refresh_s=word.refresh_s,
    )
    return replace(alert, episode=reopened)


def _new_episode(alert: Alert, fact: Fact) -> Alert:
    word = fact.data
    episode = Episode(
        condition=Condition.FIRING,
        handling=Handling.OPEN,
        severity=word.severity,
        title=word.title,
        raised_at=word.starts_at,
        last_seen=fact.time,
        attention_at=fact.time,
        refresh_s=word.refresh_s,
    )
    return replace(alert, episodes=alert.episodes + 1, episode=_as_quiet_as(alert.episode, episode))


def _as_quiet_as(before: Episode | None, episode: Episode) -> Episode:
    """A silence is of the alert, not of one episode: what comes again within it is quiet too."""
    if before is None or before.silenced_until is None:
        return episode
    return replace(episode, suppression=before.suppression, silenced_until=before.silenced_until)


def _resolved(alert: Alert, fact: Fact) -> _Answer:
    episode, word, at = alert.episode, fact.data, fact.time
    if episode is None:
        only = Episode(
            condition=Condition.RESOLVED,
            handling=Handling.CLOSED,
            closed_reason="resolved_only",
            severity=word.severity,
            title=word.title,
            raised_at=word.starts_at,
            ended_at=at,
            last_seen=at,
        )
        return replace(alert, episodes=1, episode=only)
    if episode.condition is Condition.FIRING:
        return None if at < episode.last_seen else replace(alert, episode=_ended(episode, Condition.RESOLVED, at))
    if episode.condition is Condition.EXPIRED:
        return replace(alert, episode=replace(episode, condition=Condition.RESOLVED))
    return None


def _acknowledged(alert: Alert, _: Fact) -> _Answer:
    episode = alert.episode
    if episode is None:
        return "alert_unknown"
    if episode.handling is Handling.CLOSED:
        return "acknowledge_closed"
    if episode.handling is Handling.ACKNOWLEDGED:
        return "already_acknowledged"
    if episode.condition is Condition.FIRING:
        return replace(alert, episode=replace(episode, handling=Handling.ACKNOWLEDGED, attention_at=None))
    return replace(alert, episode=_closed_as(episode, episode.condition.value))


def _closed(alert: Alert, fact: Fact) -> _Answer:
    episode = alert.episode
    if episode is None:
        return "alert_unknown"
    if episode.handling is Handling.CLOSED:
        return "already_closed"
    if episode.condition is not Condition.FIRING:
        return replace(alert, episode=_closed_as(episode, "operator"))
    if not fact.data.force:
        return "close_while_firing"
    if not fact.data.reason:
        return "reason_missing"
    return replace(alert, episode=_closed_as(episode, "forced"))


def _silenced(alert: Alert, fact: Fact) -> _Answer:
    """Anew: the later word replaces the earlier one's end."""
    episode, until = alert.episode, fact.data.until
    if episode is None:
        return "alert_unknown"
    if not fact.data.reason:
        return "reason_missing"
    if until <= fact.time:
        return "silence_over"
    if until - fact.time > SILENCE_MAX:
        return "silence_too_long"
    return replace(alert, episode=replace(episode, suppression=Suppression.SILENCED, silenced_until=until))


def _unsilenced(alert: Alert, fact: Fact) -> _Answer:
    episode = alert.episode
    if episode is None:
        return "alert_unknown"
    if episode.silenced_until is None:
        return "not_silenced"
    return replace(alert, episode=_heard(episode, fact.time))


def _closed_as(episode: Episode, reason: str) -> Episode:
    return replace(episode, handling=Handling.CLOSED, closed_reason=reason, attention_at=None)


_EVENTS = {
    "infra.monitor.received": _received,
    "infra.alert.acknowledged": _acknowledged,
    "infra.alert.closed": _closed,
    "infra.alert.silenced": _silenced,
    "infra.alert.unsilenced": _unsilenced,
}


def _higher(one: str, other: str) -> str:
    return one if _RANK[one] >= _RANK[other] else other


# --- what others are told, overlay, report ----------------------------------------------------------------------------------


def _axes(alert: Alert) -> tuple[object, ...]:
    episode = alert.episode
    if episode is None:
        return ()
    return (
        alert.episodes,
        episode.condition,
        episode.handling,
        episode.suppression,
        episode.severity,
        episode.reopened,
    )


def _all_told(before: Alert, aged: Alert, after: Alert, fact: Fact) -> tuple[Derived, ...]:
    """One word for all that came about, but the end of an episode has its own where the next begins: no later word says it."""
    if aged.episodes == after.episodes:
        return _told(before, after, fact.key, fact.time, fact.id)
    return _told(before, aged, fact.key, fact.time, "timer") + _told(aged, after, fact.key, fact.time, fact.id)


def _told(before: Alert, after: Alert, key: str, at: datetime, cause_id: str) -> tuple[Derived, ...]:
    """A repeat is not news; a change on any axis is."""
    episode = after.episode
    if episode is None or _axes(before) == _axes(after):
        return ()
    data = {
        "episodes": after.episodes,
        "condition": episode.condition,
        "handling": episode.handling,
        "suppression": episode.suppression,
        "closed_reason": episode.closed_reason,
        "severity": episode.severity,
        "title": episode.title,
        "raised_at": instant_text(episode.raised_at),
        "ended_at": _text(episode.ended_at),
        "last_seen": instant_text(episode.last_seen),
        "cause_id": cause_id,
        "repeats": episode.repeats,
        "reopened": episode.reopened,
    }
    return (Derived("infra.alert.changed", key, at, data),)


def overlays(alert: Alert, instant: datetime) -> list[str]:
    """`unacknowledged_late`: firing, open, and waiting longer than its severity allows; a silence lets nobody be late."""
    episode = alert.episode
    if episode is None or episode.condition is not Condition.FIRING or episode.handling is not Handling.OPEN:
        return []
    if episode.silenced_until is not None and episode.silenced_until > instant:
        return []
    limit = ACKNOWLEDGE_LIMIT.get(episode.severity)
    if limit is None or episode.attention_at is None or episode.attention_at + limit >= instant:
        return []
    return ["unacknowledged_late"]


def report(key: str, entity: Entity[Alert], instant: datetime) -> dict[str, Any]:
    """The alert as a reader at an instant sees it; keys in print order."""
    alert = _advanced(entity.state, instant)
    episode = alert.episode
    return {
        "key": key,
        "episodes": alert.episodes,
        "condition": episode.condition if episode else None,
        "handling": episode.handling if episode else None,
        "closed_reason": episode.closed_reason if episode else None,
        "severity": episode.severity if episode else None,
        "title": episode.title if episode else None,
        "raised_at": instant_text(episode.raised_at) if episode else None,
        "ended_at": _text(episode.ended_at) if episode else None,
        "last_seen": instant_text(episode.last_seen) if episode else None,
        "repeats": episode.repeats if episode else 0,
        "reopened": episode.reopened if episode else 0,
        "overlays": overlays(alert, instant),
        "applied": entity.applied,
        "duplicates": entity.duplicates,
        "superseded": entity.superseded,
        "rejected": [
            {"id": rejection.id, "reason": rejection.reason}
            for rejection in sorted(entity.rejected, key=lambda rejection: rejection.id)
        ],
    }


def _text(instant: datetime | None) -> str | None:
    return instant_text(instant) if instant else None


STEP: Step[Alert] = Step(
    name="alerts",
    topic=ALERT_EVENT.name,
    initial=Alert,
    rule=decide,
    advance=advance,
    due_at=due_at,
    report=report,
    state_name=lambda alert: alert.episode.condition if alert.episode else None,
)
