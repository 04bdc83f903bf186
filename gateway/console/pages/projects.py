"""Projects: the board, and one project's whole story."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.console import queries
from gateway.console.markup import Markup, address, join, link, tag
from gateway.console.pages.story import story_section
from gateway.console.pieces import (
    Head,
    badge,
    choices,
    exactly,
    facts,
    filters,
    meter,
    notice,
    section,
    table,
    text_field,
    when,
)
from gateway.console.queries import Column, MilestoneRow, Page, ProjectFilter, ProjectRow, ProjectSheet
from gateway.console.story import Story
from gateway.console.words import Speech, number

TOLD_FROM_S = 10.0  # younger figures pass for those of now

# In the order of a project's life.
STATES = (
    "applied",
    "returned",
    "under_review",
    "reserve",
    "approved",
    "contracted",
    "executing",
    "suspended",
    "acceptance_pending",
    "in_acceptance",
    "conditionally_accepted",
    "acceptance_failed",
    "accepted",
    "closed",
    "archived",
    "rejected",
    "withdrawn",
    "terminated",
    "revoked",
)


class _Claims(Protocol):
    @property
    def is_overdue(self) -> bool: ...
    @property
    def overdue_days(self) -> float | None: ...
    @property
    def is_at_risk(self) -> bool: ...
    @property
    def is_silent(self) -> bool: ...
    @property
    def is_underspent(self) -> bool: ...


def filter_form(say: Speech, chosen: ProjectFilter) -> Markup:
    """State, claim, words."""
    states = [("", say("all")), *((state, say.value("state", state)) for state in STATES)]
    claims = [("", say("all")), *((claim, say(f"claim.{claim}")) for claim in queries.CLAIMS)]
    return filters(
        say,
        address("projects"),
        choices("state", say("state"), chosen.state, states),
        choices("claim", say("claim"), chosen.claim, claims),
        text_field("words", say("search_for"), chosen.words),
    )


def board_section(say: Speech, board: Iterable[Column], chosen: ProjectFilter, age_s: float) -> Markup:
    """How many stand where; every state leads to its list. `age_s`: how old the figures are."""
    by_state = {column.state or "": column for column in board}
    most = max((column.projects for column in by_state.values()), default=1)
    order = {state: place for place, state in enumerate(STATES)}
    rows = [
        _state_line(say, by_state[state], most, is_chosen=state == chosen.state)
        for state in sorted(by_state, key=lambda state: (order.get(state, 99), state))
    ]
    body = tag("ul", rows, class_="board") if rows else tag("p", say("nothing"), class_="empty")
    return section(say("by_state"), body, note=say("as_of", age=say.span(age_s)) if age_s >= TOLD_FROM_S else "")


def _state_line(say: Speech, column: Column, most: int, *, is_chosen: bool) -> Markup:
    marks = [
        badge(f"{number(count)} {say(f'claim.{claim}')}", claim)
        for claim, count in (("overdue", column.overdue), ("at_risk", column.at_risk))
        if count
    ]
    name = say.value("state", column.state)
    return tag(
        "li",
        tag("a", name, href=address("projects", state=column.state), aria_current="true" if is_chosen else None)
        if column.state
        else tag("span", name),
        meter(column.projects, most, number(column.projects)),
        tag("span", marks, class_="marks"),
    )


def list_section(say: Speech, page: Page[ProjectRow]) -> Markup:
    """Overdue first."""
    rows = [
        (
            join(link(row.title or row.project_id, "projects", row.project_id), tag("small", row.project_id)),
            join(say.value("state", row.state), " ", claims(say, row)),
            row.lead,
            row.programme,
            tag("time", say.day(row.end_on)) if row.end_on else None,
            _paid(row.disbursed, row.contract_amount, row.currency),
            when(say, row.changed_at),
        )
        for row in page.rows
    ]
    heads = (
        Head(say("project")),
        Head(say("state")),
        Head(say("lead")),
        Head(say("programme")),
        Head(say("ends")),
        Head(say("paid"), True),
        Head(say("moved")),
    )
    more = tag("p", say("more", count=len(page.rows)), class_="note") if page.has_more else None
    return section(say("projects"), table(say("projects"), heads, rows, empty=say("nothing")), more)


def claims(say: Speech, row: _Claims) -> Markup:
    """The overlays that hold now, as badges."""
    found: list[Markup] = []
    if row.is_overdue:
        text = say("overdue_days", days=number(row.overdue_days)) if row.overdue_days else say("claim.overdue")
        found.append(badge(text, "overdue"))
    held = {"at_risk": row.is_at_risk, "silent": row.is_silent, "underspent": row.is_underspent}
    found += [badge(say(f"claim.{claim}"), claim) for claim, holds in held.items() if holds]
    return tag("span", found, class_="marks")


def _paid(disbursed: int, amount: int, currency: str) -> Markup | None:
    if not amount:
        return None
    return meter(disbursed, amount, f"{number(disbursed)} / {number(amount)} {currency}")


def sheet(say: Speech, project: ProjectSheet, plan: Sequence[MilestoneRow]) -> Markup:
    """Where it stands: state, claims, money, plan."""
    extra = badge(f"{project.parked_events} {say('claim.parked')}", "parked") if project.parked_events else None
    status = tag("p", tag("strong", say.value("state", project.state)), claims(say, project), extra, class_="status")
    return join(status, tag("div", _facts(say, project), _plan(say, plan), class_="two"))


def _facts(say: Speech, project: ProjectSheet) -> Markup:
    term = f"{say.day(project.start_on)} – {say.day(project.end_on)}" if project.start_on or project.end_on else None
    source = f"{project.register_name}: {project.source_status}" if project.register_name or project.source_status else None
    money = _paid(project.disbursed, project.contract_amount, project.currency)
    return section(
        say("money") if money else say("details"),
        facts(
            (
                (say("paid"), money),
                (say("lead"), project.lead),
                (say("call"), link(project.call_id, "calls", project.call_id) if project.call_id else None),
                (say("programme"), project.programme),
                (say("contract_no"), project.contract_no),
                (say("term"), term),
                (say("register"), source),
                (say("moved"), exactly(say, project.changed_at)),
            )
        ),
    )


def _plan(say: Speech, plan: Sequence[MilestoneRow]) -> Markup:
    rows = [
        (
            row.milestone_id,
            say.day(row.due_on),
            badge(say.value("milestone", row.status), _look_of(row)),
            number(row.days_left) if row.is_outstanding else "",
        )
        for row in plan
    ]
    heads = (Head(say("milestone")), Head(say("due")), Head(say("state")), Head(say("days_left"), True))
    return section(say("milestones"), table(say("milestones"), heads, rows, empty=say("no_milestones")))


def _look_of(row: MilestoneRow) -> str:
    if row.is_outstanding and row.days_left < 0:
        return "overdue"
    return {"accepted": "accepted", "returned": "returned"}.get(row.status, "")


def why_section(say: Speech, project: ProjectSheet, story: Story) -> Markup:
    """The story, and whether it leads to what is stored."""
    return story_section(say, story, project.state, "state")


def missing(say: Speech, project_id: str) -> Markup:
    """There is no such project."""
    return notice(say("missing_why", what=say("project"), key=project_id), "warn")
