"""How much the front door accepts: single events and batches of 100 over HTTP, acknowledged by all in-sync replicas.

  python -m benchmarks.gateway --quick   ends with `single=N/s batch=N/s bare_single=N/s ratio=0.NN`
  python -m benchmarks.gateway           three runs of each, medians of the rates; writes results and the page
  python -m benchmarks.gateway --only out
                                         what goes out: webhooks, streams, the way back from an outage (outgoing.py)

Beside it, by turns in the same run, a bare FastAPI endpoint: same server, same producer, nothing but a JSON parse.
`batch` counts events; `ratio` is single / bare_single. At the end every accepted event must stand in the topic.
"""

import argparse
import json
import secrets
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from benchmarks import outgoing, report
from benchmarks.harness import ROOT, Bench, bench, cpu, create_topics, machine, processes, say, wait_open
from benchmarks.load import Load
from dujiang.embedded.ports import free_port
from schemas.topics import PROJECT_EVENT

SUBJECTS = ("dujiang", "bare")
START_S_MAX = 30.0
WARM_UP_S = 1.0


@dataclass(frozen=True)
class Shape:
    """How partners send."""

    name: str
    connections: int
    arguments: tuple[str, ...] = ()


ALONE = Shape("single", 1)
SINGLE = Shape("single", 64)
BATCH = Shape("batch", 8, ("--batch",))


@dataclass(frozen=True)
class Run:
    """One load on one subject. `rate` is events a second; CPU in µs an event."""

    subject: str
    shape: str
    connections: int
    events: int
    rate: float
    p50_ms: float
    p99_ms: float
    door_us: float
    broker_us: float


@dataclass(frozen=True)
class Door:
    """A server process."""

    subject: str
    pid: int
    url: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--only", choices=("in", "out"), help="what is accepted, or what goes out; default: both, with --quick in"
    )
    parser.add_argument("--deliveries", type=int, default=30_000, help="of each load that goes out")
    parser.add_argument("--outage-rate", type=float, default=20.0, help="events a second while one subscriber was away")
    parser.add_argument("--outage-min", type=float, default=30.0, help="for how long it was away")
    arguments = parser.parse_args()
    shapes: tuple[Shape, ...] = (ALONE, SINGLE, BATCH)
    if arguments.quick:
        arguments.seconds, arguments.runs, shapes = 4.0, 2, (SINGLE, BATCH)
    with bench() as at:
        if arguments.only == "out" or not (arguments.only or arguments.quick):
            out = outgoing.measure(
                at,
                arguments.deliveries,
                1 if arguments.quick else arguments.runs,
                arguments.outage_rate,
                round(arguments.outage_min * 60),
            )
            if not arguments.quick:
                report.write("gateway_out", machine(), [asdict(row) for row in out], module="gateway")
        if arguments.only == "out":
            return
        runs = measure(at, shapes, arguments.seconds, arguments.runs)
    if not arguments.quick:
        report.write("gateway", machine(), [asdict(run) for run in runs])
    single, batch, bare = (
        statistics.median(run.rate for run in runs if (run.subject, run.shape, run.connections) == key)
        for key in (
            ("dujiang", SINGLE.name, SINGLE.connections),
            ("dujiang", BATCH.name, BATCH.connections),
            ("bare", SINGLE.name, SINGLE.connections),
        )
    )
    print(f"single={single:.0f}/s batch={batch:.0f}/s bare_single={bare:.0f}/s ratio={single / bare:.2f}")


def measure(at: Bench, shapes: tuple[Shape, ...], seconds: float, count: int) -> list[Run]:
    """All runs, the subjects by turns. Raises RuntimeError when an event was refused, or accepted and lost."""
    create_topics(at, (PROJECT_EVENT,))
    doors = {subject: free_port() for subject in SUBJECTS}
    commands = [_door_command(at, subject, port) for subject, port in doors.items()]
    runs: list[Run] = []
    accepted = 0
    with processes(commands) as started:
        running = [
            Door(subject, process.pid, f"http://127.0.0.1:{port}")
            for (subject, port), process in zip(doors.items(), started, strict=True)
        ]
        for door in running:
            wait_open(int(door.url.rpartition(":")[2]), START_S_MAX)
            accepted += sum(_load(door, shape, WARM_UP_S).events for shape in shapes)
        for _ in range(count):
            for shape in shapes:
                for door in running:
                    run = _measured(at, door, shape, seconds)
                    runs.append(run)
                    accepted += run.events
                    say(
                        f"{run.subject:8}{run.shape:7}{run.connections:3} connections {run.rate:9,.0f}/s"
                        f"  p50 {run.p50_ms:6.1f} ms  p99 {run.p99_ms:6.1f} ms"
                        f"  CPU us/event door {run.door_us:.0f} broker {run.broker_us:.0f}"
                    )
    stored = _records_in(at, at.topic(PROJECT_EVENT.name))
    if stored != accepted:
        raise RuntimeError(f"{accepted:,} events were accepted, {stored:,} stand in the topic")
    return runs


def _door_command(at: Bench, subject: str, port: int) -> list[str]:
    return ["benchmarks.door", "--subject", subject, "--bootstrap", at.bootstrap, "--prefix", at.prefix, "--port", str(port)]


def _measured(at: Bench, door: Door, shape: Shape, seconds: float) -> Run:
    before = cpu(at, [door.pid])
    load = _load(door, shape, seconds)
    us = cpu(at, [door.pid]).minus(before).us(load.events)
    return Run(
        door.subject,
        shape.name,
        shape.connections,
        load.events,
        load.events / load.seconds,
        load.p50_ms,
        load.p99_ms,
        us.worker,
        us.broker,
    )


def _load(door: Door, shape: Shape, seconds: float) -> Load:
    command = [sys.executable, "-m", "benchmarks.load", "--url", door.url, "--run", secrets.token_hex(4), *shape.arguments]
    command += ["--connections", str(shape.connections), "--seconds", str(seconds)]
    told: dict[str, Any] = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    load = Load(**told)
    if load.refused:
        raise RuntimeError(f"{door.subject}: {load.refused} of {load.requests + load.refused} requests were refused")
    return load


def _records_in(at: Bench, topic: str) -> int:
    consumer = KafkaConsumer(bootstrap_servers=at.bootstrap)
    try:
        places = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic) or ()]
        return sum(consumer.end_offsets(places).values())
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
