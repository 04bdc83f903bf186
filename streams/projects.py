"""Research projects: the Bureau's lifecycle from application to archive.

One row a transition, one function a guard. An outside register's coarse word maps onto the same states (streams/registers.py)
and never overrides what the Bureau's own events established.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from sys import intern  # what many projects have in common is kept in memory once
from typing import Any

from msgspec.structs import replace

from engine.ports import Decision, Derived, Entity, Outcome, Step
from schemas.contract import Fact, day_instant, day_text, one_day
from schemas.platform import FINDING_REPORTED
from schemas.projects import Milestone, MilestoneStatus, Project, State
from schemas.topics import PROJECT_EVENT
from streams.lifecycle import Lifecycle, Row, Timer
from streams.registers import conflict_of, state_of

EXTENSION_NOTICE = timedelta(days=90)
EXTENSION_MAX = timedelta(days=366)
ACCEPTANCE_LIMIT = timedelta(days=183)
AT_RISK_WINDOW = timedelta(days=30)
SILENT_AFTER = timedelta(days=365)

_S = State
_CONTRACTED, _EXECUTING = State.CONTRACTED, State.EXECUTING  # looked up for every event
_SAME = None  # the state stays
_PAYABLE = (
    _S.CONTRACTED,
    _S.EXECUTING,
    _S.ACCEPTANCE_PENDING,
    _S.IN_ACCEPTANCE,
    _S.ACCEPTED,
    _S.CONDITIONALLY_ACCEPTED,
)
_STOPPABLE = (
    _S.APPROVED,
    _S.CONTRACTED,
    _S.EXECUTING,
    _S.SUSPENDED,
    _S.ACCEPTANCE_PENDING,
    _S.IN_ACCEPTANCE,
    _S.CONDITIONALLY_ACCEPTED,
    _S.ACCEPTANCE_FAILED,
)
_ENDED = (_S.CLOSED, _S.REJECTED, _S.WITHDRAWN, _S.TERMINATED, _S.REVOKED)
_WITHDRAWABLE = (_S.APPLIED, _S.RETURNED, _S.UNDER_REVIEW, _S.RESERVE, _S.APPROVED)

# event, states it may come in, state it leads to
_TABLE: tuple[tuple[str, tuple[State | None, ...], State | None], ...] = (
    ("research.application.submitted", (None,), _S.APPLIED),
    ("research.application.ineligible", (_S.APPLIED,), _S.REJECTED),
    ("research.application.returned", (_S.APPLIED,), _S.RETURNED),
    ("research.application.resubmitted", (_S.RETURNED,), _S.APPLIED),
    ("research.application.withdrawn", _WITHDRAWABLE, _S.WITHDRAWN),
    ("research.review.started", (_S.APPLIED,), _S.UNDER_REVIEW),
    ("research.project.approved", (_S.UNDER_REVIEW, _S.RESERVE), _S.APPROVED),
    ("research.project.reserved", (_S.UNDER_REVIEW,), _S.RESERVE),
    ("research.project.rejected", (_S.UNDER_REVIEW, _S.RESERVE), _S.REJECTED),
    ("research.project.contracted", (_S.APPROVED,), _S.CONTRACTED),
    ("research.project.started", (_S.CONTRACTED,), _S.EXECUTING),
    ("research.project.suspended", (_S.EXECUTING,), _S.SUSPENDED),
    ("research.project.resumed", (_S.SUSPENDED,), _S.EXECUTING),
    ("research.project.extended", (_S.EXECUTING,), _SAME),
    ("research.milestone.reported", (_S.EXECUTING, _S.ACCEPTANCE_PENDING), _SAME),
    ("research.milestone.accepted", (_S.EXECUTING, _S.ACCEPTANCE_PENDING), _SAME),
    ("research.milestone.returned", (_S.EXECUTING, _S.ACCEPTANCE_PENDING), _SAME),
    ("research.funds.disbursed", _PAYABLE, _SAME),
    ("research.acceptance.applied", (_S.EXECUTING, _S.ACCEPTANCE_PENDING, _S.ACCEPTANCE_FAILED), _S.IN_ACCEPTANCE),
    ("research.acceptance.passed", (_S.IN_ACCEPTANCE,), _S.ACCEPTED),
    ("research.acceptance.conditional", (_S.IN_ACCEPTANCE,), _S.CONDITIONALLY_ACCEPTED),
    ("research.acceptance.failed", (_S.IN_ACCEPTANCE,), _S.ACCEPTANCE_FAILED),
    ("research.acceptance.remedied", (_S.CONDITIONALLY_ACCEPTED,), _S.ACCEPTED),
    ("research.project.settled", (_S.ACCEPTED,), _S.CLOSED),
    ("research.project.archived", _ENDED, _S.ARCHIVED),
    ("research.project.terminated", _STOPPABLE, _S.TERMINATED),
    ("research.project.revoked", _STOPPABLE, _S.REVOKED),
)
# --- guards: the reason of the first that fails -----------------------------------------------------------------------------


def _guard_contract(_: Project, fact: Fact) -> str | None:
    contract = fact.data
    if contract.end <= contract.start:
        return "end_before_start"
    if any(not contract.start <= milestone.due <= contract.end for milestone in contract.milestones):
        return "milestone_outside_contract"
    return None


def _guard_extension(project: Project, fact: Fact) -> str | None:
    assert project.end is not None  # a project executes only under a contract  # noqa: S101
    if fact.time > day_instant(project.end) - EXTENSION_NOTICE:
        return "extension_too_late"
    if project.is_extended:
        return "extension_repeated"
    if not project.end < fact.data.new_end <= project.end + EXTENSION_MAX:
        return "extension_out_of_range"
    return None


def _guard_milestone(project: Project, fact: Fact) -> str | None:
    status = _status_of(project, fact.data.milestone_id)
    if status is None:
        return "milestone_unknown"
    if fact.name == "research.milestone.reported":
        return None if status in _OUTSTANDING else "milestone_already_reported"
    return None if status is MilestoneStatus.REPORTED else "milestone_not_reported"


def _status_of(project: Project, milestone_id: str) -> MilestoneStatus | None:
    for milestone in project.milestones:
        if milestone.id == milestone_id:
            return milestone.status
    return None


def _guard_disbursement(project: Project, fact: Fact) -> str | None:
    if fact.data.amount <= 0:
        return "amount_not_positive"
    if project.disbursed + fact.data.amount > project.contract_amount:
        return "disbursed_above_contract"
    return None


def _guard_acceptance(project: Project, _: Fact) -> str | None:
    return "acceptance_retry_repeated" if project.state is State.ACCEPTANCE_FAILED and project.is_retried else None


_OUTSTANDING = (MilestoneStatus.PLANNED, MilestoneStatus.RETURNED)
_GUARDS: dict[str, Callable[[Project, Fact], str | None]] = {
    "research.project.contracted": _guard_contract,
    "research.project.extended": _guard_extension,
    "research.milestone.reported": _guard_milestone,
    "research.milestone.accepted": _guard_milestone,
    "research.milestone.returned": _guard_milestone,
    "research.funds.disbursed": _guard_disbursement,
    "research.acceptance.applied": _guard_acceptance,
}

# --- effects: what an event changes beside the base state -------------------------------------------------------------------


def _on_submitted(_: Project, fact: Fact) -> dict[str, Any]:
    return {"title": fact.data.title, "lead": intern(fact.data.lead), "call_id": intern(fact.data.call_id)}


def _on_contracted(_: Project, fact: Fact) -> dict[str, Any]:
    contract = fact.data
    return {
        "contract_no": contract.contract_no,
        "contract_amount": contract.amount,
        "start": one_day(contract.start),
        "end": one_day(contract.end),
        "milestones": tuple(Milestone(intern(m.id), one_day(m.due), MilestoneStatus.PLANNED) for m in contract.milestones),
    }


def _on_suspended(_: Project, fact: Fact) -> dict[str, Any]:
    return {"suspended_at": fact.time}


def _on_resumed(project: Project, fact: Fact) -> dict[str, Any]:
    """The clock stood still: the end and what is outstanding move later by the whole days of the pause."""
    assert project.suspended_at is not None  # noqa: S101
    assert project.end is not None  # noqa: S101
    pause = timedelta(days=max(0, (fact.time - project.suspended_at).days))
    milestones = tuple(replace(m, due=m.due + pause) if m.status in _OUTSTANDING else m for m in project.milestones)
    return {"suspended_at": None, "end": project.end + pause, "milestones": milestones}


def _on_extended(_: Project, fact: Fact) -> dict[str, Any]:
    return {"end": one_day(fact.data.new_end), "is_extended": True}


def _with_milestone(project: Project, fact: Fact, status: MilestoneStatus) -> tuple[Milestone, ...]:
    wanted = fact.data.milestone_id
    return tuple([Milestone(m.id, m.due, status) if m.id == wanted else m for m in project.milestones])


def _on_reported(project: Project, fact: Fact) -> dict[str, Any]:
    latest = fact.time if project.reported_at is None else max(project.reported_at, fact.time)
    return {"milestones": _with_milestone(project, fact, MilestoneStatus.REPORTED), "reported_at": latest}


def _on_milestone_accepted(project: Project, fact: Fact) -> dict[str, Any]:
    return {"milestones": _with_milestone(project, fact, MilestoneStatus.ACCEPTED)}


def _on_milestone_returned(project: Project, fact: Fact) -> dict[str, Any]:
    return {"milestones": _with_milestone(project, fact, MilestoneStatus.RETURNED)}


def _on_disbursed(project: Project, fact: Fact) -> dict[str, Any]:
    year, amount = fact.time.year, fact.data.amount
    by_year = dict(project.paid_by_year)
    by_year[year] = by_year.get(year, 0) + amount
    return {"disbursed": project.disbursed + amount, "paid_by_year": tuple(by_year.items())}


def _on_acceptance_applied(project: Project, _: Fact) -> dict[str, Any]:
    return {"is_retried": True} if project.state is State.ACCEPTANCE_FAILED else {}


def _on_accepted(_: Project, fact: Fact) -> dict[str, Any]:
    return {"accepted_at": fact.time}


_EFFECTS: dict[str, Callable[[Project, Fact], dict[str, Any]]] = {
    "research.application.submitted": _on_submitted,
    "research.project.contracted": _on_contracted,
    "research.project.suspended": _on_suspended,
    "research.project.resumed": _on_resumed,
    "research.project.extended": _on_extended,
    "research.milestone.reported": _on_reported,
    "research.milestone.accepted": _on_milestone_accepted,
    "research.milestone.returned": _on_milestone_returned,
    "research.funds.disbursed": _on_disbursed,
    "research.acceptance.applied": _on_acceptance_applied,
    "research.acceptance.passed": _on_accepted,
    "research.acceptance.remedied": _on_accepted,
}

# --- the lifecycle's parts --------------------------------------------------------------------------------------------------


_ROWS: dict[str, dict[State | None, Row]] = {
    name: {before: Row(after, _GUARDS.get(name), _EFFECTS.get(name)) for before in states} for name, states, after in _TABLE
}


def _row(project: Project, fact: Fact) -> Row | None:
    return _ROWS[fact.name].get(project.state)


def _apply(project: Project, fact: Fact, row: Row) -> Project:
    changes = row.effect(project, fact) if row.effect is not None else {}
    if row.after is not None:
        changes["state"] = row.after
    changes["changed_at"] = fact.time
    changes["changed_by"] = f"{fact.source} {fact.id}"
    return replace(project, **changes)


def _due_at(project: Project) -> datetime | None:
    """When the next timer would act. While suspended none does; the end then moves with the resumption."""
    day = None
    if project.state is _CONTRACTED:
        day = project.start
    elif project.state is _EXECUTING:
        day = project.end
    return None if day is None else day_instant(day)


def _timer(project: Project) -> Timer | None:
    due = _due_at(project)
    if due is None:
        return None
    return Timer("start_reached" if project.state is State.CONTRACTED else "end_reached", due)


def _fire(project: Project, timer: Timer) -> Project:
    after = State.EXECUTING if timer.name == "start_reached" else State.ACCEPTANCE_PENDING
    return replace(project, state=after, changed_at=timer.due, changed_by=timer.name)


def _moved(before: Project, after: Project, key: str, cause: str, cause_id: str, at: datetime) -> tuple[Derived, ...]:
    if before.state is after.state:
        return ()
    data = {
        "before": before.state,
        "state": after.state,
        "cause_type": cause,
        "cause_id": cause_id,
        "end": after.end and day_text(after.end),
        "contract_amount": after.contract_amount,
        "disbursed": after.disbursed,
    }
    return (Derived("research.project.statechanged", key, at, data),)


def _with_parked(project: Project, parked: tuple[Fact, ...]) -> Project:
    return project if project.parked == parked else replace(project, parked=parked)


LIFECYCLE = Lifecycle(_row, _apply, _due_at, _timer, _fire, _moved, _with_parked)


def decide(project: Project, fact: Fact) -> Decision[Project]:
    """The rule of the step: an outside register's record, or an event of the lifecycle."""
    if fact.name == "research.project.registered":
        return _register(project, fact)
    return LIFECYCLE.arrive(project, fact)


