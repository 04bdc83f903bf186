"""How far a peer has come, seen from outside: its ledger, its table, or what its consumer group has committed."""

from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks.peers.traffic import Final, Load


class Gauge(Protocol):
    """Asked many times a second, so it must be cheap for the services."""

    every_s: float

    def begun(self) -> int:
        """Events whose effect is committed; asked until there are any."""
        ...

    def finished(self) -> bool:
        """Whether all events' effect is committed."""
        ...

    def close(self) -> None:
        """End its connections."""
        ...


@dataclass
class LedgerGauge:
    """By a ledger that moves with the rows; `moved` is the query for how many events it has moved over."""

    connection: psycopg.Connection[Any]
    moved: str
    events: int
    every_s: float = 0.02

    def begun(self) -> int:
        return _number(self.connection, self.moved)

    def finished(self) -> bool:
        return self.begun() >= self.events

    def close(self) -> None:
        self.connection.close()


@dataclass
class TableGauge:
    """By the rows themselves: a partition is done once its last event's row is there."""

    connection: psycopg.Connection[Any]
    last: dict[str, int]
    every_s: float = 0.02

    def begun(self) -> int:
        return _number(self.connection, "SELECT coalesce(sum(version), 0) FROM status")

    def finished(self) -> bool:
        query = (
            "SELECT count(*) FROM unnest(%s::text[], %s::bigint[]) AS wanted(key, version)"
            " JOIN status ON project_id = wanted.key AND status.version >= wanted.version"
        )
        return _number(self.connection, query, list(self.last), list(self.last.values())) == len(self.last)

    def close(self) -> None:
        self.connection.close()


class GroupGauge:
    """By what a consumer group has committed; for those without a database."""

    every_s = 0.1  # a request to the broker, whose CPU is measured

    def __init__(self, load: Load, group: str) -> None:
        self._group = group
        self._topic = load.topic
        self._events = load.events
        self._admin = AdminClient({"bootstrap.servers": load.at.bootstrap, "log_level": 0})

    def begun(self) -> int:
        request = [ConsumerGroupTopicPartitions(self._group)]
        try:
            found = self._admin.list_consumer_group_offsets(request)[self._group].result(timeout=10).topic_partitions
        except KafkaException:
            return 0
        return sum(max(0, place.offset) for place in found or () if place.topic == self._topic)

    def finished(self) -> bool:
        return self.begun() >= self._events

    def close(self) -> None:
        """Nothing: the client ends with the object."""


def _number(connection: psycopg.Connection[Any], query: str, *values: object) -> int:
    row = connection.execute(query.encode(), values or None).fetchone()
    return int(row[0]) if row else 0


def table_finals(dsn: str, query: str) -> dict[str, Final]:
    """Rows of (key, version, amount, disbursed)."""
    with psycopg.connect(dsn) as connection:
        return {key: Final(version, amount, paid) for key, version, amount, paid in connection.execute(query.encode())}
