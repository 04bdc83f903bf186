"""How far we are in a partner's topic, and what became of its records: rows of `connector_position`.

Kept by us and not as offsets of a group in the partner's Kafka: those are forgotten after a week's pause.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from engine.database import fault_of
from engine.errors import Fenced
from engine.filedrop.books import AlreadyRunning, Connect
from engine.locks import held


class Move(NamedTuple):
    """What a batch did in one partition."""

    before: int
    after: int
    published: int
    refused: int


class Positions:
    """The rows of one connector, under its lock."""

    def __init__(self, connection: Connection[Any], connector: str, topic: str) -> None:
        self._connection, self._connector, self._topic = connection, connector, topic

    def known(self) -> dict[int, int]:
        """The next offset of each partition that was read before."""
        with _sorted_faults():
            rows = self._connection.execute(_KNOWN, (self._connector, self._topic)).fetchall()
        return dict(rows)

    def begin(self, offsets: Mapping[int, int]) -> None:
        """Partitions that are read for the first time, or after records of theirs were lost."""
        with _sorted_faults(), self._connection.transaction():
            for partition, offset in offsets.items():
                self._connection.execute(_BEGIN, (self._connector, self._topic, partition, offset, offset))

    def move(self, moves: Mapping[int, Move]) -> None:
        """Book a batch: all of it or nothing. Raises Fenced when somebody else moved meanwhile."""
        with _sorted_faults(), self._connection.transaction():
            for partition, move in moves.items():
                place = (self._connector, self._topic, partition, move.before)
                changed = self._connection.execute(_MOVE, (move.after, move.published, move.refused, *place))
                if changed.rowcount != 1:
                    raise Fenced(f"{self._topic} p{partition}@{move.before}: another process moved on meanwhile")


@contextmanager
def opened(connect: Connect, connector: str, topic: str) -> Iterator[Positions]:
    """Under a lock that ends with the connection. Raises AlreadyRunning, and what the database cannot do as faults."""
    with _sorted_faults():
        connection = connect()
    with closing(connection), ExitStack() as stack:
        with _sorted_faults():
            connection.autocommit = True
            is_held = stack.enter_context(held(connection, f"dujiang connector {connector} {topic}"))
        if not is_held:
            raise AlreadyRunning(f"another process reads {topic} for {connector}", "wait for its end, or end it")
        yield Positions(connection, connector, topic)


@contextmanager
def _sorted_faults() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        fault = fault_of(error)
        if fault is error:
            raise
        raise fault from error


_KNOWN = "SELECT partition, next_offset FROM connector_position WHERE connector = %s AND topic = %s"
_BEGIN = """
INSERT INTO connector_position (connector, topic, partition, start_offset, next_offset) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (connector, topic, partition) DO UPDATE SET next_offset = excluded.next_offset, moved_at = now()"""
_MOVE = """
UPDATE connector_position SET next_offset = %s, published = published + %s, refused = refused + %s, moved_at = now()
WHERE connector = %s AND topic = %s AND partition = %s AND next_offset = %s"""
