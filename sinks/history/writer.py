"""Appends events to the history in bulk. The first of an event's repeats stays; later ones are told, not stored."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache
from typing import Any

from psycopg import Cursor, sql
from psycopg.errors import UniqueViolation

from engine.database import FEW, binary_of, copy_binary, copy_rows, copy_texts, in_one_text, inserting
from engine.ports import Row
from schemas.topics import TOPICS
from sinks.history.rows import COLUMNS, digest_of, line_of, tuple_of
from sinks.history.tables import EVENT_HISTORY

_TABLE = EVENT_HISTORY.name
# What was written in vain is left for the database to clear away, so after a repeat batches are asked about for a while.
ASKS_AFTER_REPEAT = 50


class HistorySink:
    """All topics into `event_history`."""

    name = "history"
    topics: Sequence[str] = tuple(TOPICS)

    def __init__(self) -> None:
        self._asks_left = 0  # batches; what writes changes it, `prepare` looks at it to spare itself a body

    def prepare(self, rows: Sequence[Row]) -> Callable[[Cursor[Any]], set[int]]:
        """For one statement or one COPY. What it returns says which events were there already, or twice in `rows`."""
        if not rows:
            return lambda _: set()
        first: dict[bytes, int] = {}
        twice: set[int] = set()
        for position, row in enumerate(rows):
            digest = digest_of(row.fact.source, row.fact.id)
            if first.setdefault(digest, position) != position:
                twice.add(position)
        text = in_one_text(COLUMNS, [line_of(digest, rows[at]) for digest, at in first.items()]) if len(first) <= FEW else None
        body = None if text is not None or self._asks_left else _body(rows, first)

        def write(cursor: Cursor[Any]) -> set[int]:
            known: Set[bytes] = frozenset()
            if text is not None:
                known = first.keys() - _inserted(cursor, text)
            elif body is None or self._asks_left or not _appended(cursor, body):
                known = _known(cursor, first)
                if new := {digest: at for digest, at in first.items() if digest not in known}:
                    copy_binary(cursor, _TABLE, COLUMNS, _body(rows, new))
                self._asks_left = ASKS_AFTER_REPEAT if known else max(0, self._asks_left - 1)
            repeats = twice.union(map(first.__getitem__, known))
            if repeats:
                _note(cursor, Counter((rows[position].topic, rows[position].fact.source) for position in repeats))
            return repeats

        return write


def _body(rows: Sequence[Row], places: Mapping[bytes, int]) -> bytes:
    """In the order of the index on the identity, whose pages a batch then meets one after the other instead of at random."""
    tuples = {digest: tuple_of(digest, rows[at]) for digest, at in places.items()}
    return binary_of(map(tuples.__getitem__, sorted(tuples)))


def _inserted(cursor: Cursor[Any], text: str) -> set[bytes]:
    """Those that are new."""
    cursor.execute(_inserting(), (text,))
    return {row[0] for row in cursor.fetchall()}


def _appended(cursor: Cursor[Any], body: bytes) -> bool:
    """Whether all are new. To ask first which are known costs a tenth of the writing; repeats come in crowds."""
    try:
        with cursor.connection.transaction():
            copy_binary(cursor, _TABLE, COLUMNS, body)
    except UniqueViolation:
        return False
    return True


def _known(cursor: Cursor[Any], digests: Iterable[bytes]) -> set[bytes]:
    """Ledger and partition ownership keep others from writing the same event meanwhile: it lives in one partition."""
    cursor.execute(
        "SELECT uuid_send(identity) FROM event_history WHERE identity = ANY(%s::uuid[])",
        ([digest.hex() for digest in digests],),
    )
    return {row[0] for row in cursor.fetchall()}


@cache
def _inserting() -> bytes:
    told = sql.SQL(" ON CONFLICT (identity) DO NOTHING RETURNING uuid_send(identity)")
    return (inserting(_TABLE, COLUMNS) + told).as_bytes()


def _note(cursor: Cursor[Any], repeats: Mapping[tuple[str, str], int]) -> None:
    """For scorecards: repeats are stored nowhere else. Only added to, so that batches do not wait for each other."""
    lines = []
    for (topic, source), count in repeats.items():
        [source] = copy_texts(source)
        lines.append(f"{topic}\t{source}\t{count}")
    copy_rows(cursor, "event_repeat", ("topic", "event_source", "events"), lines)
