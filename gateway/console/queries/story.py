"""An entity's log, of which its story is told."""

from typing import Any, Final

from psycopg import Cursor

from gateway.console.queries.rows import rows
from gateway.console.story import StoredEvent

STORY_EVENTS_MAX: Final = 2_000


def kept_events(cursor: Cursor[Any], topic: str, subject: str) -> list[StoredEvent]:
    """An entity's whole log, in its order, from the history."""
    return rows(
        cursor,
        StoredEvent,
        f"""SELECT topic, partition, record_offset AS offset, recorded_at, event FROM event_history
            WHERE subject = %(subject)s AND topic = %(topic)s
            ORDER BY partition, record_offset LIMIT {STORY_EVENTS_MAX}""",  # noqa: S608
        {"subject": subject, "topic": topic},
    )
