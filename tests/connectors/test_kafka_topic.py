"""A partner's own topic as a door: the same checks as at the gateway, nothing lost, nothing twice."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from connectors.kafka_topic.mapping import Accepted, Given, answer, finding
from dujiang.embedded.ports import free_port
from dujiang.partner_topic import judge_for
from engine.clock import FakeClock
from engine.filedrop import Refused
from engine.kafka import Message
from gateway.attributes import DOCUMENTED
from gateway.identity import Identity, Partner
from gateway.limits import Allowance
from schemas.catalogue import default_registry
from tests.conftest import ROOT

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
TYPE = "gov.stiib.research.application.submitted.v1"
STRUCTURED = [("content-type", b"application/cloudevents+json")]
PARTNER = Partner("institute-7", ("publish:gov.stiib.research.*",), ("/partners/institute-7",), Allowance(1, 1_000, 1))


def event(number: int | str = 1, **changes: Any) -> dict[str, Any]:
    members = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/partners/institute-7",
        "type": TYPE,
        "subject": f"P-{number}",
        "time": "2026-02-28T10:00:00Z",
        "datacontenttype": "application/json",
        "data": {"call_id": "C-1", "title": "水泵", "lead": "Institute 7", "budget": 5},
    } | changes
    return {name: value for name, value in members.items() if value is not None}


def given(value: Any, headers: Any = STRUCTURED) -> Given:
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Given("their.topic", 3, 1207, 1_772_000_000_000, headers, raw)


class TestJudged:
    @pytest.fixture
    def judge(self) -> Any:
        return judge_for(
            Identity(PARTNER, (), datetime.max.replace(tzinfo=UTC)), default_registry(), FakeClock(NOW), DOCUMENTED
        )

    def test_sound_event_becomes_a_record_of_our_topic_keyed_by_its_entity(self, judge: Any) -> None:
        accepted = answer(given(event()), judge)
        assert isinstance(accepted, Accepted)
        message = accepted.message
        assert (message.topic, message.key) == ("research.project.event", b"P-1")
        assert accepted.time == datetime(2026, 2, 28, 10, tzinfo=UTC)
        assert json.loads(message.value or b"") == event() | {"recordedtime": "2026-03-01T08:00:00Z"}

    def test_binary_event_is_the_same_one(self, judge: Any) -> None:
        members = event()
        data = json.dumps(members.pop("data")).encode()
        del members["datacontenttype"]
        headers = [(f"ce_{name}", value.encode()) for name, value in members.items()] + [("content-type", b"application/json")]
        binary, structured = answer(given(data, headers), judge), answer(given(event()), judge)
        assert isinstance(binary, Accepted)
        assert isinstance(structured, Accepted)
        assert binary.time == structured.time
        assert json.loads(binary.message.value or b"") == json.loads(structured.message.value or b"")
        assert structs.replace(binary.message, value=b"") == structs.replace(structured.message, value=b"")

    @pytest.mark.parametrize(
        ("value", "reason", "pointer"),
        [
            (None, "tombstone", ""),
            (b"{", "invalid_json", ""),
            (b"\xff", "invalid_utf8", ""),
            (event(id=None), "missing_attribute", "/id"),
            (event(type="gov.stiib.research.nothing.v1"), "type_unknown", "/type"),
            (event(type="gov.stiib.platform.timer.fired.v1"), "type_reserved", "/type"),
            (event(type="gov.stiib.infra.monitor.received.v1"), "data_invalid", "/data/status"),
            (event(source="/partners/institute-8"), "source_not_granted", "/source"),
            (event(source="/streams/projects"), "source_reserved", "/source"),
            (event(dataclassification="secret"), "classification_unknown", "/dataclassification"),
            (event(data={"call_id": 7}), "data_invalid", "/data/call_id"),
            (event(fooattr="x"), "attribute_unknown", "/fooattr"),
            (event(dataref="x" * 1_100_000), "too_large", ""),
        ],
    )
    def test_what_the_gateway_refuses_is_refused_with_reason_and_place(
        self, judge: Any, value: Any, reason: str, pointer: str
    ) -> None:
        refused = answer(given(value), judge)
        assert isinstance(refused, Refused)
        assert (refused.reason, refused.pointer, refused.value) == (reason, pointer, "their.topic p3@1207")

    def test_type_that_was_not_granted_is_refused(self) -> None:
        narrow = Partner("institute-7", ("publish:gov.stiib.infra.*",), PARTNER.sources, PARTNER.allowance)
        judge = judge_for(
            Identity(narrow, (), datetime.max.replace(tzinfo=UTC)), default_registry(), FakeClock(NOW), DOCUMENTED
        )
        refused = answer(given(event()), judge)
        assert isinstance(refused, Refused)
        assert (refused.reason, refused.key) == ("type_not_granted", "P-1")

    def test_finding_of_the_same_record_is_the_same(self, judge: Any) -> None:
        refused = answer(given(event(data={})), judge)
        assert isinstance(refused, Refused)
        first, again = (finding(default_registry(), "institute-7", given(event(data={})), refused) for _ in range(2))
        assert first == again
        told = json.loads(first.value or b"")
        assert (told["subject"], told["data"]["rule"], told["data"]["value"]) == ("P-1", "data_invalid", "their.topic p3@1207")


@dataclass
class Door:
    """A partner's topic, and the connector that reads it, as a process."""

    stage: Any
    topic: str
    admin: Any

    def fill(self, *records: Any) -> None:
        messages = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
        self.stage.publisher.publish(
            [Message(self.topic, b"k%d" % number, value, STRUCTURED) for number, value in enumerate(messages)]
        )

    def run(self, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment() | more
        command = [sys.executable, "-m", "dujiang", "connector", "kafka", "--until-end", "--json", *options]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
        return inherited | {
            "DUJIANG_KAFKA__BOOTSTRAP": self.stage.bootstrap,
            "DUJIANG_DATABASE__DSN": self.stage.dsn,
            "DUJIANG_CONNECTORS__KAFKA_TOPIC__PARTNER": "institute-7",
            "DUJIANG_CONNECTORS__KAFKA_TOPIC__BOOTSTRAP": self.stage.bootstrap,
            "DUJIANG_CONNECTORS__KAFKA_TOPIC__TOPIC": self.topic,
            "DUJIANG_CONNECTORS__KAFKA_TOPIC__RECORDS_MAX": "20",
        }

    @contextmanager
    def running(self, **more: str) -> Iterator[str]:
        """One that goes on until the context ends; yields where its pages are."""
        port = free_port()
        environment = self.environment() | {"DUJIANG_CONNECTORS__KAFKA_TOPIC__HTTP_PORT": str(port)} | more
        process = subprocess.Popen([sys.executable, "-m", "dujiang", "connector", "kafka"], env=environment, cwd=ROOT)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            assert process.wait(30) == 0

    def written(self, topic: str = "research.project.event") -> list[dict[str, Any]]:
        """All events of one of our topics, whole."""
        return [json.loads(value) for value in values(self.stage, topic)]

    def kept(self, source: str) -> int:
        """Events of a source in the history."""
        ((events,),) = self.stage.rows("SELECT count(*) FROM event_history WHERE event_source = %s", source)
        return int(events)

    def account(self) -> tuple[int, int, int]:
        """Passed, published, refused."""
        ((row),) = self.stage.rows(
            "SELECT sum(next_offset - start_offset), sum(published), sum(refused) FROM connector_position"
        )
        return tuple(map(int, row))  # type: ignore[return-value]


def values(stage: Any, topic: str) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": stage.bootstrap, "group.id": secrets.token_hex(4), "enable.partition.eof": True})
    found = []
    for name, partition in (place for place in stage.ends() if place[0] == topic):
        low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), 10)
        if low == high:
            continue
        consumer.assign([TopicPartition(name, partition, low)])
        while (message := consumer.poll(10)) is not None and message.error() is None:
            found.append(message.value())
    consumer.close()
    return found


