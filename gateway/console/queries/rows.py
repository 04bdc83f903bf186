"""What all queries share: typed rows, pages of them, and their limit."""

from collections.abc import Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from psycopg import Cursor
from psycopg.rows import class_row

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


def columns(kind: type[Any]) -> str:
    """The columns of a row's fields."""
    return ", ".join(f"{name}::float8 AS {name}" if name in _FLOATS else name for name in kind._fields)
