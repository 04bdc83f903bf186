"""What pages ask of PostgreSQL: SQL in, typed rows out. Every list has a limit.

Reads go by the views (`v_...`), so the reading role will do; what those leave out on purpose (an event's data, a quarantined
record's bytes, deeds) is asked for by functions whose names begin with `kept_`, over the console's own connection.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar

from psycopg import Cursor
from psycopg.rows import class_row

from gateway.console.story import StoredEvent

R = TypeVar("R")

LIST_MAX: Final = 50
FOUND_MAX: Final = 20
STORY_EVENTS_MAX: Final = 2_000
DEEDS_MAX: Final = 200
PULSE_MINUTES: Final = 10
TICK_S: Final = 15
SOURCES_MAX: Final = 5_000
NEWS_MAX: Final = 14
CALLS_MAX: Final = 10
ASSIGNED_DAYS: Final = 90
ASSIGNED_MAX: Final = 1_000


class Page(NamedTuple, Generic[R]):
    """Rows, and whether there are more than the limit let through."""

    rows: Sequence[R]
    has_more: bool


def _rows(cursor: Cursor[Any], kind: type[R], query: str, values: dict[str, Any] | None = None) -> list[R]:
    with cursor.connection.cursor(row_factory=class_row(kind)) as typed:
        typed.execute(query.encode(), values or {})
        return typed.fetchall()


def _page(cursor: Cursor[Any], kind: type[R], query: str, values: dict[str, Any], limit: int = LIST_MAX) -> Page[R]:
    rows = _rows(cursor, kind, f"{query} LIMIT {limit + 1}", values)
    return Page(rows[:limit], len(rows) > limit)


_FLOATS: Final = frozenset({"age_s", "overdue_days"})  # the views compute them as numeric


def _columns(kind: type[Any]) -> str:
    """The columns of a row's fields."""
    return ", ".join(f"{name}::float8 AS {name}" if name in _FLOATS else name for name in kind._fields)


# --- now --------------------------------------------------------------------------------------------------------------------


class Beat(NamedTuple):
    """Events of one source in one topic and TICK_S seconds."""

    source: str
    topic: str
    tick: int
    events: int
    last_at: datetime


def pulse(cursor: Cursor[Any]) -> list[Beat]:
    """The last PULSE_MINUTES, from outside: what the platform derives is left out."""
    return _rows(
        cursor,
        Beat,
        f"""SELECT event_source AS source, topic,
                   floor(extract(epoch FROM recorded_at) / {TICK_S})::bigint AS tick,
                   count(*) AS events, max(recorded_at) AS last_at
            FROM v_event
            WHERE recorded_at > now() - interval '{PULSE_MINUTES} minutes' AND recorded_at <= now() AND topic LIKE '%%.event'
                  AND event_source NOT LIKE '/engine/%%' AND event_source NOT LIKE '/streams/%%'
            GROUP BY 1, 2, 3 LIMIT {SOURCES_MAX}""",  # noqa: S608 - our own constants
    )


class News(NamedTuple):
    """An event, without its data."""

    recorded_at: datetime
    event_type: str
    event_source: str
    subject: str
    topic: str


def news(cursor: Cursor[Any], seconds: int) -> list[News]:
    """The latest events from outside of so many seconds: few where much happens, so that the sort stays small."""
    return _rows(
        cursor,
        News,
        f"""SELECT recorded_at, event_type, event_source, subject, topic FROM v_event
            WHERE recorded_at > now() - make_interval(secs => %(seconds)s) AND topic LIKE '%%.event'
                  AND event_source NOT LIKE '/engine/%%' AND event_source NOT LIKE '/streams/%%'
            ORDER BY recorded_at DESC LIMIT {NEWS_MAX}""",  # noqa: S608
        {"seconds": seconds},
    )


class Needs(NamedTuple):
    """What waits for a person."""

    late_alerts: int
    open_alerts: int
    open_critical: int
    quarantined: int
    quarantined_since: datetime | None
    paused_partitions: int
    closing_calls: int


