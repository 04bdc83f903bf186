"""Calls for proposals: by phase with their deadlines, and one call."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import Page, columns, page, rows

# In the order in which somebody wants to see them.
PHASES: Final = ("closing_soon", "open", "forthcoming", "closed", "cancelled")


class CallRow(NamedTuple):
    """A call; times are null where neither the Bureau nor a register gave one."""

    call_id: str
    title: str
    programme: str
    phase: str | None
    opens_at: datetime | None
    closes_at: datetime | None
    budget: int | None
    register_name: str
    source_status: str
    changed_at: datetime | None


class CallFilter(NamedTuple):
    """Empty: all."""

    phase: str = ""
    words: str = ""


class PhaseCount(NamedTuple):
    """Calls of one phase, and the next deadline among them."""

    phase: str | None
    calls: int
    next_at: datetime | None


_CALL = columns(CallRow)


def call_phases(cursor: Cursor[Any]) -> list[PhaseCount]:
    """How many calls stand where."""
    return rows(
        cursor,
        PhaseCount,
        "SELECT phase, count(*) AS calls, min(closes_at) FILTER (WHERE closes_at > now()) AS next_at"
        " FROM v_call GROUP BY phase",
    )


def calls(cursor: Cursor[Any], wanted: CallFilter) -> Page[CallRow]:
    """What closes next first; then what is forthcoming; of those that are over the last first."""
    where = ["true"]
    if wanted.phase:
        where.append("phase = %(phase)s")
    if wanted.words:
        where.append("strpos(lower(concat_ws(' ', call_id, title, programme)), lower(%(words)s)) > 0")
    return page(
        cursor,
        CallRow,
        f"SELECT {_CALL} FROM v_call WHERE {' AND '.join(where)}"  # noqa: S608
        " ORDER BY array_position(%(phases)s, phase) NULLS LAST, CASE WHEN closes_at > now() THEN closes_at END NULLS LAST,"
        " closes_at DESC NULLS LAST, call_id",
        wanted._asdict() | {"phases": list(PHASES)},
    )


def call(cursor: Cursor[Any], call_id: str) -> CallRow | None:
    """One call."""
    found = rows(cursor, CallRow, f"SELECT {_CALL} FROM v_call WHERE call_id = %(id)s", {"id": call_id})  # noqa: S608
    return found[0] if found else None
