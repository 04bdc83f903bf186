"""What all queries share: typed rows, pages of them, and their limit."""

from collections.abc import Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from psycopg import Cursor
from psycopg.rows import class_row

from gateway.sources import Own

R = TypeVar("R")

LIST_MAX: Final = 50
FOUND_MAX: Final = 20


class Page(NamedTuple, Generic[R]):
    """Rows, and whether there are more than the limit let through."""

    rows: Sequence[R]
    has_more: bool


def rows(cursor: Cursor[Any], kind: type[R], query: str, values: dict[str, Any] | None = None) -> list[R]:
    with cursor.connection.cursor(row_factory=class_row(kind)) as typed:
        typed.execute(query.encode(), values or {})
        return typed.fetchall()


def page(cursor: Cursor[Any], kind: type[R], query: str, values: dict[str, Any], limit: int = LIST_MAX) -> Page[R]:
    found = rows(cursor, kind, f"{query} LIMIT {limit + 1}", values)
    return Page(found[:limit], len(found) > limit)


_FLOATS: Final = frozenset({"age_s", "overdue_days", "behind_s"})  # the views compute them as numeric


# Of one partner, or of all where `sources` is NULL. The function is gateway/sources.py in SQL.
IS_OWN: Final = """(%(sources)s::text[] IS NULL
    OR nearest_source(event_source, %(sources)s::text[] || %(parted)s::text[]) = ANY(%(sources)s::text[]))"""


def own_values(own: Own | None) -> dict[str, list[str] | None]:
    """What IS_OWN asks by. None: all."""
    return {
        "sources": None if own is None else list(own),
        "parted": [lower for lowers in (own or {}).values() for lower in lowers],
    }


def columns(kind: type[Any]) -> str:
    """The columns of a row's fields."""
    return ", ".join(f"{name}::float8 AS {name}" if name in _FLOATS else name for name in kind._fields)
