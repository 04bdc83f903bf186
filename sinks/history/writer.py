"""Appends events to the history in bulk. The first of an event's repeats stays; later ones are told, not stored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from psycopg import Cursor, sql
from psycopg.errors import UniqueViolation

from engine.database import FEW, copy_body, copy_rows, copy_texts, in_one_text, inserting
from engine.ports import Row
from schemas.topics import TOPICS
from sinks.history.rows import COLUMNS, identity_of, line_of
from sinks.history.tables import EVENT_HISTORY

_TABLE = EVENT_HISTORY.name
# What was written in vain is left for the database to clear away, so after a repeat batches are asked about for a while.
ASKS_AFTER_REPEAT = 50


class HistorySink:
    """All topics into `event_history`."""

    name = "history"
    topics: Sequence[str] = tuple(TOPICS)

    def __init__(self) -> None:
        self._asks_left = 0  # batches

    def write(self, cursor: Cursor[Any], rows: Sequence[Row]) -> set[int]:
        """One statement or one COPY. Returns the positions of events that were there already, or twice in `rows`."""
        first: dict[str, int] = {}
        repeats: set[int] = set()
        for position, row in enumerate(rows):
            identity = identity_of(row.fact.source, row.fact.id)
            if first.setdefault(identity, position) != position:
                repeats.add(position)
        lines = {identity: line_of(identity, rows[position]) for identity, position in first.items()}
        text = in_one_text(COLUMNS, [line.decode() for line in lines.values()]) if len(lines) <= FEW else None
        if text is not None:
            cursor.execute(_inserting(), (text,))
            repeats.update(first[identity] for identity in lines.keys() - {row[0] for row in cursor.fetchall()})
        elif self._asks_left or not self._append(cursor, lines):
            known = self._known(cursor, list(first))
            _copy(cursor, {identity: line for identity, line in lines.items() if identity not in known})
            repeats.update(first[identity] for identity in known)
            self._asks_left = ASKS_AFTER_REPEAT if known else max(0, self._asks_left - 1)
        if repeats:
            _note(cursor, Counter((rows[position].topic, rows[position].fact.source) for position in repeats))
        return repeats

    def _append(self, cursor: Cursor[Any], lines: Mapping[str, bytes]) -> bool:
        """Whether all are new. To ask first which are known costs a tenth of the writing; repeats come in crowds."""
        try:
            with cursor.connection.transaction():
                _copy(cursor, lines)
        except UniqueViolation:
            return False
        return True

    def _known(self, cursor: Cursor[Any], identities: list[str]) -> set[str]:
        """Ledger and partition ownership keep others from writing the same event meanwhile: it lives in one partition."""
        cursor.execute(
            "SELECT replace(identity::text, '-', '') FROM event_history WHERE identity = ANY(%s::uuid[])", (identities,)
        )
        return {row[0] for row in cursor.fetchall()}


def _copy(cursor: Cursor[Any], lines: Mapping[str, bytes]) -> None:
    """In the order of the index on the identity, whose pages a batch then meets one after the other instead of at random."""
    copy_body(cursor, _TABLE, COLUMNS, b"\n".join([*map(lines.__getitem__, sorted(lines)), b""]))


@cache
def _inserting() -> bytes:
    told = sql.SQL(" ON CONFLICT (identity) DO NOTHING RETURNING replace(identity::text, '-', '')")
    return (inserting(_TABLE, COLUMNS) + told).as_bytes()


def _note(cursor: Cursor[Any], repeats: Mapping[tuple[str, str], int]) -> None:
    """For scorecards: repeats are stored nowhere else. Only added to, so that batches do not wait for each other."""
    lines = []
    for (topic, source), count in repeats.items():
        [source] = copy_texts(source)
        lines.append(f"{topic}\t{source}\t{count}")
    copy_rows(cursor, "event_repeat", ("topic", "event_source", "events"), lines)
