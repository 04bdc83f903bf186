"""The board, lists of projects, and one project."""

from datetime import date, datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import Page, columns, page, rows


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
    return rows(
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
_PROJECT = columns(ProjectRow)


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
    return page(
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
