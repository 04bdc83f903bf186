"""Fixtures: real services for the whole run, a clean stage for each test, the shared data where it is there."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import platformdirs
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from dujiang.database import migrate
from dujiang.embedded.services import Services, up
from dujiang.settings import Kafka
from dujiang.topics import connected
from dujiang.wiring import build_runners
from engine.clock import Clock
from engine.kafka import BatchPublisher, Message
from engine.ledger import Account, accounts
from engine.options import BatchOptions, BreakerOptions, EngineOptions, KafkaOptions, RetryOptions
from engine.runner import Runner
from schemas.catalogue import default_registry
from schemas.cloudevents import json_format, kafka_binding
from schemas.registry import Registry
from schemas.topics import TOPICS

ROOT = Path(__file__).parents[1]
TEMPLATE = "dujiang_template"
NPM_S = 180


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and cases, which a clone does not have."""
    found = Path(os.environ.get("DUJIANG_SHARED") or ROOT.parent / "shared")
    if not (found / "cases").is_dir():
        pytest.skip(f"no shared data at {found}: set DUJIANG_SHARED to its folder")
    return found


@pytest.fixture(scope="session")
def registry() -> Registry:
    return default_registry()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One Kafka and one PostgreSQL for the whole run."""
    home = tmp_path_factory.mktemp("services")
    with up(home, platformdirs.user_cache_path("dujiang"), progress=lambda _: None) as running:
        with connected(running.addresses.bootstrap, Kafka()) as broker:
            broker.create(TOPICS.values(), 1)
        with psycopg.connect(running.postgres.admin_dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE} OWNER dujiang")
        migrate(_with_database(running.addresses.dsn, TEMPLATE))
        yield running


def _with_database(dsn: str, name: str) -> str:
    return dsn.rpartition("/")[0] + f"/{name}"


@pytest.fixture
def database(services: Services) -> Iterator[str]:
    """A fresh, migrated database; its DSN as the owner."""
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(services.postgres.admin_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER dujiang")
    yield _with_database(services.addresses.dsn, name)
    with psycopg.connect(services.postgres.admin_dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Whatever the test finds: leaving Popen's own block waits for the process."""
    try:
        yield
    finally:
        process.kill()


class Stage:
    """Empty topics, an empty database, and the means to run and observe workers on them."""

    def __init__(self, services: Services, dsn: str, registry: Registry) -> None:
        self.services = services
        self.bootstrap = services.addresses.bootstrap
        self.dsn = dsn
        self.registry = registry
        self.group_prefix = f"t-{secrets.token_hex(4)}"
        self.options = EngineOptions(
            kafka=KafkaOptions(
                self.bootstrap, group_prefix=self.group_prefix, session_timeout_ms=6_000, delivery_timeout_ms=60_000
            ),
            dsn=dsn,
            batch=BatchOptions(records_max=1_000, poll_s=0.05),
            breaker=BreakerOptions(),
            retry=RetryOptions(first_s=0.1, last_s=0.5),
            timers_enabled=False,
        )
        self.publisher = BatchPublisher(self.options.kafka)
        self._running: list[tuple[Thread, Event, Runner]] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    # --- in ---

    def send(self, lines: Sequence[bytes]) -> None:
        """Structured events, each to its topic, acknowledged."""
        self.publisher.publish([self.message(line) for line in lines])

    def message(self, line: bytes) -> Message:
        event = json_format.decode(line)
        record = kafka_binding.encode_structured(event, event.subject)
        topic = self.registry.contract_of(event.type).topics[0].name
        return Message(topic, (event.subject or "").encode(), record.value, record.headers)

    def send_raw(self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]] | None = None) -> None:
        """A record as a careless producer would send it."""
        if headers is None:
            headers = [("content-type", b"application/cloudevents+json")]
        self.publisher.publish([Message(topic, key, value, headers)])

    # --- workers in threads ---

    def start(self, *names: str, clock: Clock | None = None, **changes: Any) -> list[Runner]:
        """Runners in threads; `changes` replace fields of the engine's options."""
        metrics = CollectorRegistry()
        runners = build_runners(list(names), replace(self.options, **changes), self.registry, metrics, clock)
        for runner in runners:
            stop = Event()
            thread = Thread(target=runner.run, args=(stop,), daemon=True)
            thread.start()
            self._running.append((thread, stop, runner))
        return runners

    def stop(self) -> None:
        """All runners and processes of this stage."""
        for _, stop, _ in self._running:
            stop.set()
        for thread, _, _ in self._running:
            thread.join(20)
        self._running.clear()
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(10)
        self._processes.clear()

    # --- workers as processes ---

    def worker(self, *steps: str, **settings: str) -> subprocess.Popen[bytes]:
        """A real worker process; `settings` are DUJIANG_ variables without the prefix."""
        arguments = [argument for step in steps for argument in ("--step", step)]
        return self._process("worker", *arguments, **{"worker__http_port": "0", "worker__timers": "false", **settings})

    def gateway(self, port: int, **settings: str) -> subprocess.Popen[bytes]:
        """A real gateway process; `settings` as of `worker`."""
        return self._process("gateway", **{"gateway__port": str(port), **settings})

    def deliverer(self, port: int = 0, **settings: str) -> subprocess.Popen[bytes]:
        """A real deliverer process; `settings` as of `worker`."""
        return self._process("deliver", **{"deliver__http_port": str(port), **settings})

    def console(self, port: int, metrics_port: int, **settings: str) -> subprocess.Popen[bytes]:
        """A real console process; `settings` as of `worker`."""
        return self._process("console", **{"console__port": str(port), "console__http_port": str(metrics_port), **settings})

    def connector(self, partner: str, topic: str, port: int) -> subprocess.Popen[bytes]:
        """A real connector process that carries a topic of this stage's own Kafka, as if it were a partner's."""
        chosen = {"partner": partner, "topic": topic, "bootstrap": self.bootstrap, "http_port": str(port)}
        return self._process(
            "connector", "kafka", **{f"connectors__kafka_topic__{name}": value for name, value in chosen.items()}
        )

    def _process(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
        environment |= {
            "DUJIANG_KAFKA__BOOTSTRAP": self.bootstrap,
            "DUJIANG_DATABASE__DSN": self.dsn,
            "DUJIANG_KAFKA__GROUP_PREFIX": self.group_prefix,
            **{f"DUJIANG_{name.upper()}": value for name, value in settings.items()},
        }
        process = subprocess.Popen([sys.executable, "-m", "dujiang", *arguments], env=environment, cwd=ROOT)
        self._processes.append(process)
        return process

    # --- observed ---

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, options="-c timezone=UTC") as connection:
            return connection.execute(query, values).fetchall()

    def execute(self, query: str, *values: Any) -> None:
        """As somebody else would change the database."""
        with psycopg.connect(self.dsn, options="-c timezone=UTC") as connection:
            connection.execute(query, values)

    def ends(self) -> dict[tuple[str, int], int]:
        with connected(self.bootstrap, Kafka()) as broker:
            return broker.ends(TOPICS)

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """As a consumer of that group does."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 0})
        consumer.commit(offsets=[TopicPartition(*place, offset) for place, offset in offsets.items()], asynchronous=False)
        consumer.close()

    def accounts(self, *steps: str) -> list[Account]:
        ends = self.ends()
        with psycopg.connect(self.dsn) as connection, connection.cursor() as cursor:
            return accounts(cursor, ends, steps)

    def account(self, step: str) -> Account:
        """The sum of a step's accounts over its topics."""
        found = self.accounts(step)
        sums = [sum(values) for values in zip(*(account[2:] for account in found), strict=True)]
        return Account(step, "*", *sums)

    def drained(self, *steps: str, seconds_max: float = 60) -> None:
        """Wait until these steps have begun everywhere and have no lag."""

        def is_drained() -> bool:
            found = self.accounts(*steps)
            return {account.step for account in found} == set(steps) and not any(account.lag for account in found)

        self.until(is_drained, seconds_max, lambda: f"lag: {self.accounts(*steps)}")

    @staticmethod
    def until(holds: Callable[[], bool], seconds_max: float = 30, describe: Callable[[], str] = lambda: "") -> None:
        """Wait for a condition of the real world."""
        end = time.monotonic() + seconds_max
        while not holds():
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds_max} s; {describe()}")
            time.sleep(0.05)


