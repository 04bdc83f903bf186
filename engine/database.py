"""PostgreSQL as the engine uses it: connections, sorted faults, and rows as COPY takes them.

As text, since a binary row of many columns costs more in Python than it saves in PostgreSQL; in binary where most of a row is
one long text (docs/explanation/performance.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Final

import msgspec
import psycopg
from psycopg import Connection, Cursor, sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.dialects import postgresql

from engine.errors import EnvironmentFault, TransientFault
from engine.failpoints import passing
from engine.reach import Reach, untold
from engine.tables import metadata

STATEMENT_TIMEOUT_MS = 60_000
# A client that is stopped between two statements of a transaction holds its rows no longer than this. In the middle of a COPY
# no limit of the server's holds: see ledger.make_way.
IDLE_IN_TRANSACTION_MS = 10_000
CONNECT_TIMEOUT_S = 5

_ENVIRONMENT = {
    "42501": "grant the role of DUJIANG_DATABASE__DSN its privileges again",
    "28000": "check user and password in DUJIANG_DATABASE__DSN",
    "28P01": "check user and password in DUJIANG_DATABASE__DSN",
    "53100": "free disk space on the database server",
    "25006": "the database is read-only: point DUJIANG_DATABASE__DSN at the primary",
    "42P01": "run `dujiang migrate`",
    "42703": "run `dujiang migrate`",
    "42883": "run `dujiang migrate`",
    "3D000": "create the database named in DUJIANG_DATABASE__DSN",
}
_RECORD_CLASSES = ("22", "23")
_UNIQUE = "23505"
_IDLE_TOO_LONG = "25P03"
_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS}"
    " -c timezone=UTC"
)


class StoreRefused(Exception):
    """The database refuses a value of the batch; the engine looks for the record by halving."""

    remedy: None = None  # where it is told of beside a Fault


def fault_of(error: psycopg.Error) -> Exception:
    """A psycopg error as TransientFault, EnvironmentFault or StoreRefused; a programming error comes back as it is."""
    state = error.sqlstate
    text = str(error).strip().split("\n")[0]
    if state is None:
        if isinstance(error, psycopg.DataError):  # the client's own refusal of a value
            return StoreRefused(f"PostgreSQL: {text}")
        if "password authentication failed" in text or "no pg_hba.conf entry" in text:
            return EnvironmentFault(f"PostgreSQL: {text}", _ENVIRONMENT["28P01"])
        return TransientFault(f"PostgreSQL: {text}") if isinstance(error, psycopg.OperationalError) else error
    if state in _ENVIRONMENT:
        return EnvironmentFault(f"PostgreSQL: {text}", _ENVIRONMENT[state])
    if state == _UNIQUE:  # another worker stored the same event meanwhile: the next try sees it
        return TransientFault(f"PostgreSQL: {text}")
    if state[:2] in _RECORD_CLASSES:
        return StoreRefused(f"PostgreSQL: {text}")
    if (
        isinstance(error, psycopg.OperationalError) or state == _IDLE_TOO_LONG
    ):  # 08, 40, 53, 55, 57: connection, conflict, resources, lock, shutdown
        return TransientFault(f"PostgreSQL: {text}")
    return error


class Database:
    """One connection, opened when first needed and again after it broke. Not for two threads at once.

    `reach` is told after each transaction whether there was a server: one that refuses a statement is there.
    """

    def __init__(self, dsn: str, application: str, reach: Reach = untold) -> None:
        self._dsn = dsn
        self._application = application
        self._reach = reach
        self._connection: Connection[Any] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor[Any]]:
        """A cursor inside one transaction. Raises TransientFault, EnvironmentFault or StoreRefused, rolled back."""
        with self.statement() as cursor, cursor.connection.transaction():
            yield cursor

    @contextmanager
    def statement(self) -> Iterator[Cursor[Any]]:
        """A cursor whose every statement stands for itself, which saves BEGIN and COMMIT. Raises as `transaction` does."""
        try:
            with self._open().cursor() as cursor:
                yield cursor
            self._reach(True)
        except psycopg.Error as error:
            self._reach(self._connection is not None and not self._connection.closed)
            if self._connection is not None and self._connection.broken:
                self.close()
            fault = fault_of(error)
            if fault is error:
                raise
            raise fault from error

    def close(self) -> None:
        """Give the connection back; the next transaction opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name=self._application,
                options=f"{conninfo_to_dict(self._dsn).get('options', '')} {_OPTIONS}",
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=20_000,
            )
        return self._connection


def named(cursor: Cursor[Any]) -> list[dict[str, Any]]:
    """What the last statement found, each row by its columns' names."""
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_encode = msgspec.json.Encoder().encode  # of instants: a third of isoformat's time

# --- COPY -------------------------------------------------------------------------------------------------------------------

NULL = "\\N"
FEW: Final = 200  # rows: so many are written by one statement; more are worth COPY and what it takes around it
FEW_CHARS: Final = 1_000_000  # a statement's parameter stands in memory whole, here and there; COPY streams
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_text(value: str | None) -> str:
    """A text field of COPY's text format."""
    if value is None:
        return NULL
    if "\\" in value or "\n" in value or "\t" in value or "\r" in value:
        return value.translate(_ESCAPES)
    return value


