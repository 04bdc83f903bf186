"""Research projects: their events from application to archive, and the state the rules keep.

Source of the lifecycle: the Bureau's rules as `streams/projects.py` states them. An outside register (GtR, CORDIS) reports
coarse states through `research.project.registered`.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import AfterValidator

from schemas.contract import Amount, Contract, Data, Day, Fact, Key, NoData, Text
from schemas.topics import PROJECT_EVENT, PROJECT_STATE

MILESTONES_MAX = 500


class State(StrEnum):
    """Base states; overlays (overdue, at risk, silent, underspent) are claims at an instant and stand beside it."""

    __hash__ = str.__hash__  # Enum's own is a Python call, on every look-up of a table

    APPLIED = "applied"
    RETURNED = "returned"
    UNDER_REVIEW = "under_review"
    RESERVE = "reserve"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    CONTRACTED = "contracted"
    EXECUTING = "executing"
    SUSPENDED = "suspended"
    ACCEPTANCE_PENDING = "acceptance_pending"
    IN_ACCEPTANCE = "in_acceptance"
    ACCEPTED = "accepted"
    CONDITIONALLY_ACCEPTED = "conditionally_accepted"
    ACCEPTANCE_FAILED = "acceptance_failed"
    CLOSED = "closed"
    TERMINATED = "terminated"
    REVOKED = "revoked"
    ARCHIVED = "archived"


class MilestoneStatus(StrEnum):
    """A returned milestone is due again; an accepted one is done."""

    __hash__ = str.__hash__  # Enum's own is a Python call, on every look-up of a table

    PLANNED = "planned"
    REPORTED = "reported"
    ACCEPTED = "accepted"
    RETURNED = "returned"


class Submitted(Data):
    """An application for a call."""

    call_id: Text
    title: Text
    lead: Text
    budget: Amount


class WithReason(Data):
    """A decision that must say why."""

    reason: Text


class PlannedMilestone(Data):
    """One line of the contract's plan."""

    id: Key
    due: Day


def _distinct(milestones: list[PlannedMilestone]) -> list[PlannedMilestone]:
    if len(milestones) > MILESTONES_MAX:
        raise ValueError(f"at most {MILESTONES_MAX} milestones")
    if len({milestone.id for milestone in milestones}) != len(milestones):
        raise ValueError("milestone ids must be distinct")
    return milestones


class Contracted(Data):
    """The signed contract: money, term, plan."""

    contract_no: Text
    amount: Amount
    start: Day
    end: Day
    milestones: Annotated[list[PlannedMilestone], AfterValidator(_distinct)]


class Extended(Data):
    """A longer term."""

    new_end: Day


class OfMilestone(Data):
    """What happened to one milestone."""

    milestone_id: Text


class Disbursed(Data):
    """Money paid out; `tranche` is a number or a name, as the publisher counts."""

    amount: Amount
    tranche: int | Text


class Registered(Data):
    """What an outside register says of a project. `source_status` is its own word, kept as given."""

    register_name: Literal["gtr", "cordis", "techport", "nsf"]
    source_status: Text
    title: Text
    lead: Text
    start: Day | None
    end: Day | None
    amount: Amount
    currency: Annotated[str, AfterValidator(lambda code: code.upper())]


_EVENTS: dict[str, type[Data]] = {
    "research.application.submitted": Submitted,
    "research.application.ineligible": WithReason,
    "research.application.returned": WithReason,
    "research.application.resubmitted": NoData,
    "research.application.withdrawn": NoData,
    "research.review.started": NoData,
    "research.project.approved": NoData,
    "research.project.reserved": NoData,
    "research.project.rejected": NoData,
    "research.project.contracted": Contracted,
    "research.project.started": NoData,
    "research.project.suspended": WithReason,
    "research.project.resumed": NoData,
    "research.project.extended": Extended,
    "research.milestone.reported": OfMilestone,
    "research.milestone.accepted": OfMilestone,
    "research.milestone.returned": OfMilestone,
    "research.funds.disbursed": Disbursed,
    "research.acceptance.applied": NoData,
    "research.acceptance.passed": NoData,
    "research.acceptance.conditional": NoData,
    "research.acceptance.failed": NoData,
    "research.acceptance.remedied": NoData,
    "research.project.settled": NoData,
    "research.project.archived": NoData,
    "research.project.terminated": WithReason,
    "research.project.revoked": WithReason,
    "research.project.registered": Registered,
}


class StateChanged(Data):
    """Derived: a project moved. `cause` is the event that moved it, or the timer's name."""

    before: Text | None
    state: Text
    cause_type: Text
    cause_id: Text
    end: Day | None
    contract_amount: Amount
    disbursed: Amount


CONTRACTS = [Contract(name, 1, data, (PROJECT_EVENT,)) for name, data in _EVENTS.items()]
CONTRACTS.append(Contract("research.project.statechanged", 1, StateChanged, (PROJECT_STATE,), is_internal=True))


class Milestone(Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """A milestone as it stands."""

    id: str
    due: date
    status: MilestoneStatus


class Project(Struct, frozen=True, gc=False):
    """All that the lifecycle needs to know of a project. Amounts are whole units of `currency`."""

    state: State | None = None
    title: str = ""
    lead: str = ""
    call_id: str = ""
    contract_no: str = ""
    contract_amount: int = 0
    currency: str = "CNY"
    start: date | None = None
    end: date | None = None
    disbursed: int = 0
    paid_by_year: tuple[tuple[int, int], ...] = ()  # (year, amount), in the order of their first payments
    accepted_at: datetime | None = None
    milestones: tuple[Milestone, ...] = ()
    is_extended: bool = False
    is_retried: bool = False
    suspended_at: datetime | None = None
    reported_at: datetime | None = None
    register_name: str = ""
    source_status: str = ""
    registered_at: datetime | None = None
    changed_at: datetime | None = None
    changed_by: str = ""
    parked: tuple[Fact, ...] = ()
