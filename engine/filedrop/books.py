"""What a run keeps in PostgreSQL: files by content, records by key. One transaction a batch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

from engine.database import copy_text, fault_of, upsert_rows
from engine.errors import EnvironmentFault
from engine.filedrop.report import Report
from engine.locks import held
from schemas.contract import instant_text

Connect = Callable[[], Connection[Any]]


class AlreadyRunning(EnvironmentFault):
    """Another run of the same account holds its lock."""


class Mark(NamedTuple):
    """A record's content, and the latest instant it was said to be so. As text it stands in connector_record.digest."""

    digest: str
    at: datetime

    def text(self) -> str:
        return f"{self.digest} {instant_text(self.at)}"

    @classmethod
    def read(cls, text: str) -> "Mark":
        digest, _, at = text.partition(" ")
        return cls(digest, datetime.fromisoformat(at))


UNKNOWN = Mark("", datetime.min.replace(tzinfo=UTC))


class Books:
    """The rows of one account. Only one run holds them at a time; the lock ends with the connection."""

    def __init__(self, connection: Connection[Any], account: str) -> None:
        self._connection, self._account = connection, account

    def recall(self, digest: str, name: str) -> tuple[int, Report, bool]:
        """How many records of a file are booked, its account so far, whether it is finished."""
        row = self._connection.execute(_RECALL, (self._account, digest, name)).fetchone()
        assert row is not None  # the statement inserts it  # noqa: S101
        return row[0], Report.stored(row[1]), row[2] is not None

    def marks(self, keys: Sequence[str]) -> dict[str, Mark]:
        """What was last published of those records that are known."""
        rows = self._connection.execute(_MARKS, (self._account, list(keys)))
        return {key: Mark.read(text) for key, text in rows}

    def save(self, digest: str, rows_done: int, report: Report, marks: dict[str, Mark], *, end: bool) -> None:
        """Book a batch."""
        lines = [
            "\t".join((copy_text(self._account), copy_text(key), copy_text(mark.text()), "now"))  # as COPY reads an instant
            for key, mark in marks.items()
        ]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            upsert_rows(cursor, "connector_record", _RECORD_KEY, (*_RECORD_KEY, "digest", "published_at"), lines)
            cursor.execute(_SAVE_FILE, (rows_done, Jsonb(report.kept()), end, self._account, digest))


@contextmanager
def opened(connect: Connect, account: str) -> Iterator[Books]:
    """The books under their lock. Raises AlreadyRunning, and what the database cannot do as the engine's faults."""
    try:
        with closing(connect()) as connection:
            connection.autocommit = True
            with held(connection, f"dujiang connector {account}") as is_held:
                if not is_held:
                    raise AlreadyRunning(
                        f"another run of the connector {account} is going on", "wait for its end, then run again"
                    )
                yield Books(connection, account)
    except psycopg.Error as error:
        fault = fault_of(error)
        if fault is error:
            raise
        raise fault from error


_RECORD_KEY = ("connector", "key")
_RECALL = """
INSERT INTO connector_file (connector, digest, name) VALUES (%s, %s, %s)
ON CONFLICT (connector, digest) DO UPDATE SET name = connector_file.name
RETURNING rows_done, report, finished_at"""
_MARKS = "SELECT key, digest FROM connector_record WHERE connector = %s AND key = ANY(%s)"
_SAVE_FILE = """
UPDATE connector_file SET rows_done = %s, report = %s, finished_at = CASE WHEN %s THEN now() END
WHERE connector = %s AND digest = %s"""