@pytest.fixture
def door(stage: Any) -> Any:
    topic = f"their.{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": stage.bootstrap})
    admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(30)
    made = Door(stage, topic, admin)
    command = [
        sys.executable,
        "-m",
        "dujiang",
        "partners",
        "add",
        "institute-7",
        "--name",
        "I",
        "--scope",
        "publish:gov.stiib.research.*",
    ]
    subprocess.run(command, env=made.environment(), cwd=ROOT, capture_output=True, check=True)
    yield made
    admin.delete_topics([topic])[topic].result(30)


@pytest.mark.services
class TestOnServices:
    def test_every_record_is_published_or_told_of_and_none_is_read_again(self, door: Door) -> None:
        door.fill(
            *(event(number) for number in range(50)),
            b"rubbish",
            event("x", source="/partners/institute-8"),
            event("y", data={}),
        )
        done = door.run()
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said == {
            "read": 53,
            "published": 50,
            "refused": {"invalid_json": 1, "source_not_granted": 1, "data_invalid": 1},
        }
        assert Counter(one["id"] for one in door.written()) == Counter(f"e-{number}" for number in range(50))
        told = {one["data"]["rule"]: one["data"]["value"] for one in door.written("platform.finding.event")}
        assert told.keys() == said["refused"].keys()
        assert all(place.startswith(f"{door.topic} p") for place in told.values())
        assert door.account() == (53, 50, 3)
        assert json.loads(door.run().stdout) == {"read": 0, "published": 0, "refused": {}}

    def test_partner_is_heard_of_when_something_of_its_topic_is_taken(self, door: Door) -> None:
        heard = "SELECT partner_id, heard_at > now() - interval '1 minute' FROM partner_heard"
        door.fill(b"rubbish")
        assert door.run().returncode == 0
        assert door.stage.rows(heard) == []
        door.fill(event(1))
        assert door.run().returncode == 0
        assert door.stage.rows(heard) == [("institute-7", True)]

    def test_aborted_transactions_and_their_markers_are_passed(self, door: Door) -> None:
        producer = Producer({"bootstrap.servers": door.stage.bootstrap, "transactional.id": door.topic})
        producer.init_transactions(30)
        for number, is_kept in enumerate([True, False, True, False]):
            producer.begin_transaction()
            producer.produce(door.topic, json.dumps(event(number)).encode(), f"k{number}", headers=STRUCTURED)
            producer.flush(30)
            (producer.commit_transaction if is_kept else producer.abort_transaction)(30)
        assert json.loads(door.run().stdout) == {"read": 2, "published": 2, "refused": {}}
        assert {one["id"] for one in door.written()} == {"e-0", "e-2"}
        assert door.account() == (8, 2, 0)  # four records and four markers

    @pytest.mark.slow
    @pytest.mark.parametrize("point", ["decided:2", "published:1", "published:3", "committed:2"])
    def test_kill_at_any_point_loses_nothing_and_history_has_each_once(self, door: Door, point: str) -> None:
        door.fill(*(event(number) for number in range(90)), *(b"rubbish %d" % number for number in range(10)))
        killed = door.run(DUJIANG_FAILPOINT=point)
        assert killed.returncode == -signal.SIGKILL
        assert door.run().returncode == 0
        written = [one["id"] for one in door.written()]
        assert set(written) == {f"e-{number}" for number in range(90)}
        assert (len(written) > 90) is point.startswith("published")  # only that batch comes again
        assert door.account() == (100, 90, 10)
        door.stage.start("history")
        door.stage.until(lambda: door.kept("/partners/institute-7") + door.kept("/connectors/kafka_topic") >= 100)
        door.stage.drained("history")
        assert (door.kept("/partners/institute-7"), door.kept("/connectors/kafka_topic")) == (90, 10)

    def test_deleted_records_stop_it_until_a_person_lets_it_go_on(self, door: Door) -> None:
        door.fill(*(event(number) for number in range(30)))
        assert door.run().returncode == 0
        door.fill(*(event(f"lost-{number}") for number in range(30)))
        ends = {
            partition: door.stage.rows("SELECT next_offset FROM connector_position WHERE partition = %s", partition)[0][0]
            for partition in range(3)
        }
        cut = [TopicPartition(door.topic, partition, end + 1) for partition, end in ends.items()]
        for future in door.admin.delete_records(cut).values():
            future.result(30)
        stopped = door.run()
        assert (stopped.returncode, stopped.stdout) == (1, "")
        assert "the records to read next are not there" in stopped.stderr
        assert "--skip-lost" in stopped.stderr
        assert json.loads(door.run("--skip-lost").stdout)["published"] == 27

    def test_change_of_rights_holds_for_what_comes_next(self, door: Door) -> None:
        door.fill(event(1))
        door.run()
        door.stage.rows("UPDATE partner SET scopes = '{subscribe:*}' RETURNING 1")
        door.fill(event(2))
        assert json.loads(door.run().stdout)["refused"] == {"type_not_granted": 1}

    def test_partner_that_is_not_registered_is_taken_nothing_from(self, door: Door) -> None:
        door.fill(event(1))
        said = door.run(DUJIANG_CONNECTORS__KAFKA_TOPIC__PARTNER="nobody")
        assert said.returncode == 1
        assert "no partner 'nobody' is registered" in said.stderr
        assert door.written() == []

    def test_missing_settings_are_named(self, door: Door) -> None:
        said = door.run(DUJIANG_CONNECTORS__KAFKA_TOPIC__TOPIC="")
        assert (said.returncode, said.stdout) == (2, "")
        assert "connectors.kafka_topic.topic" in said.stderr

    def test_example_with_kafka_python_comes_through(self, door: Door) -> None:
        environment = {
            "BOOTSTRAP": door.stage.bootstrap,
            "TOPIC": door.topic,
            "PARTNER": "institute-7",
            "PATH": os.environ["PATH"],
        }
        example = [sys.executable, ROOT / "clients" / "examples" / "publish_kafka.py"]
        done = subprocess.run(example, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{door.topic} ")
        assert door.run().returncode == 0
        assert [(one["id"], one["data"]["title"]) for one in door.written()] == [("kafka-1", "静音水泵")]

    def test_one_that_goes_on_tells_how_far_it_is_and_what_it_waits_for(self, door: Door) -> None:
        door.fill(*(event(number) for number in range(30)), b"rubbish")
        with door.running() as url:
            door.stage.until(lambda: told(url)[1].get("dujiang_connector_published_records_total") == 30)
            door.stage.until(lambda: told(url)[1].get("dujiang_connector_lag_records") == 0)
            ready, figures = told(url)
            assert ready == (200, {"ready": True, "fault": None})
            assert figures["dujiang_connector_refused_records_total"] == 1
            assert 0 <= time.time() - figures["dujiang_connector_last_carried_timestamp_seconds"] < 60

    def test_one_that_goes_on_tells_how_old_what_it_took_was(self, door: Door) -> None:
        hour_ago, week_ago = (
            (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ") for hours in (1, 7 * 24)
        )
        refused = event(4, data={}, time=week_ago)
        door.fill(event(1, time=hour_ago), event(2, time=hour_ago), event(3, time=week_ago), refused)
        with door.running() as url:
            door.stage.until(lambda: told(url)[1].get("dujiang_connector_event_age_seconds_count") == 3)
            with urlopen(f"{url}/metrics", timeout=10) as answered:  # noqa: S310
                families = list(text_string_to_metric_families(answered.read().decode()))
        name = "dujiang_connector_event_age_seconds"
        samples = [sample for family in families for sample in family.samples if sample.name == f"{name}_bucket"]
        assert {(sample.labels["partner"], sample.labels["topic"]) for sample in samples} == {("institute-7", door.topic)}
        within = {float(sample.labels["le"]): sample.value for sample in samples}
        assert [within[le] for le in (600, 6 * 3600, 86_400, 30 * 86_400)] == [0, 2, 2, 3]

    def test_one_that_waits_says_for_what(self, door: Door) -> None:
        door.fill(event(1))
        with door.running(DUJIANG_CONNECTORS__KAFKA_TOPIC__PARTNER="nobody") as url:
            door.stage.until(lambda: told(url)[1].get("dujiang_connector_faults_total", 0) > 0)
            ready, figures = told(url)
            assert (ready[0], ready[1]["ready"]) == (503, False)
            assert "no partner 'nobody' is registered" in ready[1]["fault"]
            assert figures["dujiang_connector_lag_records"] == 1
            assert figures["dujiang_connector_published_records_total"] == 0
            assert "dujiang_connector_event_age_seconds_count" in figures  # and 0: a rate sees the first batch, too


def told(url: str) -> tuple[tuple[int, Any], dict[str, float]]:
    """What health says, and the figures by name, whatever their labels; nothing until somebody listens."""
    try:
        with urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
            families = text_string_to_metric_families(answer.read().decode())
        figures: dict[str, float] = defaultdict(float)
        for sample in (sample for family in families for sample in family.samples):
            figures[sample.name] += sample.value
        try:
            with urlopen(f"{url}/health/ready", timeout=10) as answer:  # noqa: S310
                return (answer.status, json.load(answer)), figures
        except HTTPError as error:
            return (error.code, json.load(error)), figures
    except URLError:
        return (0, None), {}
