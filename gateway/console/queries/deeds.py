"""What people did."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import rows

DEEDS_MAX: Final = 200


class Deed(NamedTuple):
    """What somebody did."""

    done_at: datetime
    done_by: str
    action: str
    kind: str
    subject: str
    detail: dict[str, Any]


def kept_deeds(cursor: Cursor[Any], kind: str, subject: str) -> list[Deed]:
    """What people did with one thing, the latest first."""
    return rows(
        cursor,
        Deed,
        f"SELECT done_at, done_by, action, kind, subject, detail FROM console_deed"  # noqa: S608
        f" WHERE kind = %(kind)s AND subject = %(subject)s ORDER BY id DESC LIMIT {DEEDS_MAX}",
        {"kind": kind, "subject": subject},
    )
