"""Records that wait for a repair."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import IS_OWN, LIST_MAX, Page, columns, own_values, page, rows
from gateway.sources import Own


class Cause(NamedTuple):
    """Records that wait for the same reason."""

    reason: str
    event_source: str
    event_type: str | None
    records: int
    first_failed_at: datetime


def causes(cursor: Cursor[Any], own: Own | None = None) -> list[Cause]:
    """By number, the most first. `own`: only what came from these sources of a partner."""
    return rows(
        cursor,
        Cause,
        f"""SELECT reason, event_source, event_type, count(*) AS records, min(first_failed_at) AS first_failed_at
            FROM v_quarantine WHERE state = 'waiting' AND {IS_OWN}
            GROUP BY 1, 2, 3 ORDER BY records DESC, reason, event_source LIMIT {LIST_MAX}""",  # noqa: S608
        own_values(own),
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


_HELD = columns(HeldRow)


def held(cursor: Cursor[Any], wanted: HeldFilter, own: Own | None = None) -> Page[HeldRow]:
    """Quarantined records; those that wait longest first, settled ones latest first. `own`: as in `causes`."""
    order = "id" if wanted.state == "waiting" else "id DESC"
    return page(
        cursor,
        HeldRow,
        f"SELECT {_HELD} FROM v_quarantine WHERE (%(state)s = 'all' OR state = %(state)s)"  # noqa: S608
        " AND (%(reason)s = '' OR reason = %(reason)s) AND (%(source)s::text IS NULL OR event_source = %(source)s)"
        f" AND {IS_OWN} ORDER BY {order}",
        wanted._asdict() | own_values(own),
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
    names = columns(HeldSheet)
    found = rows(cursor, HeldSheet, f"SELECT {names} FROM quarantine WHERE id = %(id)s", {"id": row_id})  # noqa: S608
    return found[0] if found else None
