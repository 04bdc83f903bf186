"""Who depends on Kafka and PostgreSQL says after each try whether it reached them."""

import json
import time
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from engine.database import Database, StoreRefused
from engine.errors import TransientFault
from engine.kafka import has_broker, new_consumer
from engine.options import KafkaOptions
from monitoring.metrics import DependencyMetrics
from tests.conftest import Stage

LOOKS = {"statistics.interval.ms": 50}


def statistics(*states: str) -> str:
    """As librdkafka gives them, cut down."""
    brokers = {f"b{number}:9092/{number}": {"state": state, "rtt": {"avg": 3}} for number, state in enumerate(states)}
    return json.dumps({"name": "dujiang", "brokers": brokers, "topics": {}})


@pytest.mark.parametrize(
    ("states", "expected"), [(["INIT", "UP"], True), (["INIT", "DOWN", "TRY_CONNECT"], False), ([], False)]
)
def test_one_connected_broker_is_enough(states: list[str], expected: bool) -> None:
    assert has_broker(statistics(*states)) is expected


def test_server_that_is_not_there_is_told_of_at_each_try() -> None:
    told: list[bool] = []
    database = Database("postgresql://nobody@127.0.0.1:1/none", "test", told.append)
    for _ in range(2):
        with pytest.raises(TransientFault), database.transaction():
            pytest.fail("there is no server")
    assert told == [False, False]


@pytest.mark.services
def test_server_that_refuses_a_statement_is_there(database: str) -> None:
    told: list[bool] = []
    opened = Database(database, "test", told.append)
    with opened.transaction() as cursor:
        cursor.execute("SELECT 1")
    with pytest.raises(StoreRefused), opened.transaction() as cursor:
        cursor.execute("SELECT 1 / 0")
    assert told == [True, True]
    opened.close()


@pytest.mark.services
def test_connection_that_breaks_is_told_of_and_so_is_the_next_that_works(database: str) -> None:
    told: list[bool] = []
    opened = Database(database, "test", told.append)
    with opened.transaction() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((backend,),) = cursor.fetchall()
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))
    with pytest.raises(TransientFault), opened.transaction() as cursor:
        cursor.execute("SELECT 1")
    with opened.transaction() as cursor:
        cursor.execute("SELECT 1")
    assert told == [True, False, True]
    opened.close()


def polled(consumer: Any, told: list[bool], wanted: bool) -> bool:
    """Whether the wanted word comes within some seconds of polls."""
    end = time.monotonic() + 20
    while time.monotonic() < end and told[-1:] != [wanted]:
        consumer.poll(0.05)
    return told[-1:] == [wanted]


def test_brokers_that_are_not_there_are_told_of_though_nothing_is_asked_of_them() -> None:
    told: list[bool] = []
    consumer = new_consumer(KafkaOptions("127.0.0.1:1"), "test-reach", told.append, **LOOKS)
    assert polled(consumer, told, wanted=False)
    consumer.close()


@pytest.mark.services
def test_broker_that_is_there_is_told_of(stage: Stage) -> None:
    told: list[bool] = []
    consumer = new_consumer(KafkaOptions(stage.bootstrap), "test-reach", told.append, **LOOKS)
    consumer.subscribe(["research.project.event"])
    assert polled(consumer, told, wanted=True)
    consumer.close()


def test_counts_begin_at_0_and_nothing_is_said_of_what_was_not_tried() -> None:
    registry = CollectorRegistry()
    reach = DependencyMetrics(registry).reach("kafka")
    assert registry.get_sample_value("dujiang_dependency_failures_total", {"dependency": "kafka"}) == 0
    assert b"dujiang_dependency_up{" not in generate_latest(registry)
    reach(False)
    reach(True)
    assert registry.get_sample_value("dujiang_dependency_failures_total", {"dependency": "kafka"}) == 1
    assert registry.get_sample_value("dujiang_dependency_up", {"dependency": "kafka"}) == 1
