"""Locks of the database, for work that only one process may do at a time. They end with their connection or transaction."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum, unique
from hashlib import blake2b
from typing import Any

from psycopg import Connection, OperationalError


@unique  # two that share a number would wait for each other, one of them perhaps for a process's whole life
class Number(IntEnum):
    """Of locks that have no name, all in one place."""

    MIGRATION = 7_310_911
    PARTNERS = 7_310_912  # two commands at once: the count of tokens must hold
    SUBSCRIPTIONS = 7_310_913  # two creations at once: the count must hold
    DELIVERER = 7_310_914  # its place: the one that delivers holds it as long as it runs
    KAFKA_SUBSCRIBERS = 7_310_915


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
