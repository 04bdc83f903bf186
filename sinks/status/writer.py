"""Loads and saves entities of one state table in bulk, on the caller's cursor."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from psycopg import Cursor, sql
from sqlalchemy import JSON

from engine.database import upsert_rows
from engine.ports import Entity, S
from engine.tables import metadata
from sinks.status import account


@dataclass(frozen=True)
class Form(Generic[S]):
    """How a subject's state stands in its table.

    columns: after the key and before the account's. fields: a state as COPY text fields. state: back from a row's values, JSON
    as text.
    """

    table: str
    key: str
    columns: tuple[str, ...]
    fields: Callable[[S], tuple[str, ...]]
    state: Callable[..., S]
    key_field: Callable[[str], str]


class StatusStore(Generic[S]):
    """The store of one step."""

    def __init__(self, form: Form[S]) -> None:
        self._form = form
        self._columns = (form.key, *form.columns, *account.COLUMNS)
        # JSON comes as its text: each form knows what stands in it, so msgspec reads it where the client's json.loads would.
        kinds = metadata.tables[form.table].columns
        names = [
            sql.SQL("{}::text" if isinstance(kinds[name].type, JSON) else "{}").format(sql.Identifier(name))
            for name in self._columns
        ]
        self._select = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(names), sql.Identifier(form.table))
        self._by_key = self._select + sql.SQL(" WHERE {} = ANY(%s)").format(sql.Identifier(form.key))

    @property
    def table(self) -> str:
        """Where the states stand."""
        return self._form.table

    def load(self, cursor: Cursor[Any], keys: Sequence[str]) -> dict[str, Entity[S]]:
        """The entities of those keys that exist."""
        cursor.execute(self._by_key, (list(keys),))
        return {row[0]: self._entity(row) for row in cursor.fetchall()}

    def save(self, cursor: Cursor[Any], entities: Sequence[tuple[str, Entity[S]]]) -> None:
        """Insert or replace."""
        form = self._form
        lines = [
            "\t".join((form.key_field(key), *form.fields(entity.state), *account.fields(entity))) for key, entity in entities
        ]
        upsert_rows(cursor, form.table, (form.key,), self._columns, lines, stamped="written_at")

    def scan(self, cursor: Cursor[Any], prefix: str = "", limit: int | None = None) -> Iterator[tuple[str, Entity[S]]]:
        """Entities by key in code point order, for commands; those whose key begins with `prefix`."""
        statement = self._select + sql.SQL(' WHERE starts_with({0}, %s) ORDER BY {0} COLLATE "C" LIMIT %s').format(
            sql.Identifier(self._form.key)
        )
        cursor.execute(statement, (prefix, limit))
        for row in cursor:
            yield row[0], self._entity(row)

    def _entity(self, row: Sequence[Any]) -> Entity[S]:
        split = 1 + len(self._form.columns)
        return account.entity(self._form.state(*row[1:split]), *row[split:])
