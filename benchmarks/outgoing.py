"""What goes out of the front door: webhooks and streams to 1 and to 100 subscribers, and the way back from an outage.

Run by `python -m benchmarks.gateway`. Beside them in the same run what is least for the same: aiohttp's client alone for
webhooks, a FastAPI endpoint that streams frames made beforehand for SSE. The outage is simulated: the log already holds what so
many minutes at so many events a second make, one subscriber stands at its end and one at its beginning, and the events go on at
that rate. Measured is until the one that was away has everything, and what the other had to wait meanwhile.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from benchmarks import deliveries
from benchmarks.harness import ROOT, Bench, cpu, create_topics, load_topic, processes, say, schema, wait_open
from benchmarks.streams import OWNERS, bare_path
from dujiang.embedded.ports import free_port
from schemas.topics import CALL_STATE

SUBSCRIBERS = (1, 100)
START_S_MAX = 120.0
DRAIN_S_MAX = 900.0


@dataclass(frozen=True)
class Out:
    """One load. `rate` is deliveries a second; CPU in µs a delivery; delays are of the subscriber that was not away."""

    what: str
    subscribers: int
    deliveries: int
    seconds: float
    rate: float
    sender_us: float | None = None
    database_us: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


def measure(at: Bench, count: int, runs: int, outage_rate: float, outage_s: int) -> list[Out]:
    """All rows. Raises RuntimeError when a delivery is missing or out of order."""
    rows: list[Out] = []
    create_topics(at, [*deliveries.LOGS.values(), CALL_STATE], partitions=deliveries.PARTITIONS)
    for subscribers, topic in deliveries.LOGS.items():
        load_topic(at, at.topic(topic.name), deliveries.events(count // subscribers))
    with deliveries.mailbox() as port:
        for _ in range(runs):
            rate = deliveries.bare(at, port, count)
            rows.append(Out("webhooks, client alone", 1, count, count / rate, rate))
            for subscribers in SUBSCRIBERS:
                run = deliveries.measured(at, port, subscribers, count // subscribers)
                rows.append(
                    Out("webhooks", subscribers, run.deliveries, run.seconds, run.rate, run.deliverer_us, run.database_us)
                )
            rows += _streams(at, count)
            for row in rows[-6:]:
                say(f"{row.what:24}{row.subscribers:4} subscribers {row.rate:9,.0f}/s")
        rows.append(_outage(at, port, outage_rate, outage_s))
    row = rows[-1]
    print(f"{row.what}: {row.deliveries:,} in {row.seconds:.0f} s, {row.rate:,.0f}/s; the other waits p99 {row.p99_ms} ms")
    return rows


def _streams(at: Bench, count: int) -> list[Out]:
    rows = []
    port = free_port()
    with schema(at) as dsn:
        command = ["benchmarks.streams", "--bootstrap", at.bootstrap, "--dsn", dsn, "--prefix", at.prefix, "--port", str(port)]
        with processes([command]) as [process]:
            wait_open(port, START_S_MAX)
            for subscribers in SUBSCRIBERS:
                each = count // subscribers
                made = [
                    (str(one), number % OWNERS)
                    for number, one in enumerate(
                        _stream_subscriptions(dsn, at.topic(deliveries.LOGS[subscribers].name), subscribers)
                    )
                ]
                before = cpu(at, [process.pid])
                told = _listen(port, [(f"/subscriptions/{one}/stream", owner) for one, owner in made], each)
                wanted = each * subscribers
                us = cpu(at, [process.pid]).minus(before).us(wanted)
                rows.append(
                    Out("streams", subscribers, wanted, told["seconds"], wanted / told["seconds"], us.worker, us.database)
                )
                told = _listen(port, [(bare_path(each), number % OWNERS) for number in range(subscribers)], each)
                rows.append(Out("streams, endpoint alone", subscribers, wanted, told["seconds"], wanted / told["seconds"]))
    return rows


def _stream_subscriptions(dsn: str, topic: str, count: int) -> list[Any]:
    return deliveries.subscribe(dsn, topic, 0, count, protocol="SSE", sink=None)


def _listen(port: int, asked: list[tuple[str, int]], each: int) -> dict[str, Any]:
    """Until every listener has so many events. Raises CalledProcessError."""
    command = [sys.executable, "-m", "benchmarks.listeners", "--port", str(port), "--events", str(each)]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(asked).encode(), stdout=subprocess.PIPE, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _outage(at: Bench, port: int, rate: float, seconds: int) -> Out:
    topic, missed = at.topic(CALL_STATE.name), round(rate * seconds)
    load_topic(at, topic, deliveries.events(missed))
    deliveries.asked(port, "DELETE")
    with schema(at) as dsn:
        deliveries.subscribe(dsn, topic, port, 2, [_ends(at, topic), dict.fromkeys(range(deliveries.PARTITIONS), 0)])
        postman = ["benchmarks.postman", "--bootstrap", at.bootstrap, "--dsn", dsn, "--topic", topic, "--port", str(port)]
        live = ["benchmarks.listeners", "--produce", at.bootstrap, topic, str(rate)]
        with processes([postman, live]) as [deliverer, _]:
            before = cpu(at, [deliverer.pid])
            end, told = time.monotonic() + DRAIN_S_MAX, deliveries.asked(port, "GET")
            # Caught up: it has what was missed, and of what came meanwhile as much as the other.
            while told["paths"].get("/1", 0) < missed + told["paths"].get("/0", 0) - rate:
                if time.monotonic() > end or deliverer.poll() is not None:
                    raise RuntimeError(f"{told['paths']} of {missed:,} came back within {DRAIN_S_MAX:.0f} s")
                time.sleep(0.2)
                told = deliveries.asked(port, "GET")
            used = cpu(at, [deliverer.pid]).minus(before)
    if told["disorder"]:
        raise RuntimeError(f"{told['disorder']} deliveries out of order after the outage")
    took_s, delays, done = told["last_s"] - told["first_s"], told["delays_ms"].get("/0", {}), sum(told["paths"].values())
    name = f"drain after {seconds / 60:g} min away at {rate:g}/s"
    us = used.us(done)
    made = (us.worker, us.database)
    return Out(name, 2, told["paths"]["/1"], took_s, told["paths"]["/1"] / took_s, *made, delays.get("p50"), delays.get("p99"))


def _ends(at: Bench, topic: str) -> dict[int, int]:
    consumer = KafkaConsumer(bootstrap_servers=at.bootstrap)
    try:
        places = [TopicPartition(topic, partition) for partition in range(deliveries.PARTITIONS)]
        return {place.partition: end for place, end in consumer.end_offsets(places).items()}
    finally:
        consumer.close()
