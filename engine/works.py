"""Long work as a row that people see: how far it is, and whether somebody asked it to stop.

A work goes in steps that each are whole (a batch that is published and booked). Between two steps it says how far it is, at
most every EVERY_S, and learns whether it was asked to stop, in the console, by a command or Ctrl-C; nothing is cut off within.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Cursor

from engine.clock import Clock
from engine.database import Database
from engine.errors import Fault

EVERY_S: Final = 0.5
TITLE_CHARS_MAX: Final = 200


class WorkStopped(Exception):
    """Somebody asked for it. `by`: who, in the console or by `dujiang works cancel`; empty: by Ctrl-C where it runs."""

    def __init__(self, by: str, done: int, total: int | None) -> None:
        super().__init__(by)
        self.by, self.done, self.total = by, done, total


@dataclass(frozen=True, slots=True)
class Step:
    """How far a work is. total None: nobody knows."""

    kind: str
    title: str
    done: int
    total: int | None
    elapsed_s: float


Tell = Callable[[Step], None]


class Work:
    """One work that goes on. `reached` is for the thread that works, `interrupt` for any."""

    def __init__(self, database: Database, clock: Clock, kind: str, title: str, total: int | None, tell: Tell) -> None:
        self._database, self._clock, self._tell = database, clock, tell
        self._kind, self._title, self.total = kind, title[:TITLE_CHARS_MAX], total
        self._begun_s = self._told_s = clock.monotonic_s()
        self._interrupted = threading.Event()
        self._id = 0
        self.done = 0

    def reached(self, done: int) -> None:
        """After a step that is whole. Raises WorkStopped when somebody asked for it, and a fault of the database."""
        self.done = done
        if self._clock.monotonic_s() - self._told_s >= EVERY_S:
            self._told_s = self._clock.monotonic_s()
            asked_by = self._beat()
            self._tell(self.step())
            if asked_by is not None:
                raise WorkStopped(asked_by, done, self.total)
        if self._interrupted.is_set():
            raise WorkStopped("", done, self.total)

    def interrupt(self) -> None:
        """Stop after the step under way."""
        self._interrupted.set()

    def step(self) -> Step:
        return Step(self._kind, self._title, self.done, self.total, self._clock.monotonic_s() - self._begun_s)

    def begin(self, by: str) -> None:
        with self._database.transaction() as cursor:
            self._id = add(cursor, self._kind, self._title, by, self.total)

    def end(self, state: str) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE work SET state = %s, done = %s, beat_at = now(), ended_at = now() WHERE id = %s",
                (state, self.done, self._id),
            )

    def _beat(self) -> str | None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE work SET done = %s, total = %s, beat_at = now() WHERE id = %s RETURNING cancel_asked_by",
                (self.done, self.total, self._id),
            )
            row = cursor.fetchone()
            return None if row is None else row[0]


@contextmanager
def working(
    dsn: str, clock: Clock, kind: str, title: str, by: str, *, total: int | None = None, tell: Tell = lambda _: None
) -> Iterator[Work]:
    """A work from its beginning to its end: done, cancelled, or failed. A process that is killed leaves it without a beat."""
    database = Database(dsn, "dujiang work")
    work = Work(database, clock, kind, title, total, tell)
    try:
        work.begin(by)
        try:
            yield work
        except BaseException as error:
            with suppress(Fault):  # what ended the work is told; without an end the row is shown as lost
                work.end("cancelled" if isinstance(error, WorkStopped) else "failed")
            raise
        work.end("done")
        tell(work.step())
    finally:
        database.close()


def add(cursor: Cursor[Any], kind: str, title: str, by: str, total: int | None) -> int:
    """A work that begins. Returns its id."""
    cursor.execute(
        "INSERT INTO work (kind, title, started_by, total) VALUES (%s, %s, %s, %s) RETURNING id",
        (kind, title[:TITLE_CHARS_MAX], by, total),
    )
    row = cursor.fetchone()
    assert row is not None  # the statement inserts it  # noqa: S101
    return int(row[0])


def ask_cancel(cursor: Cursor[Any], work_id: int, by: str, now: datetime) -> bool:
    """Ask a work to stop after the step under way; False: there is none that goes on. The first to ask is on record."""
    cursor.execute(
        "UPDATE work SET cancel_asked_at = coalesce(cancel_asked_at, %s), cancel_asked_by = coalesce(cancel_asked_by, %s)"
        " WHERE id = %s AND state = 'running'",
        (now, by, work_id),
    )
    return cursor.rowcount == 1