def _register(project: Project, fact: Fact) -> Decision[Project]:
    """A register's snapshot: the latest wins; where the Bureau has its own history the register only adds its word.

    A conflict (the register says active, its end date is past) is a finding for a person, never a change of state.
    """
    if project.registered_at is not None and fact.time < project.registered_at:
        return Decision(project, Outcome.SUPERSEDED)
    word = fact.data
    state = state_of(word.register_name, word.source_status, word.start, word.end, fact.time)
    if state is None:
        return Decision(project, Outcome.REJECTED, "source_status_unknown")
    ours = project.state if project.state is not None and not project.register_name else None
    changes: dict[str, Any] = {"source_status": word.source_status, "registered_at": fact.time}
    if ours is None:
        changes |= {
            "state": state,
            "register_name": word.register_name,
            "title": word.title,
            "lead": intern(word.lead),
            "start": word.start and one_day(word.start),
            "end": word.end and one_day(word.end),
            "contract_amount": word.amount,
            "currency": word.currency,
            "changed_at": fact.time,
            "changed_by": f"{fact.source} {fact.id}",
        }
    after = replace(project, **changes)
    derived = _moved(project, after, fact.key, fact.name, fact.id, fact.time)
    conflict = conflict_of(word, ours, state, fact.time)
    if conflict:
        rule, message = conflict
        finding = {
            "rule": rule,
            "severity": "warning",
            "message": message,
            "pointer": "/data/source_status",
            "value": word.source_status,
        }
        derived += (Derived(FINDING_REPORTED, fact.key, fact.time, finding),)
    return Decision(after, Outcome.APPLIED, "", derived)