def needs(cursor: Cursor[Any]) -> Needs:
    """Counts that cost little; projects' claims come from `board`."""
    return _rows(
        cursor,
        Needs,
        """SELECT a.late_alerts, a.open_alerts, a.open_critical, q.quarantined, q.quarantined_since,
                  (SELECT count(*) FROM v_breaker WHERE opened_at IS NOT NULL) AS paused_partitions,
                  (SELECT count(*) FROM v_call WHERE phase = 'closing_soon') AS closing_calls
           FROM (SELECT count(*) FILTER (WHERE is_acknowledged_late) AS late_alerts,
                        count(*) FILTER (WHERE handling = 'open') AS open_alerts,
                        count(*) FILTER (WHERE handling = 'open' AND severity = 'critical') AS open_critical
                 FROM v_alert WHERE handling <> 'closed') a,
                (SELECT count(*) AS quarantined, min(first_failed_at) AS quarantined_since
                 FROM v_quarantine WHERE state = 'waiting') q""",
    )[0]


class ClosingCall(NamedTuple):
    """A call that closes within 14 days."""

    call_id: str
    title: str
    programme: str
    closes_at: datetime


def closing_calls(cursor: Cursor[Any]) -> list[ClosingCall]:
    """The next to close first."""
    return _rows(
        cursor,
        ClosingCall,
        "SELECT call_id, title, programme, closes_at FROM v_call WHERE phase = 'closing_soon'"  # noqa: S608
        f" ORDER BY closes_at, call_id LIMIT {CALLS_MAX}",
    )


# --- projects ---------------------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    """Projects of one base state."""

    state: str | None
    projects: int
    overdue: int
    at_risk: int
    silent: int
    underspent: int


def board(cursor: Cursor[Any]) -> list[Column]:
    """How many projects stand where, and with which claims."""
    return _rows(
        cursor,
        Column,
        """SELECT state, count(*) AS projects, count(*) FILTER (WHERE is_overdue) AS overdue,
                  count(*) FILTER (WHERE is_at_risk) AS at_risk, count(*) FILTER (WHERE is_silent) AS silent,
                  count(*) FILTER (WHERE is_underspent) AS underspent
           FROM v_project GROUP BY state""",
    )


class ProjectRow(NamedTuple):
    """A project as a list shows it."""

    project_id: str
    state: str | None
    title: str
    lead: str
    programme: str
    contract_amount: int
    disbursed: int
    currency: str
    end_on: date | None
    is_overdue: bool
    overdue_days: float | None
    is_at_risk: bool
    is_silent: bool
    is_underspent: bool
    changed_at: datetime | None


class ProjectFilter(NamedTuple):
    """Empty: all."""

    state: str = ""
    claim: str = ""
    words: str = ""


# A claim, and the states in which it can hold: of a million projects most have ended, and are not looked at.
CLAIMS: Final = {
    "overdue": ("contracted", "executing", "suspended", "acceptance_pending"),
    "at_risk": ("executing",),
    "silent": ("executing",),
    "underspent": ("acceptance_pending", "in_acceptance", "accepted", "closed"),
}
_PROJECT = _columns(ProjectRow)


def projects(cursor: Cursor[Any], wanted: ProjectFilter) -> Page[ProjectRow]:
    """Overdue first, the longest first; then at risk; then what moved last."""
    where = ["true"]
    if wanted.state:
        where.append("state = %(state)s")
    if wanted.claim in CLAIMS:
        where.append("state = ANY(%(states)s)")
    if wanted.words:
        where.append("strpos(lower(concat_ws(' ', project_id, title, lead, programme)), lower(%(words)s)) > 0")
    holds = f"WHERE is_{wanted.claim}" if wanted.claim in CLAIMS else ""
    return _page(
        cursor,
        ProjectRow,
        # OFFSET 0 keeps the claims from being computed once for the condition and once more for the list.
        f"SELECT * FROM (SELECT {_PROJECT} FROM v_project WHERE {' AND '.join(where)} OFFSET 0) AS p {holds}"  # noqa: S608
        " ORDER BY is_overdue DESC, overdue_days DESC NULLS LAST, is_at_risk DESC, changed_at DESC NULLS LAST, project_id",
        wanted._asdict() | {"states": list(CLAIMS.get(wanted.claim, ()))},
    )


