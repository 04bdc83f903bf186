"""Long work: how far it is."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from engine.subscriptions.snapshots import BACKFILL
from gateway.console.queries.rows import Page, columns, page


class WorkRow(NamedTuple):
    """state: running, done, cancelled, failed, lost (its process is gone), waiting (its subscription is not enabled).

    total: about; None: nobody knows.
    """

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

    @property
    def can_be_cancelled(self) -> bool:
        """A process that is lost hears nothing; a backfill is no process's, and its reader may be away for hours."""
        goes_on = self.state in {"running", "waiting"} or (self.state == "lost" and self.kind == BACKFILL)
        return goes_on and self.cancel_asked_by is None


_WORK = columns(WorkRow)


def works(cursor: Cursor[Any]) -> Page[WorkRow]:
    """The latest first: by the key, so at once."""
    return page(cursor, WorkRow, f"SELECT {_WORK} FROM v_work ORDER BY id DESC", {})  # noqa: S608
