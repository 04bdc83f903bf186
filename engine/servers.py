"""How Kafka and PostgreSQL are, as they say themselves: for metrics, beside what each process sees of them (reach.py).

It asks for what any client may see: no superuser, no exporter. Every worker that watches tells of the whole servers.
"""

from collections.abc import Sequence
from threading import Event
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import Cursor

from engine.database import Database
from engine.kafka import fault_of
from engine.looks import keep_looking
from engine.options import KafkaOptions
from monitoring.metrics import ServerMetrics

EVERY_S: Final = 15.0
KAFKA_S: Final = 5.0

log = structlog.get_logger("servers")


class Totals(NamedTuple):
    """What PostgreSQL has counted in our database since its statistics began."""

    rolled_back: int
    deadlocks: int
    from_cache: int
    from_disk: int


class Watch:
    """Looks at both servers. Not for two threads at once.

    tables: whose dead rows are told of.
    """

    def __init__(self, dsn: str, kafka: KafkaOptions, tables: Sequence[str], metrics: ServerMetrics) -> None:
        self._database = Database(dsn, "dujiang servers")
        self._kafka = AdminClient(
            {"bootstrap.servers": kafka.bootstrap, "client.id": f"{kafka.client_id}-servers", "log_level": 0, **kafka.security}
        )
        self._tables = list(tables)
        self._metrics = metrics
        self._before: Totals | None = None

    def run(self, stopping: Event) -> None:
        """Until `stopping`. While a look fails the figures stay as they were: that a server is away is told elsewhere."""
        looks = {"postgresql": self.look_at_postgresql, "kafka": self.look_at_kafka}
        keep_looking(looks, stopping, _tell, every_s=EVERY_S)
        self._database.close()

    def look_at_postgresql(self) -> None:
        """One look. Raises Fault or psycopg.Error."""
        with self._database.transaction() as cursor:
            self._show_load(cursor)
            self._count(cursor)
            for table, rows in cursor.execute(
                "SELECT relname, n_dead_tup FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = ANY(%s)",
                (self._tables,),
            ).fetchall():
                self._metrics.dead_rows.labels(table).set(rows)

    def _show_load(self, cursor: Cursor[Any]) -> None:
        """Of sessions that belong to other roles their transactions are seen with the right `pg_read_all_stats` alone."""
        row = cursor.execute(
            "SELECT (SELECT sum(numbackends) FROM pg_stat_database), current_setting('max_connections')::integer"
            " - current_setting('superuser_reserved_connections')::integer"
            " - coalesce(current_setting('reserved_connections', true), '0')::integer,"
            " (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()),"
            " pg_database_size(current_database())"
        ).fetchone()
        if row is not None:
            used, allowed, longest_s, size_bytes = row
            self._metrics.connections.set(used)
            self._metrics.connections_allowed.set(allowed)
            self._metrics.longest_transaction_seconds.set(longest_s)
            self._metrics.database_bytes.set(size_bytes)

    def _count(self, cursor: Cursor[Any]) -> None:
        """What was added since the look before; all of it where the server's statistics began anew."""
        row = cursor.execute(
            "SELECT xact_rollback, deadlocks, blks_hit, blks_read FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        if row is None:
            return
        now = Totals(*row)
        before = now if self._before is None else self._before
        counters = (
            self._metrics.rolled_back,
            self._metrics.deadlocks,
            self._metrics.blocks.labels("cache"),
            self._metrics.blocks.labels("disk"),
        )
        for counter, total, total_before in zip(counters, now, before, strict=True):
            counter.inc(total - total_before if total >= total_before else total)
        self._before = now

    def look_at_kafka(self) -> None:
        """One look, by one request. Raises TransientFault or EnvironmentFault."""
        try:
            cluster = self._kafka.list_topics(timeout=KAFKA_S)
        except KafkaException as error:
            raise fault_of(error.args[0]) from error
        partitions = [partition for topic in cluster.topics.values() for partition in topic.partitions.values()]
        self._metrics.brokers.set(len(cluster.brokers))
        self._metrics.offline.set(sum(partition.leader < 0 for partition in partitions))
        self._metrics.under_replicated.set(sum(len(partition.isrs) < len(partition.replicas) for partition in partitions))


def _tell(server: str, fault: Exception) -> None:
    log.warning("server_look_failed", server=server, fault=str(fault))