class ProjectSheet(NamedTuple):
    """A project as its own page shows it."""

    project_id: str
    state: str | None
    title: str
    lead: str
    call_id: str
    programme: str
    contract_no: str
    contract_amount: int
    disbursed: int
    currency: str
    start_on: date | None
    end_on: date | None
    is_extended: bool
    suspended_at: datetime | None
    reported_at: datetime | None
    register_name: str
    source_status: str
    changed_at: datetime | None
    changed_by: str
    is_overdue: bool
    overdue_days: float | None
    is_at_risk: bool
    is_silent: bool
    is_underspent: bool
    parked_events: int
    rejected_events: int


class MilestoneRow(NamedTuple):
    """One line of the contract's plan."""

    milestone_id: str
    due_on: date
    status: str
    is_outstanding: bool
    days_left: int


def project(cursor: Cursor[Any], project_id: str) -> tuple[ProjectSheet, list[MilestoneRow]] | None:
    """One project and its plan."""
    names = _columns(ProjectSheet)
    found = _rows(cursor, ProjectSheet, f"SELECT {names} FROM v_project WHERE project_id = %(id)s", {"id": project_id})  # noqa: S608
    if not found:
        return None
    plan = _rows(
        cursor,
        MilestoneRow,
        "SELECT milestone_id, due_on, status, coalesce(is_outstanding, false) AS is_outstanding, days_left FROM v_milestone"
        " WHERE project_id = %(id)s ORDER BY due_on, milestone_id LIMIT 500",
        {"id": project_id},
    )
    return found[0], plan


def kept_events(cursor: Cursor[Any], topic: str, subject: str) -> list[StoredEvent]:
    """An entity's whole log, in its order, from the history."""
    return _rows(
        cursor,
        StoredEvent,
        f"""SELECT topic, partition, record_offset AS offset, recorded_at, event FROM event_history
            WHERE subject = %(subject)s AND topic = %(topic)s
            ORDER BY partition, record_offset LIMIT {STORY_EVENTS_MAX}""",  # noqa: S608
        {"subject": subject, "topic": topic},
    )


# --- alerts -----------------------------------------------------------------------------------------------------------------


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


class AlertFilter(NamedTuple):
    """show: waiting (firing, or over and open), mine (assigned to me), all. Empty: all."""

    show: str = "waiting"
    severity: str = ""
    words: str = ""


SEVERITIES: Final = ("critical", "high", "warning", "low", "info")
_ALERT = _columns(AlertRow)


def alerts(cursor: Cursor[Any], wanted: AlertFilter, keys: Sequence[str] | None = None) -> Page[AlertRow]:
    """Those nobody took in time first, then open ones, by severity and age. `keys`: only these."""
    where = ["true"]
    if wanted.show != "all":
        where.append("(condition = 'firing' OR handling = 'open')")
    if keys is not None:
        where.append("alert_key = ANY(%(keys)s)")
    if wanted.severity:
        where.append("severity = %(severity)s")
    if wanted.words:
        where.append("strpos(lower(concat_ws(' ', alert_key, title)), lower(%(words)s)) > 0")
    return _page(
        cursor,
        AlertRow,
        f"SELECT {_ALERT} FROM v_alert WHERE {' AND '.join(where)}"  # noqa: S608
        " ORDER BY is_acknowledged_late DESC, handling = 'open' DESC, severity_rank DESC, age_s DESC, alert_key",
        wanted._asdict() | {"keys": list(keys or ())},
    )


def alert(cursor: Cursor[Any], key: str) -> AlertRow | None:
    """One alert."""
    found = _rows(cursor, AlertRow, f"SELECT {_ALERT} FROM v_alert WHERE alert_key = %(key)s", {"key": key})  # noqa: S608
    return found[0] if found else None


