"""Records that can never work: each in quarantine with its reason and place, the good ones around it applied in order."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer

from engine.kafka import partition_of
from schemas.topics import ALERT_EVENT, PROJECT_EVENT, RECORD_BYTES_MAX
from tests.engine import oracle, traffic
from tests.engine.workers import command

pytestmark = pytest.mark.services
KEY = "POISON-1"
STRUCTURED = [("content-type", b"application/cloudevents+json")]
HOME = partition_of(KEY.encode(), PROJECT_EVENT.partitions)


def _event(**changes: Any) -> bytes:
    event = json.loads(traffic.event(KEY, "e").value or b"") | changes
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


@dataclass(frozen=True)
class Poison:
    """A bad record and what is to be said of it."""

    reason: str
    value: bytes | None
    pointer: str | None = None
    headers: Any = None
    partition: int = HOME


POISONS = {
    "bad JSON": Poison("invalid_json", b'{"specversion":"1.0",'),
    "no object": Poison("not_an_object", b"[1]"),
    "wrong type of a field": Poison(
        "data_invalid", _event(data={"call_id": "C", "title": 7, "lead": "L", "budget": 1}), "/data/title"
    ),
    "missing field": Poison("data_invalid", _event(data={"call_id": "C", "title": "T", "lead": "L"}), "/data/budget"),
    "five megabytes": Poison("too_large", _event(data={"call_id": "C", "title": "x" * 5_000_000, "lead": "L", "budget": 1})),
    "deep nesting": Poison("too_deep", _event().replace(b'"budget": 1', b'"budget": ' + b"[" * 5_000 + b"]" * 5_000)),
    "NUL in a text": Poison(
        "data_invalid", _event(data={"call_id": "C", "title": "a\0b", "lead": "L", "budget": 1}), "/data/title"
    ),
    "NUL in the subject": Poison("forbidden_character", _event(subject="a\0b"), "/subject"),
    "invalid UTF-8": Poison("invalid_utf8", _event().replace(b'"T"', b'"\xff"')),
    "huge number": Poison("data_invalid", _event().replace(b'"budget": 1', b'"budget": ' + b"9" * 400), "/data/budget"),
    "number of 5,000 digits": Poison("number_too_long", _event().replace(b'"budget": 1', b'"budget": ' + b"9" * 5_000)),
    "number that overflows": Poison("not_finite", _event().replace(b'"budget": 1', b'"budget": 1e999')),
    "unknown type": Poison("type_unknown", _event(type="gov.stiib.research.project.sold.v1"), "/type"),
    "unknown version": Poison("type_unknown", _event(type="gov.stiib.research.application.submitted.v9"), "/type"),
    "null value": Poison("tombstone", None),
    "missing subject": Poison("subject_missing", _event(subject=None), "/subject"),
    "missing time": Poison("time_missing", _event(time=None), "/time"),
    "type of another topic": Poison(
        "topic_wrong", _event(type="gov.stiib.infra.alert.acknowledged.v1", data={"by": "x"}), "/type"
    ),
    "wrong partition": Poison("misrouted", _event(), "/subject", partition=(HOME + 1) % PROJECT_EVENT.partitions),
    "a timer of a stranger": Poison(
        "type_reserved", _event(type="gov.stiib.platform.timer.fired.v1", data={"step": "projects"}), "/type"
    ),
    "no headers at all": Poison("missing_attribute", _event(), headers=[]),
    "header that is not UTF-8": Poison(
        "header_encoding", b"x", headers=[("content-type", b"application/json"), ("ce_id", b"\xff")]
    ),
}


class _Name(str):
    """A header's name that goes out as bytes which are no text."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"\xff"


