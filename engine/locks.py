"""Locks of the database by name, for work that only one process may do at a time. They end with their connection."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import Any

from psycopg import Connection, OperationalError


@contextmanager
def held(connection: Connection[Any], name: str) -> Iterator[bool]:
    """Whether the lock was free and is ours now. Needs a connection that commits by itself. Raises psycopg's errors.

    It is given back at the end: a server may take its time to see that a connection was closed, and whoever comes next would be
    told that we still work.
    """
    number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone()
    is_held = bool(row and row[0])
    try:
        yield is_held
    finally:
        if is_held:
            with suppress(OperationalError):  # a connection that broke has taken its lock along
                connection.execute("SELECT pg_advisory_unlock(%s)", (number,))
