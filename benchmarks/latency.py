"""Delay at a steady rate: produced -> committed, -> derived event visible to a consumer, and -> webhook received.

  python -m benchmarks.latency                     1,000, 5,000, 10,000 and 20,000 events/s, 20 s each after the warm-up,
                                                   three times by turns (some half an hour)
  python -m benchmarks.latency --rates 5000 --seconds 10 --workers 1

Dujiang as it is run, a worker process a core, unless told otherwise. A separate process produces at the rate; the clock starts
at its produce call and ends after COMMIT in the worker, or when a consumer of the state topic has the derived event. The first
twenty seconds at the rate are warm-up: a broker that was just started compiles its code then, which takes half a core.
CPU is that of the whole run.

Webhooks are measured by themselves, without the worker, which would share the cores: one subscription whose filter passes one
event in ten, one in a hundred above 5,000/s, so that the delay is the way's and no queue's. There the clock ends when the
receiver has the whole call.
"""

import argparse
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from confluent_kafka import Consumer, Producer

from benchmarks import deliveries, report
from benchmarks.harness import CORES, ROOT, Bench, Cpu, bench, cpu, create_topics, machine, peak_mib, processes, say, schema
from benchmarks.traffic import status_events
from schemas.topics import FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE

RATES = [1_000, 5_000, 10_000, 20_000]  # events/s
WARM_UP_S = 20
TICK_S = 0.005
QUIET_S_MAX = 60.0


@dataclass(frozen=True)
class Delays:
    """One rate. Delays in milliseconds."""

    subject: str
    rate: int
    workers: int
    seconds: int
    events: int
    p50: float
    p95: float
    p99: float
    p999: float
    worst: float
    worker_us: float
    database_us: float
    broker_us: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", nargs="+", type=int, default=RATES)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=CORES)
    parser.add_argument("--produce", nargs=3, metavar=("BOOTSTRAP", "TOPIC", "RATE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.produce:
        _produce(arguments.produce[0], arguments.produce[1], int(arguments.produce[2]), arguments.seconds)
        return
    rows: list[Delays] = []
    with bench() as at:
        for rate in arguments.rates * arguments.runs:
            rows += _measure(at, rate, arguments.seconds + WARM_UP_S, arguments.workers)
            rows.append(_measure_webhooks(at, rate, arguments.seconds + WARM_UP_S))
    for row in rows:
        print(
            f"{row.subject:22} {row.rate:6,}/s {row.workers} worker(s)  p50 {row.p50:.0f}  p95 {row.p95:.0f}  p99 {row.p99:.0f}"
            f"  p99.9 {row.p999:.0f}  max {row.worst:.0f} ms"
            f"  CPU us/event worker {row.worker_us:.1f} database {row.database_us:.1f} broker {row.broker_us:.1f}"
        )
    is_whole = report.is_whole(arguments, parser.parse_args([]))
    report.write(
        "latency", machine(), [asdict(row) for row in rows], by=("subject", "rate", "workers", "seconds"), is_whole=is_whole
    )


def _measure(at: Bench, rate: int, seconds: int, workers: int) -> list[Delays]:
    at = Bench(at.bootstrap, at.dsn, at.broker_pid, at.database_pid, f"{at.prefix[:12]}.{secrets.token_hex(2)}")
    create_topics(at, (PROJECT_EVENT, PROJECT_STATE, FINDING_EVENT))
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="dujiang-bench-")))
        dsn = stack.enter_context(schema(at))
        delays = [home / f"delays-{number}.json" for number in range(workers)]
        command = ["benchmarks.worker", "--bootstrap", at.bootstrap, "--dsn", dsn, "--prefix", at.prefix, "--group", at.prefix]
        commands = [[*command, "--parts", "projects", "--delays", str(path)] for path in delays]
        with processes(commands, one_a_core=True) as started:
            pids = [worker.pid for worker in started]
            watcher = _Watcher(at)
            time.sleep(5)  # the worker's start is not what is measured
            before = cpu(at, pids)
            topic = at.topic(PROJECT_EVENT.name)
            _run_producer(at, topic, rate, seconds)
            time.sleep(2)
            used = cpu(at, pids).minus(before)
            peak = max(map(peak_mib, pids))
            derived = watcher.stop()
        committed = [(record_s, delay) for path in delays for record_s, delay in json.loads(path.read_text())]
        count = rate * seconds
        say(f"{rate:,}/s: {len(committed):,} of {count:,} committed, {len(derived):,} derived")
        load = (rate, workers, seconds)
        made = (used.us(count), peak)
        since = min(record_s for record_s, _ in committed) + WARM_UP_S
        return [
            _delays("produced -> committed", load, [delay for at_s, delay in committed if at_s >= since], made),
            _delays("produced -> derived", load, [delay for at_s, delay in derived if at_s >= since], made),
        ]


def _run_producer(at: Bench, topic: str, rate: int, seconds: int) -> None:
    command = [sys.executable, "-m", "benchmarks.latency", "--produce", at.bootstrap, topic, str(rate)]
    subprocess.run([*command, "--seconds", str(seconds)], cwd=ROOT, check=True)