def test_poison_goes_to_quarantine_whole_and_the_rest_is_applied_in_order(stage: Any) -> None:
    producer = Producer({"bootstrap.servers": stage.bootstrap, "message.max.bytes": RECORD_BYTES_MAX, "linger.ms": 50})
    course = [message.value or b"" for message in traffic.projects(51, 600).messages if message.key == b"P-000007"]
    good = [value.replace(b"P-000007", KEY.encode()) for value in course]
    assert len(good) >= 5
    sent: dict[tuple[int, int], tuple[str, Poison]] = {}

    def note(name: str, poison: Poison) -> Any:
        return lambda _, record: sent.__setitem__((record.partition(), record.offset()), (name, poison))

    for number, (name, poison) in enumerate(POISONS.items()):
        if number < len(good):
            producer.produce(PROJECT_EVENT.name, good[number], KEY, partition=HOME, headers=STRUCTURED)
        headers = STRUCTURED if poison.headers is None else poison.headers
        producer.produce(
            PROJECT_EVENT.name, poison.value, KEY, partition=poison.partition, headers=headers, on_delivery=note(name, poison)
        )
    for value in good[len(POISONS) :]:
        producer.produce(PROJECT_EVENT.name, value, KEY, partition=HOME, headers=STRUCTURED)
    producer.flush()
    stage.start("projects", "history")
    stage.drained("projects", "history")

    rows = stage.rows(
        "SELECT partition, record_offset, topic, record_key, value, reason, pointer, headers, message FROM quarantine"
    )
    found = {(row[0], row[1]): row[2:] for row in rows}
    assert found.keys() == sent.keys()
    for place, (name, poison) in sent.items():
        topic, key, value, reason, pointer, headers, message = found[place]
        assert (name, reason) == (name, poison.reason)
        assert (topic, key, value) == (PROJECT_EVENT.name, KEY.encode(), poison.value)
        assert pointer == poison.pointer or poison.pointer is None, name
        assert len(headers) == len(STRUCTURED if poison.headers is None else poison.headers)
        assert f"{PROJECT_EVENT.name} p{place[0]}@{place[1]}" in message
    account = stage.account("projects")
    assert (account.unaccounted, account.quarantined) == (0, len(POISONS))
    assert oracle.stored(stage, "projects")[KEY].applied >= 4
    oracle.assert_states_of(stage, "projects", [KEY])


def test_a_header_whose_name_is_no_text_is_poison_too(stage: Any) -> None:
    producer = KafkaProducer(bootstrap_servers=stage.bootstrap)
    sent = producer.send(
        PROJECT_EVENT.name, traffic.event(KEY, "a").value, KEY.encode(), headers=[(_Name("x"), b"1")], partition=HOME
    )
    place = sent.get(10)
    producer.close()
    stage.publisher.publish([traffic.event(KEY, "b")])
    stage.start("projects")
    stage.drained("projects")
    assert stage.rows("SELECT partition, record_offset, reason FROM quarantine") == [
        (place.partition, place.offset, "header_encoding")
    ]
    assert oracle.stored(stage, "projects")[KEY].applied == 1


def test_a_repaired_record_is_applied_and_the_row_says_who_and_why(stage: Any, tmp_path: Path) -> None:
    stage.send_raw(PROJECT_EVENT.name, KEY.encode(), _event(id="r", data={"call_id": "C"}))
    stage.start("projects")
    stage.drained("projects")
    ((row_id, state),) = stage.rows("SELECT id, state FROM quarantine")
    assert state == "waiting"
    repaired = tmp_path / "repaired.json"

    repaired.write_bytes(_event(id="r", data={"call_id": "C", "title": 5}))
    refused = command(stage, "quarantine", "replay", str(row_id), "--file", str(repaired))
    assert refused.returncode == 1
    assert "/data/title" in refused.stderr

    repaired.write_bytes(_event(id="r"))
    replayed = command(
        stage, "quarantine", "replay", str(row_id), "--file", str(repaired), "--by", "李雷", "--why", "title was missing"
    )
    assert (replayed.returncode, replayed.stdout) == (0, f"record {row_id} published to {PROJECT_EVENT.name}\n")
    stage.drained("projects")
    assert oracle.stored(stage, "projects")[KEY].applied == 1
    assert stage.rows("SELECT state, settled_by, settled_why FROM quarantine") == [("replayed", "李雷", "title was missing")]
    again = command(stage, "quarantine", "replay", str(row_id), "--file", str(repaired))
    assert again.returncode == 1
    assert stage.account("projects").unaccounted == 0


def test_a_record_of_another_topic_stays_in_quarantine_until_it_is_parked(stage: Any) -> None:
    stage.send_raw(ALERT_EVENT.name, KEY.encode(), _event())
    stage.start("alerts")
    stage.drained("alerts")
    ((row_id, reason),) = stage.rows("SELECT id, reason FROM quarantine")
    assert reason == "topic_wrong"
    assert command(stage, "quarantine", "replay", str(row_id)).returncode == 1
    assert command(stage, "quarantine", "park", str(row_id), "--why", "sent to the right topic since").returncode == 0
    assert stage.rows("SELECT state FROM quarantine") == [("parked",)]
