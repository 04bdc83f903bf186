"""Long work: how far it is."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import Page, columns, page


class WorkRow(NamedTuple):
    """state: running, done, cancelled, failed, lost (its process is gone). total: about; None: nobody knows."""

    id: int
    kind: str
    title: str
    started_by: str
    started_at: datetime
    beat_at: datetime
    done: int
    total: int | None
    state: str
    cancel_asked_by: str | None
    ended_at: datetime | None


_WORK = columns(WorkRow)


def works(cursor: Cursor[Any]) -> Page[WorkRow]:
    """The latest first: by the key, so at once."""
    return page(cursor, WorkRow, f"SELECT {_WORK} FROM v_work ORDER BY id DESC", {})  # noqa: S608