@contextmanager
def _emptied(services: Services, dsn: str) -> Iterator[None]:
    """Logs begin at their present end; a compacted one cannot be cut, so its reader's ledger begins there instead."""
    with connected(services.addresses.bootstrap, Kafka()) as broker:
        ends = broker.ends(TOPICS)
    admin = AdminClient({"bootstrap.servers": services.addresses.bootstrap})
    cut = [TopicPartition(*place, end) for place, end in ends.items() if end and TOPICS[place[0]].cleanup == "delete"]
    for future in admin.delete_records(cut).values() if cut else ():
        future.result(30)
    with psycopg.connect(dsn) as connection:
        for (topic, partition), end in ends.items():
            if TOPICS[topic].cleanup == "compact":
                connection.execute(
                    "INSERT INTO ledger (step, topic, partition, start_offset, next_offset) VALUES ('history', %s, %s, %s, %s)",
                    (topic, partition, end, end),
                )
    yield


@pytest.fixture
def stage(services: Services, database: str, registry: Registry) -> Iterator[Stage]:
    """A clean stage; everything it started ends with the test."""
    with _emptied(services, database):
        made = Stage(services, database, registry)
        yield made
        made.stop()


@pytest.fixture(scope="session")
def npm() -> Callable[[str, str], Path]:
    """A folder whose node_modules holds that package; kept in the user's cache. Skips where it cannot be had."""

    def installed(name: str, version: str) -> Path:
        if shutil.which("node") is None or shutil.which("npm") is None:
            pytest.skip(f"no node or npm on this machine, so {name} cannot be tried")
        folder = platformdirs.user_cache_path("dujiang") / "npm" / f"{name.replace('/', '_')}-{version}"
        if not (folder / "installed").exists():
            folder.mkdir(parents=True, exist_ok=True)
            # No scripts: what a package runs while it is installed is not what we try.
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
            command = ["npm", "install", *options, f"{name}@{version}"]
            try:
                done = subprocess.run(command, capture_output=True, timeout=NPM_S, check=False)
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm did not bring {name}@{version} within {NPM_S} s")
            if done.returncode:
                pytest.skip(f"npm cannot bring {name}@{version}: {done.stderr.decode().strip()[-300:]}")
            (folder / "installed").touch()
        return folder

    return installed
