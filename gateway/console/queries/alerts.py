"""Alerts, and whose they are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import Page, columns, page, rows

ASSIGNED_DAYS: Final = 90
ASSIGNED_MAX: Final = 1_000


class AlertRow(NamedTuple):
    """An alert's three axes, its age, and by when somebody should have taken it."""

    alert_key: str
    monitor: str
    title: str | None
    severity: str | None
    condition: str | None
    handling: str | None
    suppression: str | None
    raised_at: datetime | None
    last_seen: datetime | None
    ended_at: datetime | None
    closed_reason: str | None
    age_s: float | None
    acknowledge_by: datetime | None
    is_acknowledged_late: bool
    episodes: int
    repeats: int
    reopened: int
    silenced_until: datetime | None


class AlertFilter(NamedTuple):
    """show: waiting (firing, or over and open), mine (assigned to me), silenced (firing behind a silence), all. Empty: all."""

    show: str = "waiting"
    severity: str = ""
    words: str = ""


SEVERITIES: Final = ("critical", "high", "warning", "low", "info")
_ALERT = columns(AlertRow)
_LATE_FIRST: Final = (
    "is_acknowledged_late DESC, coalesce(suppression, 'none') = 'none' DESC, handling = 'open' DESC,"
    " severity_rank DESC, age_s DESC, alert_key"
)
_SOONEST_HEARD_FIRST: Final = "silenced_until, severity_rank DESC, alert_key"


def alerts(cursor: Cursor[Any], wanted: AlertFilter, keys: Sequence[str] | None = None) -> Page[AlertRow]:
    """Those nobody took in time first, silenced ones last, then open ones, by severity and age. `keys`: only these.

    Of what fires behind a silence, the silence that ends soonest first.
    """
    where, order = ["true"], _LATE_FIRST
    if wanted.show == "silenced":
        where.append("suppression = 'silenced' AND condition = 'firing'")
        order = _SOONEST_HEARD_FIRST
    elif wanted.show != "all":
        where.append("(condition = 'firing' OR handling = 'open')")
    if keys is not None:
        where.append("alert_key = ANY(%(keys)s)")
    if wanted.severity:
        where.append("severity = %(severity)s")
    if wanted.words:
        where.append("strpos(lower(concat_ws(' ', alert_key, title)), lower(%(words)s)) > 0")
    return page(
        cursor,
        AlertRow,
        f"SELECT {_ALERT} FROM v_alert WHERE {' AND '.join(where)} ORDER BY {order}",  # noqa: S608
        wanted._asdict() | {"keys": list(keys or ())},
    )


def alert(cursor: Cursor[Any], key: str) -> AlertRow | None:
    """One alert."""
    found = rows(cursor, AlertRow, f"SELECT {_ALERT} FROM v_alert WHERE alert_key = %(key)s", {"key": key})  # noqa: S608
    return found[0] if found else None


class Assignment(NamedTuple):
    """Whose an alert's episode is."""

    subject: str
    assignee: str
    episode: int


def kept_assignments(cursor: Cursor[Any], subjects: Sequence[str]) -> dict[str, Assignment]:
    """The latest assignment of each of these alerts."""
    found = rows(
        cursor,
        Assignment,
        """SELECT DISTINCT ON (subject) subject, detail ->> 'to' AS assignee, (detail ->> 'episode')::int AS episode
           FROM console_deed WHERE kind = 'alert' AND action = 'assign' AND subject = ANY(%(subjects)s)
           ORDER BY subject, id DESC""",
        {"subjects": list(subjects)},
    )
    return {row.subject: row for row in found}


def kept_assigned_to(cursor: Cursor[Any], name: str) -> list[str]:
    """Alerts that were this person's within ASSIGNED_DAYS; somebody else may have them by now."""
    cursor.execute(
        "SELECT DISTINCT subject FROM console_deed WHERE kind = 'alert' AND action = 'assign' AND detail ->> 'to' = %s"
        " AND done_at > now() - make_interval(days => %s) LIMIT %s",
        (name, ASSIGNED_DAYS, ASSIGNED_MAX),
    )
    return [row[0] for row in cursor.fetchall()]


def kept_user_names(cursor: Cursor[Any]) -> list[str]:
    """Who can be given an alert."""
    cursor.execute("SELECT name FROM console_user WHERE role IN ('operator', 'steward') ORDER BY name LIMIT 500")
    return [row[0] for row in cursor.fetchall()]