# --- overlays and report ----------------------------------------------------------------------------------------------------


def overlays(project: Project, instant: datetime) -> list[str]:
    """The claims that hold at an instant, sorted: at_risk, overdue, silent, underspent."""
    claims = (
        ("at_risk", _is_at_risk(project, instant)),
        ("overdue", _is_overdue(project, instant)),
        ("silent", _is_silent(project, instant)),
        ("underspent", _is_underspent(project)),
    )
    return [name for name, holds in claims if holds]


def _outstanding_dues(project: Project) -> list[datetime]:
    return [day_instant(m.due) for m in project.milestones if m.status in _OUTSTANDING]


def _is_overdue(project: Project, instant: datetime) -> bool:
    if project.state in (_S.CONTRACTED, _S.EXECUTING, _S.SUSPENDED, _S.ACCEPTANCE_PENDING) and any(
        due < instant for due in _outstanding_dues(project)
    ):
        return True
    if project.state is not State.ACCEPTANCE_PENDING or project.end is None:
        return False
    return day_instant(project.end) + ACCEPTANCE_LIMIT < instant


def _is_at_risk(project: Project, instant: datetime) -> bool:
    if project.state is not State.EXECUTING:
        return False
    return any(instant <= due < instant + AT_RISK_WINDOW for due in _outstanding_dues(project))


