"""Appends events to the history in bulk. The first of an event's repeats stays; later ones are told, not stored."""

from collections.abc import Sequence
from typing import Any

from psycopg import Cursor

from engine.database import copy_rows
from engine.ports import Row
from schemas.topics import TOPICS
from sinks.history.rows import COLUMNS, identity_of, line_of


class HistorySink:
    """All topics into `event_history`."""

    name = "history"
    topics: Sequence[str] = tuple(TOPICS)

    def write(self, cursor: Cursor[Any], rows: Sequence[Row]) -> set[int]:
        """One COPY, one insert. Returns the positions of events that were there already, or twice in `rows`."""
        if not rows:
            return set()
        first: dict[str, int] = {}
        repeats: set[int] = set()
        for position, row in enumerate(rows):
            identity = identity_of(row.fact.source, row.fact.id)
            if first.setdefault(identity, position) != position:
                repeats.add(position)
        known = self._known(cursor, list(first))
        lines = []
        for identity, position in first.items():
            if identity in known:
                repeats.add(position)
            else:
                lines.append(line_of(identity, rows[position]))
        if lines:
            copy_rows(cursor, "event_history", COLUMNS, lines)
        return repeats

    def _known(self, cursor: Cursor[Any], identities: list[str]) -> set[str]:
        """Ledger and partition ownership keep others from writing the same event meanwhile: it lives in one partition."""
        cursor.execute(
            "SELECT replace(identity::text, '-', '') FROM event_history WHERE identity = ANY(%s::uuid[])", (identities,)
        )
        return {row[0] for row in cursor.fetchall()}
