"""Projects in `project_status`: typed columns for what is asked, JSON for lists."""

from datetime import UTC, datetime
from sys import intern
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from engine.database import NULL, copy_instant, copy_text, copy_texts
from engine.tables import metadata
from schemas.contract import Fact, day_text, instant_text, one_day, plain
from schemas.projects import CONTRACTS, Milestone, Project, State
from schemas.structs import data_of_fact
from sinks.status import account
from sinks.status.writer import Form

PROJECT_STATUS = Table(
    "project_status",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("state", Text, comment="null until an application was applied"),
    Column("title", Text, nullable=False),
    Column("lead", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("contract_no", Text, nullable=False),
    Column("contract_amount", BigInteger, nullable=False, comment="whole units of the currency"),
    Column("currency", Text, nullable=False),
    Column("start_on", Date),
    Column("end_on", Date),
    Column("disbursed", BigInteger, nullable=False),
    Column("paid_by_year", JSONB, nullable=False, server_default="[]", comment="[[year, amount], …]; years begin at 00:00 UTC"),
    Column("accepted_at", DateTime(timezone=True), comment="when acceptance was passed"),
    Column("milestones", JSONB, nullable=False, comment="[[id, due, status], …] in the contract's order"),
    Column("is_extended", Boolean, nullable=False),
    Column("is_retried", Boolean, nullable=False),
    Column("suspended_at", DateTime(timezone=True)),
    Column("reported_at", DateTime(timezone=True)),
    Column("register_name", Text, nullable=False),
    Column("source_status", Text, nullable=False, comment="the outside register's own word"),
    Column("registered_at", DateTime(timezone=True)),
    Column("parked", JSONB, nullable=False, comment="events that wait for an earlier one"),
    *account.columns(),
    # For the copy that lists read (reading.py): a block range index leaves an update HOT, whatever it changes.
    Index(None, "written_at", postgresql_using="brin", postgresql_with={"pages_per_range": "16", "autosummarize": "on"}),
    postgresql_with={"fillfactor": "60"},
    comment="where each research project stands",
)

_paid = msgspec.json.Decoder(tuple[tuple[int, int], ...]).decode
_milestones = msgspec.json.Decoder(tuple[Milestone, ...]).decode
_DATA = {contract.name: contract.data for contract in CONTRACTS}


def _fields(project: Project) -> tuple[str, ...]:
    texts = copy_texts(
        project.title,
        project.lead,
        project.call_id,
        project.contract_no,
        project.currency,
        project.register_name,
        project.source_status,
        project.changed_by,
    )
    title, lead, call_id, contract_no, currency, register_name, source_status, changed_by = texts
    return (
        project.state or NULL,
        title,
        lead,
        call_id,
        contract_no,
        str(project.contract_amount),
        currency,
        day_text(project.start) if project.start else NULL,
        day_text(project.end) if project.end else NULL,
        str(project.disbursed),
        account.copy_json(project.paid_by_year) if project.paid_by_year else "[]",
        copy_instant(project.accepted_at),
        account.copy_json(project.milestones) if project.milestones else "[]",
        "t" if project.is_extended else "f",
        "t" if project.is_retried else "f",
        copy_instant(project.suspended_at),
        copy_instant(project.reported_at),
        register_name,
        source_status,
        copy_instant(project.registered_at),
        account.copy_json([_parked_out(fact) for fact in project.parked]) if project.parked else "[]",
        copy_instant(project.changed_at),
        changed_by,
    )


def _state(
    state: str | None,
    title: str,
    lead: str,
    call_id: str,
    contract_no: str,
    contract_amount: int,
    currency: str,
    start: Any,
    end: Any,
    disbursed: int,
    paid_by_year: str,
    accepted_at: datetime | None,
    milestones: str,
    is_extended: bool,
    is_retried: bool,
    suspended_at: datetime | None,
    reported_at: datetime | None,
    register_name: str,
    source_status: str,
    registered_at: datetime | None,
    parked: str,
    changed_at: datetime | None,
    changed_by: str,
) -> Project:
    return Project(
        state=State(state) if state else None,
        title=title,
        lead=intern(lead),
        call_id=intern(call_id),
        contract_no=contract_no,
        contract_amount=contract_amount,
        currency=currency,
        start=start and one_day(start),
        end=end and one_day(end),
        disbursed=disbursed,
        paid_by_year=_paid(paid_by_year),
        accepted_at=accepted_at,
        milestones=tuple([Milestone(intern(m.id), one_day(m.due), m.status) for m in _milestones(milestones)]),
        is_extended=is_extended,
        is_retried=is_retried,
        suspended_at=suspended_at,
        reported_at=reported_at,
        register_name=register_name,
        source_status=source_status,
        registered_at=registered_at,
        changed_at=changed_at,
        changed_by=changed_by,
        parked=tuple(map(_parked_in, msgspec.json.decode(parked))),
    )


def _parked_out(fact: Fact) -> list[Any]:
    return [fact.name, fact.id, fact.source, fact.key, instant_text(fact.time), plain(fact.data)]


def _parked_in(item: list[Any]) -> Fact:
    name, event_id, source, key, time, data = item
    return Fact(name, event_id, source, key, datetime.fromisoformat(time).astimezone(UTC), data_of_fact(_DATA[name], data))


PROJECTS = Form(
    table="project_status",
    key="project_id",
    columns=(
        "state",
        "title",
        "lead",
        "call_id",
        "contract_no",
        "contract_amount",
        "currency",
        "start_on",
        "end_on",
        "disbursed",
        "paid_by_year",
        "accepted_at",
        "milestones",
        "is_extended",
        "is_retried",
        "suspended_at",
        "reported_at",
        "register_name",
        "source_status",
        "registered_at",
        "parked",
        "changed_at",
        "changed_by",
    ),
    fields=_fields,
    state=_state,
    key_field=copy_text,
)
