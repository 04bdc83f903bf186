"""How Kafka and PostgreSQL are: what the figures say when something is known to be so."""

from collections.abc import Iterator
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from engine import servers
from engine.errors import TransientFault
from engine.options import KafkaOptions
from engine.servers import Watch
from monitoring.metrics import ServerMetrics
from tests.conftest import Stage

pytestmark = pytest.mark.services
TABLES = ["project_status", "call_status"]


class Shown(Watch):
    """A watch, and what it shows."""

    def __init__(self, dsn: str, bootstrap: str) -> None:
        self._registry = CollectorRegistry()
        super().__init__(dsn, KafkaOptions(bootstrap), TABLES, ServerMetrics(self._registry))

    def __call__(self, name: str, **labels: str) -> float:
        value = self._registry.get_sample_value(f"dujiang_{name}", labels)
        assert value is not None, name
        return value


@pytest.fixture
def other(stage: Stage) -> Iterator[psycopg.Connection[Any]]:
    """Somebody else in the same database."""
    with psycopg.connect(stage.dsn, autocommit=True) as connection:
        yield connection


def _watch(stage: Stage) -> Shown:
    return Shown(stage.dsn, stage.bootstrap)


def test_connections_are_counted_beside_what_others_than_administrators_may_have(stage: Stage) -> None:
    watch = _watch(stage)
    watch.look_at_postgresql()
    before = watch("postgresql_connections")
    with psycopg.connect(stage.dsn), psycopg.connect(stage.dsn), psycopg.connect(stage.dsn):
        watch.look_at_postgresql()
        assert watch("postgresql_connections") >= before + 2  # one of another test's may have ended meanwhile
    with psycopg.connect(stage.dsn) as connection:
        row = connection.execute(
            "SELECT sum(setting::integer * CASE name WHEN 'max_connections' THEN 1 ELSE -1 END) FROM pg_settings"
            " WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
        ).fetchone()
    assert row is not None
    assert watch("postgresql_connections_allowed") == row[0]


def test_a_transaction_is_as_long_as_it_has_been_open(stage: Stage, other: psycopg.Connection[Any]) -> None:
    watch = _watch(stage)
    with other.transaction():
        other.execute("SELECT pg_sleep(0.3)")
        watch.look_at_postgresql()
        assert watch("postgresql_longest_transaction_seconds") >= 0.3
    ended = watch("postgresql_longest_transaction_seconds")
    with other.transaction():
        watch.look_at_postgresql()
        assert watch("postgresql_longest_transaction_seconds") < ended


def test_what_was_rolled_back_between_two_looks_is_counted_once(stage: Stage, other: psycopg.Connection[Any]) -> None:
    watch = _watch(stage)
    watch.look_at_postgresql()
    assert watch("postgresql_rolled_back_transactions_total") == 0  # what was before the worker is not its
    for _ in range(3):
        with other.transaction(force_rollback=True):
            other.execute("SELECT 1")
    other.execute("SELECT pg_stat_force_next_flush()")
    watch.look_at_postgresql()
    assert watch("postgresql_rolled_back_transactions_total") == 3
    watch.look_at_postgresql()
    assert watch("postgresql_rolled_back_transactions_total") == 3
    assert watch("postgresql_deadlocks_total") == 0
    assert watch("postgresql_blocks_total", found="cache") > 0
    assert watch("postgresql_blocks_total", found="disk") >= 0


def test_statistics_that_begin_anew_take_nothing_away(stage: Stage, services: Any, other: psycopg.Connection[Any]) -> None:
    watch = _watch(stage)
    watch.look_at_postgresql()
    with other.transaction(force_rollback=True):
        other.execute("SELECT 1")
    other.execute("SELECT pg_stat_force_next_flush()")
    watch.look_at_postgresql()
    with psycopg.connect(_as_admin(services, stage.dsn), autocommit=True) as admin:
        admin.execute("SELECT pg_stat_reset()")
    watch.look_at_postgresql()
    assert watch("postgresql_rolled_back_transactions_total") == 1


def test_dead_rows_are_those_of_the_tables_that_were_named(stage: Stage, other: psycopg.Connection[Any]) -> None:
    watch = _watch(stage)
    other.execute("CREATE TEMP TABLE before AS SELECT 1")
    with other.transaction(force_rollback=True):
        other.execute(
            "INSERT INTO call_status (call_id, title, programme, is_cancelled, register_name, source_status, changed_by,"
            " applied, duplicates, superseded, rejected, seen)"
            " SELECT 'C-' || n, '', '', false, '', '', '', 0, 0, 0, '[]', '' FROM generate_series(1, 7) n"
        )
    other.execute("SELECT pg_stat_force_next_flush()")
    watch.look_at_postgresql()
    assert watch("postgresql_dead_rows", table="call_status") == 7
    assert watch("postgresql_dead_rows", table="project_status") == 0
    assert watch("postgresql_database_bytes") > 1_000_000


def test_a_running_kafka_has_brokers_and_nothing_offline(stage: Stage) -> None:
    watch = _watch(stage)
    watch.look_at_kafka()
    shown = [watch(f"kafka_{name}") for name in ("brokers", "offline_partitions", "under_replicated_partitions")]
    assert shown == [1, 0, 0]


def test_partitions_are_told_by_their_leader_and_their_replicas(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded Kafka has one broker, so that the answer of a wounded cluster is made up."""
    partitions = {
        0: SimpleNamespace(leader=1, replicas=[1, 2, 3], isrs=[1, 2, 3]),
        1: SimpleNamespace(leader=1, replicas=[1, 2, 3], isrs=[1, 2]),
        2: SimpleNamespace(leader=-1, replicas=[3], isrs=[]),
    }
    cluster = SimpleNamespace(brokers={1: None, 2: None}, topics={"t": SimpleNamespace(partitions=partitions)})
    watch = _watch(stage)
    monkeypatch.setattr(watch, "_kafka", SimpleNamespace(list_topics=lambda **_: cluster))
    watch.look_at_kafka()
    shown = [watch(f"kafka_{name}") for name in ("brokers", "offline_partitions", "under_replicated_partitions")]
    assert shown == [2, 1, 2]


def test_a_kafka_that_is_away_is_a_fault_and_the_database_is_looked_at_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "KAFKA_S", 0.2)
    monkeypatch.setattr(servers, "EVERY_S", 0.05)
    watch, stopping = Shown(stage.dsn, "127.0.0.1:1"), Event()
    with pytest.raises(TransientFault):
        watch.look_at_kafka()
    looks: list[None] = []
    look = watch.look_at_postgresql

    def looked() -> None:
        look()
        looks.append(None)
        if len(looks) == 3:
            stopping.set()

    monkeypatch.setattr(watch, "look_at_postgresql", looked)
    with capture_logs() as logs:
        thread = Thread(target=watch.run, args=(stopping,), daemon=True)
        thread.start()
        thread.join(30)
    assert not thread.is_alive()
    assert [(line["event"], line["server"]) for line in logs] == [("server_look_failed", "kafka")]  # told once
    assert watch("postgresql_connections") > 0


def _as_admin(services: Any, dsn: str) -> str:
    return str(services.postgres.admin_dsn).rpartition("/")[0] + "/" + dsn.rpartition("/")[2]
