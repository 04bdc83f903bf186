"""A Kafka Streams application for the stateful part: one state a project in RocksDB with its changelog, no SQL."""

import json
import os
from pathlib import Path

from benchmarks.harness import create_topics
from benchmarks.peers.gauges import Gauge, GroupGauge
from benchmarks.peers.jvm import LOGGING, class_path, compiled, java
from benchmarks.peers.peer import WORKERS, Peer, Place, Program
from benchmarks.peers.traffic import Final, latest, state_topic
from dujiang.embedded.jars import KAFKA_VERSION

COORDINATES = (f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}", LOGGING)
SOURCE = Path(__file__).parent / "streams" / "ProjectStatus.java"


def _jars(cache: Path) -> str:
    return class_path(cache, f"streams-{KAFKA_VERSION}", COORDINATES)


def _prepare(cache: Path) -> None:
    compiled(cache, SOURCE, _jars(cache))


def _output(place: Place) -> str:
    return f"{place.group}.state"


def _programs(place: Place) -> list[Program]:
    bench = place.load.at
    output = _output(place)
    create_topics(bench, (state_topic(output.removeprefix(f"{bench.prefix}.")),))
    jars = _jars(place.cache)
    classes = os.pathsep.join((str(compiled(place.cache, SOURCE, jars)), jars))
    arguments = [bench.bootstrap, place.group, place.load.topic, output, str(place.folder / "state"), str(WORKERS)]
    return [Program(java(classes, "ProjectStatus", arguments, heap="1g", scratch=place.folder))]


def _gauge(place: Place) -> Gauge:
    return GroupGauge(place.load, place.group)


def _finals(place: Place) -> dict[str, Final]:
    def decode(key: bytes, value: bytes) -> tuple[str, Final]:
        state = json.loads(value)
        return key.decode(), Final(state["version"], state["amount"], state["disbursed"])

    return latest(place.load.at.bootstrap, _output(place), decode)


STREAMS = Peer(
    "streams",
    f"Kafka Streams {KAFKA_VERSION}, {WORKERS} threads, RocksDB with changelog, exactly_once_v2, states to a compacted topic",
    "no table in SQL (exactly once ends at Kafka), a fold instead of the rules, no validation, no quarantine (a bad event ends"
    " it), no derived events",
    _programs,
    events_max=400_000,
    tables="",
    prepare=_prepare,
    gauge=_gauge,
    finals=_finals,
    compared=("version", "amount", "disbursed"),
)
