"""Alerts in `alert_status`: the latest episode of each key, its three axes apart."""

from datetime import datetime

from sqlalchemy import Column, DateTime, Integer, Table, Text

from engine.database import NULL, copy_instant, copy_text
from engine.tables import metadata
from schemas.alerts import Alert, Condition, Episode, Handling, Suppression
from sinks.status import account
from sinks.status.writer import Form

ALERT_STATUS = Table(
    "alert_status",
    metadata,
    Column("alert_key", Text, primary_key=True, comment="<monitor>/<fingerprint>"),
    Column("episodes", Integer, nullable=False),
    Column("condition", Text, comment="firing, resolved, expired; null before any episode"),
    Column("handling", Text, comment="open, acknowledged, closed"),
    Column("suppression", Text, comment="none, silenced; windows, inhibition, flapping come later"),
    Column("severity", Text),
    Column("title", Text),
    Column("raised_at", DateTime(timezone=True)),
    Column("last_seen", DateTime(timezone=True)),
    Column("closed_reason", Text),
    Column("ended_at", DateTime(timezone=True)),
    Column("attention_at", DateTime(timezone=True), comment="since when it waits for a person"),
    Column("repeats", Integer, nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("refresh_s", Integer),
    Column("silenced_until", DateTime(timezone=True), comment="null: nobody asked for quiet"),
    *account.columns(),
    postgresql_with={"fillfactor": "60"},
    comment="where each infrastructure alert stands",
)

_NO_EPISODE = (NULL,) * 10 + ("0", "0", NULL, NULL)


def _fields(alert: Alert) -> tuple[str, ...]:
    episode = alert.episode
    changed = (copy_instant(alert.changed_at), copy_text(alert.changed_by))
    if episode is None:
        return (str(alert.episodes), *_NO_EPISODE, *changed)
    return (
        str(alert.episodes),
        episode.condition,
        episode.handling,
        episode.suppression,
        episode.severity,
        copy_text(episode.title),
        copy_instant(episode.raised_at),
        copy_instant(episode.last_seen),
        copy_text(episode.closed_reason),
        copy_instant(episode.ended_at),
        copy_instant(episode.attention_at),
        str(episode.repeats),
        str(episode.reopened),
        NULL if episode.refresh_s is None else str(episode.refresh_s),
        copy_instant(episode.silenced_until),
        *changed,
    )


def _state(
    episodes: int,
    condition: str | None,
    handling: str,
    suppression: str,
    severity: str,
    title: str,
    raised_at: datetime,
    last_seen: datetime,
    closed_reason: str | None,
    ended_at: datetime | None,
    attention_at: datetime | None,
    repeats: int,
    reopened: int,
    refresh_s: int | None,
    silenced_until: datetime | None,
    changed_at: datetime | None,
    changed_by: str,
) -> Alert:
    if condition is None:
        return Alert(episodes, None, changed_at, changed_by)
    episode = Episode(
        condition=Condition(condition),
        handling=Handling(handling),
        severity=severity,
        title=title,
        raised_at=raised_at,
        last_seen=last_seen,
        closed_reason=closed_reason,
        ended_at=ended_at,
        attention_at=attention_at,
        repeats=repeats,
        reopened=reopened,
        refresh_s=refresh_s,
        suppression=Suppression(suppression),
        silenced_until=silenced_until,
    )
    return Alert(episodes, episode, changed_at, changed_by)


ALERTS = Form(
    table="alert_status",
    key="alert_key",
    columns=(
        "episodes",
        "condition",
        "handling",
        "suppression",
        "severity",
        "title",
        "raised_at",
        "last_seen",
        "closed_reason",
        "ended_at",
        "attention_at",
        "repeats",
        "reopened",
        "refresh_s",
        "silenced_until",
        "changed_at",
        "changed_by",
    ),
    fields=_fields,
    state=_state,
    key_field=copy_text,
)
