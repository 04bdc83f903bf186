"""What supervisors and Prometheus are told."""

from typing import Any

import pytest

from dujiang.embedded.kafka import KafkaServer
from engine.clock import FakeClock, SystemClock
from engine.options import KafkaOptions
from gateway.health import ANSWERED_WITHIN_S, BrokerHealth


def test_ready_when_nothing_speaks_against_it(gateway: Any) -> None:
    answer = gateway.get("/health/ready")
    assert (answer.status, answer.json) == (200, {"status": "ready", "reasons": []})


def test_not_ready_says_why_and_stays_alive(gateway: Any) -> None:
    gateway.health.said = ["Kafka has not answered for 12 s"]
    answer = gateway.get("/health/ready")
    assert answer.status == 503
    assert answer.json == {"status": "not ready", "reasons": ["Kafka has not answered for 12 s"]}
    assert gateway.get("/health/live").status == 200


def test_producer_that_cannot_go_on_is_neither_alive_nor_ready(gateway: Any) -> None:
    gateway.publisher.failed = "the Kafka producer cannot go on: fenced"
    assert gateway.get("/health/live").status == 503
    assert gateway.get("/health/ready").json["reasons"] == ["the Kafka producer cannot go on: fenced"]


def test_metrics_are_served_as_prometheus_reads_them(gateway: Any) -> None:
    answer = gateway.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert b"# TYPE dujiang_gateway_accepted_events_total counter" in answer.body


def test_broker_that_never_answered_is_a_reason() -> None:
    health = BrokerHealth(KafkaOptions("127.0.0.1:1"), SystemClock())
    assert health.reasons() == ["Kafka has not answered yet"]


def test_every_question_without_an_answer_is_told_of() -> None:
    told: list[bool] = []
    with BrokerHealth(KafkaOptions("127.0.0.1:1"), SystemClock(), told.append):
        clock = SystemClock()
        until_s = clock.monotonic_s() + 20
        while not told and clock.monotonic_s() < until_s:
            clock.sleep(0.05)
    assert set(told) == {False}


@pytest.mark.services
def test_broker_is_well_while_it_answers_and_not_long_after(kafka: KafkaServer, clock: FakeClock) -> None:
    told: list[bool] = []
    with BrokerHealth(KafkaOptions(kafka.bootstrap), clock, told.append) as health:
        wait_until_well(health)
    assert set(told) == {True}
    clock.advance(ANSWERED_WITHIN_S + 1)
    assert health.reasons() == ["Kafka has not answered for 11 s"]


def wait_until_well(health: BrokerHealth) -> None:
    clock = SystemClock()
    for _ in range(200):
        if not health.reasons():
            return
        clock.sleep(0.05)
    pytest.fail("Kafka did not answer")