def _is_silent(project: Project, instant: datetime) -> bool:
    if project.state is not State.EXECUTING or project.start is None:
        return False
    heard = day_instant(project.start)
    if project.reported_at is not None:
        heard = max(heard, project.reported_at)
    return instant - heard > SILENT_AFTER


def _is_underspent(project: Project) -> bool:
    """An outside register does not say what was paid, so nothing is claimed of its projects."""
    if project.register_name or project.state not in (_S.ACCEPTANCE_PENDING, _S.IN_ACCEPTANCE, _S.ACCEPTED, _S.CLOSED):
        return False
    return 2 * project.disbursed < project.contract_amount


def report(key: str, entity: Entity[Project], instant: datetime) -> dict[str, Any]:
    """The project as a reader at an instant sees it; keys in print order."""
    project, late = LIFECYCLE.settle(entity.state, instant, key)
    rejected = [{"id": rejection.id, "reason": rejection.reason} for rejection in entity.rejected]
    rejected += [{"id": item.fact.id, "reason": item.reason} for item in late if item.outcome is Outcome.REJECTED]
    return {
        "project_id": key,
        "state": project.state,
        "overlays": overlays(project, instant),
        "end": project.end.isoformat() if project.end else None,
        "contract_amount": project.contract_amount,
        "disbursed": project.disbursed,
        "milestones": {milestone.id: milestone.status for milestone in project.milestones},
        "applied": entity.applied + sum(item.outcome is Outcome.APPLIED for item in late),
        "duplicates": entity.duplicates,
        "rejected": sorted(rejected, key=lambda item: item["id"]),
    }


def _advance(project: Project, instant: datetime, key: str) -> Decision[Project]:
    return LIFECYCLE.advance(project, instant, key)


STEP: Step[Project] = Step(
    name="projects",
    topic=PROJECT_EVENT.name,
    initial=Project,
    rule=decide,
    advance=_advance,
    due_at=_due_at,
    report=report,
    state_name=lambda project: project.state,
)
