"""The board, lists of projects, and one project."""

from datetime import date, datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import LIST_MAX, Page, columns, page, rows


class Column(NamedTuple):
    """Projects of one base state."""

    state: str | None
    projects: int
    overdue: int
    at_risk: int
    silent: int
    underspent: int


def board(cursor: Cursor[Any]) -> list[Column]:
    """How many projects stand where, and with which claims: sums that are kept, and what indexes hold."""
    return rows(
        cursor,
        Column,
        """WITH claim AS (
               SELECT state, count(*) AS overdue, 0 AS at_risk, 0 AS silent
               FROM v_listed_project WHERE is_overdue GROUP BY state
               UNION ALL SELECT state, 0, count(DISTINCT project_id), 0 FROM v_due_milestone WHERE is_at_risk GROUP BY state
               UNION ALL SELECT state, 0, 0, count(*) FROM v_listed_project WHERE is_silent GROUP BY state
           ), claims AS (
               SELECT state, sum(overdue) AS overdue, sum(at_risk) AS at_risk, sum(silent) AS silent
               FROM claim GROUP BY state
           )
           SELECT s.state, s.projects::bigint AS projects, coalesce(c.overdue, 0)::bigint AS overdue,
                  coalesce(c.at_risk, 0)::bigint AS at_risk, coalesce(c.silent, 0)::bigint AS silent,
                  s.underspent::bigint AS underspent
           FROM (SELECT state, sum(projects) AS projects, sum(underspent) AS underspent FROM v_project_count GROUP BY state) s
           LEFT JOIN claims c ON c.state = s.state""",
    )


def copy_age_s(cursor: Cursor[Any]) -> float:
    """How old the copy is that lists and counts of projects come from."""
    cursor.execute("SELECT age_s::float8 FROM v_reading WHERE name = 'project'")
    row = cursor.fetchone()
    return float(row[0]) if row else 0.0


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


UNDECIDED: Final = ("applied", "returned", "under_review", "reserve")
# A claim, and the states in which it can hold.
CLAIMS: Final = {
    "undecided": UNDECIDED,
    "overdue": ("contracted", "executing", "suspended", "acceptance_pending"),
    "at_risk": ("executing",),
    "silent": ("executing",),
    "underspent": ("acceptance_pending", "in_acceptance", "accepted", "closed"),
}
_PROJECT = columns(ProjectRow)
# Each tier by an index of its own, so that it ends with the page.
_RISK = """SELECT p.*, d.due_at FROM v_due_milestone d JOIN v_listed_project p ON p.project_id = d.project_id
           WHERE d.is_at_risk AND d.is_first
             AND NOT EXISTS (SELECT FROM v_due_milestone e WHERE e.project_id = d.project_id AND e.is_at_risk
                             AND e.due_at < d.due_at)"""
_IS_UNDECIDED: Final = f"p.state IN ({', '.join(repr(state) for state in UNDECIDED)})"
_TIERS: Final = {
    "undecided": (f"SELECT p.*, NULL::timestamptz AS due_at FROM v_listed_project p WHERE {_IS_UNDECIDED}", "p.moved_at"),  # noqa: S608
    "overdue": ("SELECT p.*, NULL::timestamptz AS due_at FROM v_listed_project p WHERE p.is_overdue", "p.overdue_from"),
    "at_risk": (_RISK, "d.due_at"),
    "silent": ("SELECT p.*, NULL::timestamptz AS due_at FROM v_listed_project p WHERE p.is_silent", "p.silent_from"),
    "underspent": (
        "SELECT p.*, NULL::timestamptz AS due_at FROM v_listed_project p WHERE p.is_underspent",
        "p.moved_at DESC",
    ),
}
_HAS_WORDS: Final = (
    "(strpos(p.words, %(words)s) > 0 OR p.call_id = ANY(ARRAY("
    "SELECT call_id FROM v_call WHERE strpos(lower(programme), %(words)s) > 0)))"
)
FEW_MAX: Final = 2_000
_FIRST: Final = (("overdue", ""), ("at_risk", " AND NOT p.is_overdue"))
_LAST_MOVED: Final = "SELECT p.*, NULL::timestamptz AS due_at FROM v_listed_project p WHERE true"


def projects(cursor: Cursor[Any], wanted: ProjectFilter) -> Page[ProjectRow]:
    """Overdue first, the longest first; then at risk, the nearest first; then what moved last. One claim: where it
    holds; of what is undecided, the longest wait first.

    With words that few have: overdue first, then what moved last.
    """
    state = " AND p.state = %(state)s" if wanted.state else ""
    values = wanted._asdict() | {"words": wanted.words.lower()}
    if wanted.words:
        few = _few(cursor, values)
        if few is not None:
            return page(cursor, ProjectRow, _of_few(wanted, state), values | {"few": few})
        state += f" AND {_HAS_WORDS}"  # so many that a page of them is mostly found early in its tier
    if wanted.claim in _TIERS:
        tiers = [(*_TIERS[wanted.claim], "")]
    else:
        tiers = [
            *((*_TIERS[name], others) for name, others in _FIRST if not wanted.state or wanted.state in CLAIMS[name]),
            (_LAST_MOVED, "p.moved_at DESC", " AND NOT p.is_overdue AND NOT p.is_at_risk"),
        ]
    parts = []
    for tier, (select, order, others) in enumerate(tiers):
        way = " DESC" if order.endswith("DESC") else ""  # as the index goes
        first = f"{select}{state}{others} ORDER BY {order}, p.project_id{way} LIMIT {LIST_MAX + 1}"
        parts.append(f"(SELECT {tier} AS tier, row_number() OVER () AS place, {_PROJECT} FROM ({first}) AS first)")  # noqa: S608
    return page(
        cursor,
        ProjectRow,
        f"SELECT {_PROJECT} FROM ({' UNION ALL '.join(parts)}) AS p ORDER BY tier, place",  # noqa: S608 - our own constants
        values,
    )


def _few(cursor: Cursor[Any], values: dict[str, Any]) -> list[str] | None:
    """The projects that have the words, by a look through a narrow table; None: more than FEW_MAX."""
    cursor.execute(
        f"SELECT project_id FROM v_project_words p WHERE {_HAS_WORDS} LIMIT {FEW_MAX + 1}".encode(),  # noqa: S608 - our own
        values,
    )
    found = [row[0] for row in cursor.fetchall()]
    return found if len(found) <= FEW_MAX else None


def _of_few(wanted: ProjectFilter, state: str) -> str:
    """Claims of those that are shown alone are computed, so they do not take part in the order."""
    holds, order = "", "is_overdue DESC, overdue_from, moved_at DESC, project_id"
    if wanted.claim == "undecided":
        holds, order = f" AND {_IS_UNDECIDED}", "moved_at, project_id"
    elif wanted.claim in CLAIMS:
        holds = f" AND is_{wanted.claim}"
    return (
        f"SELECT {_PROJECT} FROM v_listed_project p WHERE p.project_id = ANY(%(few)s){state}{holds}"  # noqa: S608
        f" ORDER BY {order}"
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
    names = columns(ProjectSheet)
    found = rows(cursor, ProjectSheet, f"SELECT {names} FROM v_project WHERE project_id = %(id)s", {"id": project_id})  # noqa: S608
    if not found:
        return None
    plan = rows(
        cursor,
        MilestoneRow,
        "SELECT milestone_id, due_on, status, coalesce(is_outstanding, false) AS is_outstanding, days_left FROM v_milestone"
        " WHERE project_id = %(id)s ORDER BY due_on, milestone_id LIMIT 500",
        {"id": project_id},
    )
    return found[0], plan
