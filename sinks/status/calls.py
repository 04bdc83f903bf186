"""Calls in `call_status`."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Table, Text

from engine.database import NULL, copy_instant, copy_text
from engine.tables import metadata
from schemas.calls import Call, Phase
from sinks.status import account
from sinks.status.writer import Form

CALL_STATUS = Table(
    "call_status",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("programme", Text, nullable=False),
    Column("opens_at", DateTime(timezone=True)),
    Column("closes_at", DateTime(timezone=True)),
    Column("budget", BigInteger),
    Column("is_cancelled", Boolean, nullable=False),
    Column("register_name", Text, nullable=False),
    Column("source_status", Text, nullable=False, comment="the outside register's own word"),
    Column("told_at", DateTime(timezone=True), comment="event time of the snapshot that is known"),
    Column("phase", Text, comment="the phase last told to others"),
    *account.columns(),
    postgresql_with={"fillfactor": "60"},
    comment="where each call for proposals stands",
)


def _fields(call: Call) -> tuple[str, ...]:
    return (
        copy_text(call.title),
        copy_text(call.programme),
        copy_instant(call.opens_at),
        copy_instant(call.closes_at),
        NULL if call.budget is None else str(call.budget),
        "t" if call.is_cancelled else "f",
        copy_text(call.register_name),
        copy_text(call.source_status),
        copy_instant(call.told_at),
        call.phase or NULL,
        copy_instant(call.changed_at),
        copy_text(call.changed_by),
    )


def _state(
    title: str,
    programme: str,
    opens_at: datetime | None,
    closes_at: datetime | None,
    budget: int | None,
    is_cancelled: bool,
    register_name: str,
    source_status: str,
    told_at: datetime | None,
    phase: str | None,
    changed_at: datetime | None,
    changed_by: str,
) -> Call:
    return Call(
        title=title,
        programme=programme,
        opens_at=opens_at,
        closes_at=closes_at,
        budget=budget,
        is_cancelled=is_cancelled,
        register_name=register_name,
        source_status=source_status,
        told_at=told_at,
        phase=Phase(phase) if phase else None,
        changed_at=changed_at,
        changed_by=changed_by,
    )


CALLS = Form(
    table="call_status",
    key="call_id",
    columns=(
        "title",
        "programme",
        "opens_at",
        "closes_at",
        "budget",
        "is_cancelled",
        "register_name",
        "source_status",
        "told_at",
        "phase",
        "changed_at",
        "changed_by",
    ),
    fields=_fields,
    state=_state,
    key_field=copy_text,
)