def copy_texts(*values: str) -> tuple[str, ...]:
    """Text fields; one look for what must be escaped, which is rare."""
    whole = "".join(values)
    if "\\" in whole or "\n" in whole or "\t" in whole or "\r" in whole:
        return tuple(map(copy_text, values))
    return values


def copy_instant(instant: datetime | None) -> str:
    """A timestamptz field; any offset will do."""
    return NULL if instant is None else _encode(instant)[1:-1].decode()


def copy_bytes(value: bytes | None) -> str:
    """A bytea field."""
    return NULL if value is None else "\\\\x" + value.hex()


@cache
def _copying(table: str, columns: tuple[str, ...], form: str = "text") -> bytes:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})").format(sql.Identifier(table), names, sql.SQL(form)).as_bytes()


@cache
def _upserting(table: str, key: tuple[str, ...], columns: tuple[str, ...], stamped: str) -> tuple[str, bytes, bytes, bytes]:
    """The temporary table, the statement that makes it, the one that moves its rows, and one that does with the lines alone."""
    pending = f"pending_{table}"
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    create = sql.SQL("CREATE TEMP TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA")
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in columns if column not in key
    )
    if stamped:
        changes += sql.SQL(", {} = now()").format(sql.Identifier(stamped))
    replacing = sql.SQL(" ON CONFLICT ({}) DO UPDATE SET {}").format(sql.SQL(", ").join(map(sql.Identifier, key)), changes)
    move = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(sql.Identifier(table), names, names, sql.Identifier(pending))
    return (
        pending,
        create.format(sql.Identifier(pending), names, sql.Identifier(table)).as_bytes(),
        (move + replacing).as_bytes(),
        (inserting(table, columns) + replacing).as_bytes(),
    )


def inserting(table: str, columns: tuple[str, ...]) -> sql.Composed:
    """A statement whose one parameter is `in_one_text`: it inserts the rows that COPY would make of those lines.

    What is to be done with conflicts, and what is returned, is for the caller to append.
    """
    types = [metadata.tables[table].columns[column].type.compile(_DIALECT) for column in columns]
    fields = [
        sql.SQL(r"replace(field[{}], E'\\\\', E'\\')::{}").format(sql.Literal(place), sql.SQL(name))
        for place, name in enumerate(types, 1)
    ]
    return sql.SQL(
        r"INSERT INTO {} ({}) SELECT {} FROM string_to_table(%s, E'\n') AS line, string_to_array(line, E'\t', E'\\N') AS field"
    ).format(sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(fields))


def in_one_text(columns: tuple[str, ...], lines: Sequence[str]) -> str | None:
    """For `inserting`: few short lines with a field a column and no escapes but doubled backslashes. None: they are COPY's."""
    if len(lines) > FEW:
        return None
    text = "\n".join(lines)
    if len(text) > FEW_CHARS or text.count("\n") != len(lines) - 1 or text.count("\t") != len(lines) * (len(columns) - 1):
        return None
    return None if "\\" in text.replace("\\\\", "").replace(NULL, "") else text


def copy_rows(cursor: Cursor[Any], table: str, columns: tuple[str, ...], lines: list[str]) -> None:
    """Lines are tab-joined fields without a line end."""
    if lines:
        _copy(cursor, _copying(table, columns), "\n".join([*lines, ""]).encode())


_BINARY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_BINARY_END: Final = b"\xff\xff"


def binary_of(tuples: Iterable[bytes]) -> bytes:
    """Rows in COPY's binary format, each with the count of its fields before them, as `copy_binary` takes them.

    Worth it where most of a row is one text: nobody looks for escapes in it then, neither we nor the server.
    """
    return b"".join([_BINARY_HEAD, *tuples, _BINARY_END])


def copy_binary(cursor: Cursor[Any], table: str, columns: tuple[str, ...], body: bytes) -> None:
    """What `binary_of` made."""
    _copy(cursor, _copying(table, columns, "binary"), body)


def _copy(cursor: Cursor[Any], statement: bytes, body: bytes) -> None:
    """The body is made before: the server waits for a COPY without any limit."""
    with cursor.copy(statement) as copy:
        copy.write(body)
        passing("copying")


def upsert_rows(
    cursor: Cursor[Any], table: str, key: tuple[str, ...], columns: tuple[str, ...], lines: list[str], *, stamped: str = ""
) -> None:
    """Insert or replace in bulk, by one statement; many rows come through COPY and a temporary table. Keys are distinct.

    stamped: a column that says since when a row is as it is: the start of this transaction.
    """
    if not lines:
        return
    pending, create, move, at_once = _upserting(table, key, columns, stamped)
    text = in_one_text(columns, lines)
    if text is not None:
        cursor.execute(at_once, (text,))
        return
    cursor.execute(create)
    copy_rows(cursor, pending, columns, lines)
    cursor.execute(move)
