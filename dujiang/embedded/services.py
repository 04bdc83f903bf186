"""Both embedded services of one data folder, under one lock, with their addresses in a file for other commands."""

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import urlsplit

from dujiang.embedded.errors import AlreadyRunningError
from dujiang.embedded.files import try_lock, write_whole
from dujiang.embedded.jars import Progress, class_path
from dujiang.embedded.kafka import HEAP_DEFAULT, KafkaServer, start_kafka
from dujiang.embedded.ports import answers
from dujiang.embedded.postgres import PostgresServer, start_postgres
from dujiang.embedded.processes import Identity, can_see_processes, identity_of

ADDRESSES_FILE = "addresses.json"
LOCK_FILE = "up.lock"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where running services answer. `dsn` contains the password, so the file is readable by its owner only."""

    bootstrap: str
    dsn: str = field(repr=False)
    started_at: datetime
    up: Identity  # the process that started them
    kafka: Identity
    postgres: Identity


def up(
    data_dir: Path,
    cache_dir: Path,
    *,
    progress: Progress = print,
    kafka_port: int = 0,
    postgres_port: int = 0,
    kafka_heap: str = HEAP_DEFAULT,
    die_with_parent: bool = True,
) -> "Services":
    """Start Kafka and PostgreSQL with their data in data_dir and return once both answer.

    Goes on with the data and the ports of the last start. Needs the network only at the very first start, for the jars
    that cache_dir then keeps. Raises AlreadyRunningError where another process has this data_dir, StartError or
    DownloadError otherwise; whatever was started is ended before.
    """
    data_dir = data_dir.absolute()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _take(data_dir)
    try:
        class_path(cache_dir, progress=progress)  # before the threads, where Ctrl-C ends it at once
        kafka, postgres = _start_both(
            lambda: start_kafka(
                data_dir / "kafka",
                cache_dir,
                port=kafka_port,
                heap=kafka_heap,
                die_with_parent=die_with_parent,
                progress=progress,
            ),
            lambda: start_postgres(
                data_dir / "postgres", port=postgres_port, die_with_parent=die_with_parent, progress=progress
            ),
        )
        return Services(data_dir, lock, kafka, postgres)
    except BaseException:
        lock.close()
        raise


def find_running(data_dir: Path) -> Addresses | None:
    """The services of this data_dir, where both run now; None otherwise, also after a crash that left the file."""
    try:
        record = json.loads((data_dir / ADDRESSES_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    addresses = _addresses(record)
    if not (addresses.kafka.is_alive() and addresses.postgres.is_alive()):
        return None
    if not can_see_processes() and not _both_answer(addresses):  # a pid alone may be anybody's
        return None
    return addresses


class Services:
    """Both servers, running. Use as a context manager, or call `stop`."""

    def __init__(self, data_dir: Path, lock: IO[str], kafka: KafkaServer, postgres: PostgresServer) -> None:
        self.kafka = kafka
        self.postgres = postgres
        self._file = data_dir / ADDRESSES_FILE
        self._lock = lock
        self._started_at = datetime.now(UTC)
        self._writing = threading.Lock()
        self._write_addresses()
        kafka.on_started = postgres.on_started = self._write_addresses  # a restart changes the pid

    @property
    def addresses(self) -> Addresses:
        """As of now. A server that is stopped for the moment has Identity(0, 0), which is nobody's."""
        nobody = Identity(0, 0)
        return Addresses(
            bootstrap=self.kafka.bootstrap,
            dsn=self.postgres.dsn,
            started_at=self._started_at,
            up=identity_of(os.getpid()) or nobody,
            kafka=self.kafka.identity or nobody,
            postgres=self.postgres.identity or nobody,
        )

    def stop(self) -> None:
        """Stop both, properly; another `up` may have the data_dir then. Calling it again does nothing."""
        self._file.unlink(missing_ok=True)
        try:
            _both(self.kafka.stop, self.postgres.stop)
        finally:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _write_addresses(self) -> None:
        with self._writing:
            record = asdict(self.addresses) | {"started_at": self._started_at.isoformat()}
            write_whole(self._file, json.dumps(record, indent=1), mode=0o600)


def _take(data_dir: Path) -> IO[str]:
    lock = try_lock(data_dir / LOCK_FILE)
    if lock is None:
        pid = _holder(data_dir / LOCK_FILE)
        raise AlreadyRunningError(
            f"{data_dir}: already running, pid {pid or 'unknown'}; use it, or stop it (kill {pid or 'PID'})", pid
        )
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _holder(lock_file: Path) -> int | None:
    text = lock_file.read_text().strip()
    return int(text) if text.isdigit() else None


def _start_both(kafka: Callable[[], KafkaServer], postgres: Callable[[], PostgresServer]) -> tuple[KafkaServer, PostgresServer]:
    """Both at once; where one fails, or Ctrl-C comes, the other is ended too."""
    with ThreadPoolExecutor(2) as pool:
        started = pool.submit(kafka), pool.submit(postgres)
        try:
            return started[0].result(), started[1].result()
        except BaseException:
            for future in started:
                _end_started(future)
            raise


def _end_started(future: "Future[KafkaServer] | Future[PostgresServer]") -> None:
    with suppress(Exception):  # its own failure to start; the first one is being raised
        future.result().stop()


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(first), pool.submit(second)]:
            future.result()


def _addresses(record: dict[str, object]) -> Addresses:
    identities = {name: Identity(**record[name]) for name in ("up", "kafka", "postgres")}  # type: ignore[arg-type]
    return Addresses(
        bootstrap=str(record["bootstrap"]),
        dsn=str(record["dsn"]),
        started_at=datetime.fromisoformat(str(record["started_at"])),
        **identities,
    )


def _both_answer(addresses: Addresses) -> bool:
    host, port = addresses.bootstrap.rsplit(":", 1)
    database = urlsplit(addresses.dsn)
    return answers(host, int(port)) and answers(database.hostname or host, database.port or 0)