def _measure_webhooks(at: Bench, rate: int, seconds: int) -> Delays:
    at = Bench(at.bootstrap, at.dsn, at.broker_pid, at.database_pid, f"{at.prefix[:12]}.{secrets.token_hex(2)}")
    create_topics(at, (PROJECT_EVENT,), partitions=deliveries.PARTITIONS)
    topic, (ending, share) = at.topic(PROJECT_EVENT.name), ("0", 10) if rate <= 5_000 else ("00", 100)
    with deliveries.mailbox() as port, schema(at) as dsn:
        deliveries.subscribe(dsn, topic, port, 1, filters=[{"suffix": {"subject": ending}}])
        command = ["benchmarks.postman", "--bootstrap", at.bootstrap, "--dsn", dsn, "--topic", topic, "--port", str(port)]
        with processes([command]) as (postman,):
            time.sleep(5)
            before = cpu(at, [postman.pid])
            _run_producer(at, topic, rate, seconds)
            _wait_quiet(port)
            used = cpu(at, [postman.pid]).minus(before)
            peak = peak_mib(postman.pid)
        arrivals = deliveries.asked(port, "GET", "arrivals")
    produced = _produced(at, topic)
    wanted = {name for name, (key, _) in produced.items() if key.endswith(ending)}
    if arrivals.keys() != wanted:
        raise RuntimeError(
            f"{len(wanted - arrivals.keys()):,} of {len(wanted):,} webhooks did not arrive,"
            f" {len(arrivals.keys() - wanted):,} came that nobody asked for"
        )
    since = min(at_s for _, at_s in produced.values()) + WARM_UP_S
    found = [at_s - produced[name][1] for name, at_s in arrivals.items() if produced[name][1] >= since]
    say(f"{rate:,}/s: {len(arrivals):,} of {len(produced):,} went out as webhooks")
    made = (used.us(len(arrivals)), peak)
    return _delays(f"produced -> webhook, 1 in {share}", (rate, 1, seconds), found, made)


def _wait_quiet(port: int) -> None:
    """Until nothing more comes to the mailbox, or it does not end."""
    end, seen = time.monotonic() + QUIET_S_MAX, -1
    while time.monotonic() < end and (count := deliveries.asked(port, "GET")["distinct"]) != seen:
        seen = count
        time.sleep(3)


def _delays(subject: str, load: tuple[int, int, int], delays_s: Sequence[float], made: tuple[Cpu, float]) -> Delays:
    ordered = sorted(delays_s)
    us, peak = made

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1_000, 1)

    return Delays(
        subject,
        *load,
        len(ordered),
        at(0.5),
        at(0.95),
        at(0.99),
        at(0.999),
        at(1.0),
        us.worker,
        us.database,
        us.broker,
        peak,
    )


def _produce(bootstrap: str, topic: str, rate: int, seconds: int) -> None:
    """Evenly in ticks; the record time is the produce call's."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True, "linger.ms": 5}
    )
    events = list(status_events(rate * seconds, max(1, rate * seconds // 8)))
    headers = [("content-type", b"application/cloudevents+json")]
    began = time.perf_counter()
    for number, event in enumerate(events):
        while time.perf_counter() - began < number / rate:
            producer.poll(0)
            time.sleep(TICK_S / 5)
        producer.produce(topic, event.value, event.key, headers=headers, timestamp=int(time.time() * 1000))
        if number % 50 == 0:
            producer.poll(0)
    producer.flush()


class _Watcher:
    """A consumer of the state topic: an agency that wants to know. Knows when the cause was produced by its record time."""

    def __init__(self, at: Bench) -> None:
        self._stop = Event()
        self._seen: list[tuple[str, float]] = []
        self._causes: dict[str, float] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": at.bootstrap,
                "group.id": f"{at.prefix}-watch",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,  # an answer comes with the first record; this is for when there is none
            }
        )
        self._consumer.subscribe([at.topic(PROJECT_STATE.name)])
        self._event_topic = at.topic(PROJECT_EVENT.name)
        self._at = at
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            messages = self._consumer.consume(1_000, 0.01)
            now = time.time()
            for message in messages:
                value = message.value()
                if message.error() is None and value is not None:
                    begin = value.index(b'"causationid":"') + 15
                    self._seen.append((value[begin : value.index(b'"', begin)].decode(), now))

    def stop(self) -> list[tuple[float, float]]:
        """(produced, delay) in s of every derived event."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()
        produced = _produced(self._at, self._event_topic)
        return [(produced[cause][1], seen - produced[cause][1]) for cause, seen in self._seen if cause in produced]


def _produced(at: Bench, topic: str) -> dict[str, tuple[str, float]]:
    """Event id to its key (the subject) and record time, read from the log afterwards."""
    consumer = Consumer({"bootstrap.servers": at.bootstrap, "group.id": f"{at.prefix}-read", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: dict[str, tuple[str, float]] = {}
    silent = 0
    while silent < 20:
        messages = consumer.consume(10_000, 0.1)
        silent = 0 if messages else silent + 1
        for message in messages:
            value = message.value()
            if message.error() is None and value is not None:
                begin = value.index(b'"id":"') + 6
                name, key = value[begin : value.index(b'"', begin)].decode(), message.key() or b""
                found[name] = (key.decode(), message.timestamp()[1] / 1000)
    consumer.close()
    return found


if __name__ == "__main__":
    main()
