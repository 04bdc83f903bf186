"""How many webhooks a deliverer gets acknowledged: to one subscriber, and to a hundred, all on this machine.

  python -m benchmarks.deliveries --quick   ends with `one=N/s hundred=N/s bare=N/s ratio=0.NN`
  python -m benchmarks.deliveries           three runs of each; writes results and the page

The events stand in the topic before the deliverer starts; counted is from its first call to its last. Signed, numbered,
traced in PostgreSQL. `bare` is aiohttp's client alone with as many calls at once; `ratio` is one / bare. The receiver checks
that nothing is missing and that no key is out of order.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg

from benchmarks import report
from benchmarks.harness import ROOT, Bench, bench, cpu, create_topics, load_topic, machine, peak_mib, processes, say, schema
from benchmarks.streams import OWNERS, owner_name
from benchmarks.traffic import Event
from dujiang.embedded.ports import free_port
from engine.subscriptions import register, secrets
from schemas.subscriptions import Basis, Order, Place, Subscription, begun
from schemas.topics import CALL_EVENT, FINDING_EVENT, Topic

LOGS: dict[int, Topic] = {1: CALL_EVENT, 100: FINDING_EVENT}  # subscribers: a log so long that deliveries are as many
PARTITIONS = 8
KEYS = 200
SECONDS_MAX = 120.0
_BASIS = Basis("bench", "bench", "bench")


@dataclass(frozen=True)
class Run:
    """One delivery of all events to all subscribers. `rate` is deliveries a second; CPU in µs a delivery."""

    subscribers: int
    deliveries: int
    seconds: float
    rate: float
    deliverer_us: float
    database_us: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--deliveries", type=int, default=30_000, help="of each run")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.deliveries, arguments.runs = 10_000, 1
    with bench() as at, mailbox() as port:
        create_topics(at, LOGS.values(), partitions=PARTITIONS)
        for subscribers, topic in LOGS.items():
            load_topic(at, at.topic(topic.name), events(arguments.deliveries // subscribers))
        runs, alone_rates = [], []
        for _ in range(arguments.runs):
            alone_rates.append(bare(at, port, arguments.deliveries))
            for subscribers in LOGS:
                runs.append(measured(at, port, subscribers, arguments.deliveries // subscribers))
                say(f"{subscribers:4} subscribers {runs[-1].rate:8,.0f}/s  CPU us a delivery {runs[-1].deliverer_us:.0f}")
    if not arguments.quick:
        report.write("deliveries", machine(), [asdict(run) for run in runs])
    one, hundred = (statistics.median(run.rate for run in runs if run.subscribers == count) for count in LOGS)
    alone = statistics.median(alone_rates)
    print(f"one={one:.0f}/s hundred={hundred:.0f}/s bare={alone:.0f}/s ratio={one / alone:.2f}")


def measured(at: Bench, port: int, subscribers: int, count: int) -> Run:
    """All events of the log to so many subscribers."""
    topic = at.topic(LOGS[subscribers].name)
    wanted = subscribers * count
    asked(port, "DELETE")
    with schema(at) as dsn:
        subscribe(dsn, topic, port, subscribers)
        before = cpu(at, [])
        command = ["benchmarks.postman", "--bootstrap", at.bootstrap, "--dsn", dsn, "--topic", topic, "--port", str(port)]
        with processes([command]) as [process]:
            end = time.monotonic() + SECONDS_MAX
            while (told := asked(port, "GET"))["distinct"] < wanted:
                if time.monotonic() > end or process.poll() is not None:
                    raise RuntimeError(f"{told['distinct']:,} of {wanted:,} deliveries arrived")
                time.sleep(0.2)
            used = cpu(at, [process.pid]).minus(before)
            peak = peak_mib(process.pid)
    if told["disorder"] or told["count"] != wanted:
        raise RuntimeError(f"{told['count'] - wanted} repeats and {told['disorder']} out of order, without any fault")
    seconds, us = told["last_s"] - told["first_s"], used.us(wanted)
    return Run(subscribers, wanted, seconds, wanted / seconds, us.worker, us.database, peak)


def subscribe(
    dsn: str, topic: str, port: int, subscribers: int, positions: Sequence[dict[int, int]] = (), **changes: Any
) -> list[UUID]:
    """Each from its position, else from the beginning, with a filter that every event passes unless `changes` has another."""
    now, ids = datetime.now(UTC), []
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        for number in range(subscribers):
            made = Subscription(
                id=uuid4(),
                owner="-",
                protocol="HTTP",
                status=begun("HTTP", "partner", now),
                created_at=now,
                changed_at=now,
                filters=[{"sql": "subject LIKE 'C-%'"}],
                sink=f"http://127.0.0.1:{port}/{number}",
            )
            made = replace(made, **changes)
            if made.protocol == "SSE":
                made = replace(made, owner=owner_name(number % OWNERS), status=begun("SSE", "partner", now), basis=_BASIS)
            ids.append(made.id)
            starts = positions[number] if positions else dict.fromkeys(range(PARTITIONS), 0)
            register.add(cursor, made, {Place(topic, partition): offset for partition, offset in starts.items()})
            if made.protocol == "HTTP":
                secrets.add(cursor, made.id, "v1", b"s" * 32, None, now, None)
                register.move(cursor, made.id, Order("validate", "validated", "platform"), now)
    return ids


def events(count: int) -> Iterator[Event]:
    """Calls under KEYS subjects."""
    for number in range(count):
        key = f"C-{number % KEYS}"
        data = {"title": "x" * 200, "programme": "p", "opens_at": None, "closes_at": None, "budget": None}
        event = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "/bench",
            "type": "gov.stiib.research.call.announced.v1",
            "subject": key,
            "time": "2026-03-02T08:00:00Z",
            "data": data,
        }
        yield Event(key.encode(), json.dumps(event, separators=(",", ":")).encode())


def bare(at: Bench, port: int, count: int) -> float:
    """Requests a second of the HTTP client alone."""
    command = [sys.executable, "-m", "benchmarks.postman", "--bootstrap", at.bootstrap, "--dsn", "", "--topic", ""]
    command += ["--port", str(port), "--bare", str(count)]
    return float(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


@contextmanager
def mailbox() -> Iterator[int]:
    """Its port."""
    port = free_port()
    with processes([["benchmarks.mailbox", "--port", str(port)]]):
        end = time.monotonic() + 15
        while True:
            try:
                asked(port, "GET")
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                break
        yield port


def asked(port: int, method: str, path: str = "") -> dict[str, Any]:
    """What the mailbox says."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found


if __name__ == "__main__":
    main()
