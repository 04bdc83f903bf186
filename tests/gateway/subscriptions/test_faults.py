"""What a reader meets when something breaks: the gateway, Kafka, retention. Nothing is lost and nothing comes twice."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from dujiang.embedded.kafka import KafkaServer
from engine.errors import TransientFault
from engine.kafka import BatchPublisher, Message, partition_of
from engine.options import KafkaOptions
from engine.subscriptions import register
from gateway.store import Store
from gateway.subscriptions.service import SubscriptionService
from gateway.subscriptions.store import Subscriptions
from gateway.subscriptions.tail import SharedLog
from schemas.registry import Registry
from tests.conftest import Stage
from tests.gateway.conftest import Gateway
from tests.gateway.subscriptions.cast import Partner
from tests.gateway.subscriptions.memory import SUSPENDED, body_of

pytestmark = pytest.mark.services


def events(first: int, last: int) -> list[bytes]:
    return [body_of(f"{number:03}", subject=f"P-{number % 5}") for number in range(first, last)]


def expected(last: int) -> list[str]:
    return [f"{number:03}" for number in range(last)]


class TestGatewayKilled:
    """A gateway of its own process, ended by force in the middle."""

    @pytest.fixture
    def port(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    @pytest.fixture
    def local(self, port: int) -> Partner:
        """Whoever speaks to a gateway that asks nobody."""
        return Partner(Gateway("127.0.0.1", port, None, None, None), None)  # type: ignore[arg-type]

    def test_a_pull_goes_on_behind_its_cursor(self, local: Partner, port: int, stage: Stage) -> None:
        killed = stage.gateway(port)
        stage.until(lambda: is_ready(local))
        made = local.subscribe(SUSPENDED).json["id"]
        stage.send(events(0, 50))
        page = local.pull(made, limit=7, wait=10).json
        killed.kill()
        killed.wait()
        stage.send(events(50, 80))
        stage.gateway(port)
        stage.until(lambda: is_ready(local))
        rest, _ = local.pull_all(made, page["cursor"])
        assert sorted([event["id"] for event in page["events"]] + rest) == expected(80)

    def test_a_stream_goes_on_behind_its_last_id(self, local: Partner, port: int, stage: Stage) -> None:
        killed = stage.gateway(port)
        stage.until(lambda: is_ready(local))
        made = local.subscribe(SUSPENDED).json["id"]
        with local.stream(made) as stream:
            stage.send(events(0, 50))
            stage.until(lambda: bool(stream.came.events()))
            killed.kill()
            killed.wait()
            assert stream.ended()
        stage.gateway(port)
        stage.until(lambda: is_ready(local))
        with local.stream(made, stream.came.cursor) as again:
            stage.send(events(50, 80))
            stage.until(lambda: len(stream.came.events()) + len(again.came.events()) >= 80)
            assert sorted(stream.came.ids() + again.came.ids()) == expected(80)

    def test_a_gateway_that_is_stopped_says_so_to_its_streams(self, local: Partner, port: int, stage: Stage) -> None:
        stopped = stage.gateway(port)
        stage.until(lambda: is_ready(local))
        made = local.subscribe(SUSPENDED).json["id"]
        with local.stream(made) as stream:
            stage.until(lambda: bool(stream.came.frames))
            began_s = time.monotonic()
            stopped.terminate()
            assert stream.ended()
            assert '"gateway_ending"' in stream.came.named("end")[0]["data"]
        stopped.wait(10)
        assert time.monotonic() - began_s < 6  # not the seven that a request may take


def is_ready(local: Partner) -> bool:
    try:
        return bool(local.send("GET", "/health/ready").status == 200)
    except (OSError, http.client.HTTPException):
        return False


def test_what_retention_took_is_told_and_the_rest_can_be_read(subscribers: Any, directory: Any, stage: Stage) -> None:
    agency = Partner(subscribers, directory.register("agency-1", "subscribe:*", "clearance:internal"))
    made = agency.subscribe(SUSPENDED, start="earliest").json
    stage.send([body_of(f"{number}", subject="P-0") for number in range(10)])
    ids, _ = agency.pull_all(made["id"])
    assert len(ids) == 10
    place = ("research.project.event", partition_of(b"P-0", 8))
    cut = AdminClient({"bootstrap.servers": stage.bootstrap})
    for future in cut.delete_records([TopicPartition(*place, stage.ends()[place] - 3)]).values():
        future.result(30)
    stage.until(lambda: agency.pull(made["id"], made["cursor"]).status == 410)
    gone = agency.pull(made["id"], made["cursor"])
    assert gone.kind == "cursor_gone"
    with agency.stream(made["id"], made["cursor"]) as stream:
        assert stream.response.status == 410
    assert agency.pull_all(made["id"], gone.json["earliest_cursor"])[0] == ["7", "8", "9"]


@pytest.fixture
def on_own_kafka(
    serve_gateway: Callable[..., Any],
    fake_publisher: Any,
    directory: Any,
    kafka: KafkaServer,
    database: str,
    registry: Registry,
) -> Iterator[Partner]:
    """An agency at a gateway on a Kafka that the test may stop."""
    store = Store(database, "test subscriptions")
    log = SharedLog(KafkaOptions(kafka.bootstrap), registry)
    service = SubscriptionService(
        log=log, subscriptions=Subscriptions(store, directory.clock), registry=registry, clock=directory.clock
    )
    gateway = serve_gateway(fake_publisher, directory=directory, subscriptions=service, resources=[log], clock=directory.clock)
    yield Partner(gateway, directory.register("agency-1", "subscribe:*", "clearance:internal"))
    store.close()
    kafka.start()


@pytest.mark.slow
def test_while_kafka_is_away_a_pull_is_told_when_to_come_again_and_a_stream_waits(
    on_own_kafka: Partner, kafka: KafkaServer
) -> None:
    agency = on_own_kafka
    made = agency.subscribe(SUSPENDED).json
    with agency.stream(made["id"]) as stream:
        Stage.until(lambda: bool(stream.came.frames))
        kafka.stop()
        Stage.until(lambda: agency.pull(made["id"]).status == 503)
        away = agency.pull(made["id"], made["cursor"])
        assert (away.kind, away.headers["retry-after"]) == ("log_away", "5")
        assert agency.subscribe(SUSPENDED).kind == "log_away"
        assert agency.send("POST", "/subscriptions/rehearse", {}).kind == "log_away"
        kafka.start()
        Stage.until(lambda: agency.pull(made["id"], made["cursor"]).status == 200)
        publish(kafka, body_of("after"))
        Stage.until(lambda: stream.came.ids() == ["after"])
        assert stream.came.named("end") == []
    assert agency.pull_all(made["id"], made["cursor"])[0] == ["after"]


def publish(kafka: KafkaServer, body: bytes) -> None:
    publisher = BatchPublisher(KafkaOptions(kafka.bootstrap))
    publisher.publish([Message("research.project.event", b"P-1", body, [("content-type", b"application/cloudevents+json")])])


def test_while_the_database_is_away_nothing_is_sent_and_the_stream_waits(
    subscribers: Any, directory: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency = Partner(subscribers, directory.register("agency-1", "subscribe:*", "clearance:internal"))
    made = agency.subscribe(SUSPENDED).json["id"]

    def away(*_: Any) -> None:
        raise TransientFault("PostgreSQL: away")

    with agency.stream(made) as stream:
        stage.until(lambda: bool(stream.came.frames))
        with monkeypatch.context() as broken:
            broken.setattr(register, "found", away)
            broken.setattr(register, "find", away)
            stage.until(lambda: agency.pull(made).kind == "store_away")
            time.sleep(0.6)  # rights and state may be as old as that
            stage.send([body_of("a")])
            time.sleep(0.5)
            assert stream.came.ids() == []
        stage.until(lambda: stream.came.ids() == ["a"])