class Deed(NamedTuple):
    """What somebody did."""

    done_at: datetime
    done_by: str
    action: str
    kind: str
    subject: str
    detail: dict[str, Any]


def kept_deeds(cursor: Cursor[Any], kind: str, subject: str) -> list[Deed]:
    """What people did with one thing, the latest first."""
    return _rows(
        cursor,
        Deed,
        f"SELECT done_at, done_by, action, kind, subject, detail FROM console_deed"  # noqa: S608
        f" WHERE kind = %(kind)s AND subject = %(subject)s ORDER BY id DESC LIMIT {DEEDS_MAX}",
        {"kind": kind, "subject": subject},
    )


class Assignment(NamedTuple):
    """Whose an alert's episode is."""

    subject: str
    assignee: str
    episode: int


def kept_assignments(cursor: Cursor[Any], subjects: Sequence[str]) -> dict[str, Assignment]:
    """The latest assignment of each of these alerts."""
    found = _rows(
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


# --- quarantine -------------------------------------------------------------------------------------------------------------


class Cause(NamedTuple):
    """Records that wait for the same reason."""

    reason: str
    event_source: str
    event_type: str | None
    records: int
    first_failed_at: datetime


def causes(cursor: Cursor[Any], source: str = "") -> list[Cause]:
    """By number, the most first. `source`: only what this publisher and those below it sent."""
    return _rows(
        cursor,
        Cause,
        f"""SELECT reason, event_source, event_type, count(*) AS records, min(first_failed_at) AS first_failed_at
            FROM v_quarantine WHERE state = 'waiting'
                 AND (%(source)s = '' OR event_source = %(source)s OR starts_with(event_source, %(source)s || '/'))
            GROUP BY 1, 2, 3 ORDER BY records DESC, reason, event_source LIMIT {LIST_MAX}""",  # noqa: S608
        {"source": source},
    )


class HeldRow(NamedTuple):
    """A quarantined record, without its bytes."""

    id: int
    state: str
    reason: str
    topic: str
    partition: int
    record_offset: int
    event_id: str | None
    event_type: str | None
    event_source: str
    pointer: str
    attempts: int
    first_failed_at: datetime
    settled_at: datetime | None
    settled_by: str | None


class HeldFilter(NamedTuple):
    """Empty: all. source None: all; empty text: those whose source cannot be read."""

    state: str = "waiting"
    reason: str = ""
    source: str | None = None


_HELD = _columns(HeldRow)


def held(cursor: Cursor[Any], wanted: HeldFilter) -> Page[HeldRow]:
    """Quarantined records; those that wait longest first, settled ones latest first."""
    order = "id" if wanted.state == "waiting" else "id DESC"
    return _page(
        cursor,
        HeldRow,
        f"SELECT {_HELD} FROM v_quarantine WHERE (%(state)s = 'all' OR state = %(state)s)"  # noqa: S608
        " AND (%(reason)s = '' OR reason = %(reason)s) AND (%(source)s::text IS NULL OR event_source = %(source)s)"
        f" ORDER BY {order}",
        wanted._asdict(),
    )


class HeldSheet(NamedTuple):
    """A quarantined record with its bytes."""

    id: int
    state: str
    reason: str
    pointer: str
    message: str
    topic: str
    partition: int
    record_offset: int
    record_time: datetime | None
    record_key: bytes | None
    value: bytes | None
    event_id: str | None
    event_type: str | None
    event_source: str | None
    contract: str | None
    step: str
    code_version: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    settled_why: str | None


def kept_held(cursor: Cursor[Any], row_id: int) -> HeldSheet | None:
    """One quarantined record."""
    names = _columns(HeldSheet)
    found = _rows(cursor, HeldSheet, f"SELECT {names} FROM quarantine WHERE id = %(id)s", {"id": row_id})  # noqa: S608
    return found[0] if found else None


# --- the data's way ---------------------------------------------------------------------------------------------------------


class Paused(NamedTuple):
    """A partition that a flood of bad records paused."""

    step: str
    topic: str
    partition: int
    opened_at: datetime
    message: str


def paused(cursor: Cursor[Any]) -> list[Paused]:
    """Partitions that stand still."""
    return _rows(
        cursor,
        Paused,
        "SELECT step, topic, partition, opened_at, message FROM v_breaker WHERE opened_at IS NOT NULL"
        " ORDER BY opened_at LIMIT 100",
    )


# --- search -----------------------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """Something that a search found. kind: project, call, alert, partner, record."""

    kind: str
    key: str
    title: str
    note: str
    state: str | None


def find_key(cursor: Cursor[Any], words: str) -> list[Found]:
    """Whatever has exactly this id: by keys, so at once."""
    return _rows(
        cursor,
        Found,
        """SELECT 'project' AS kind, project_id AS key, title, lead AS note, state FROM v_project WHERE project_id = %(words)s
           UNION ALL SELECT 'call', call_id, title, programme, phase FROM v_call WHERE call_id = %(words)s
           UNION ALL SELECT 'alert', alert_key, coalesce(title, ''), monitor, condition FROM v_alert
                     WHERE alert_key = %(words)s""",
        {"words": words},
    )


def find_words(cursor: Cursor[Any], words: str) -> list[Found]:
    """Whatever has these letters in id, name or organisation; the first of each kind."""
    return _rows(
        cursor,
        Found,
        f"""(SELECT 'project' AS kind, project_id AS key, title, lead AS note, state FROM v_project
             WHERE strpos(lower(concat_ws(' ', project_id, title, lead, contract_no)), lower(%(words)s)) > 0
             LIMIT {FOUND_MAX})
            UNION ALL (SELECT 'call', call_id, title, programme, phase FROM v_call
             WHERE strpos(lower(concat_ws(' ', call_id, title, programme)), lower(%(words)s)) > 0 LIMIT {FOUND_MAX})
            UNION ALL (SELECT 'alert', alert_key, coalesce(title, ''), monitor, condition FROM v_alert
             WHERE strpos(lower(concat_ws(' ', alert_key, title)), lower(%(words)s)) > 0 LIMIT {FOUND_MAX})
            UNION ALL (SELECT 'record', id::text, coalesce(event_id, ''), event_source, state FROM v_quarantine
             WHERE strpos(lower(concat_ws(' ', event_id, event_source)), lower(%(words)s)) > 0 LIMIT {FOUND_MAX})""",  # noqa: S608
        {"words": words},
    )


# --- partners ---------------------------------------------------------------------------------------------------------------


class PartnerRow(NamedTuple):
    """A partner, its rights and the token that holds longest."""

    partner_id: str
    name: str
    scopes: list[str]
    sources: list[str]
    events_per_s: int
    events_per_day: int
    tokens: int
    expires_at: datetime | None


def kept_partners(cursor: Cursor[Any], partner_id: str | None = None) -> list[PartnerRow]:
    """All partners, or one."""
    return _rows(
        cursor,
        PartnerRow,
        """SELECT p.partner_id, p.name, p.scopes, p.sources, p.events_per_s, p.events_per_day,
                  count(t.digest) AS tokens, max(t.expires_at) AS expires_at
           FROM partner p LEFT JOIN partner_token t
                ON t.partner_id = p.partner_id AND t.revoked_at IS NULL AND t.expires_at > now()
           WHERE %(id)s::text IS NULL OR p.partner_id = %(id)s
           GROUP BY p.partner_id ORDER BY p.partner_id LIMIT 500""",
        {"id": partner_id},
    )


def kept_found_partners(cursor: Cursor[Any], words: str) -> list[Found]:
    """Partners with these letters in id or name."""
    return _rows(
        cursor,
        Found,
        f"""SELECT 'partner' AS kind, partner_id AS key, name AS title, '' AS note, '' AS state FROM partner
            WHERE strpos(lower(concat_ws(' ', partner_id, name)), lower(%(words)s)) > 0
            ORDER BY partner_id LIMIT {FOUND_MAX}""",  # noqa: S608
        {"words": words},
    )
