"""One run of one peer: from the first commit seen to the last, CPU by part, and whether the end is right.

The clock starts when the first committed effect is seen from outside (asked every 5 ms) and stops when all of it is; events of
that first commit do not count. So no start-up counts, of a JVM neither, but its warm-up does, and so does what a second worker
or task takes to join. Where the effect is seen differs:

  floor, dujiang              the ledger, which moves in the transaction of the rows; asked every 20 ms
  connect, quix, faust(-each) the rows: a partition is done when its last event's row is there; asked every 20 ms
  faust-table, streams        the offsets that the group has committed, since there is no table; asked every 100 ms, and no
                              finer than they commit: every 500 ms Faust (set so), every 100 ms Kafka Streams (exactly once)

CPU is what every process of a part used within the clock. Memory is from the start on: the sum of its processes' peaks.
"""

import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.harness import ROOT, Bench, Cpu, cpu, keep_if_allowed, peak_mib, say, schema
from benchmarks.peers.gauges import Gauge
from benchmarks.peers.jvm import clean_environment
from benchmarks.peers.peer import Peer, Place, Program
from benchmarks.peers.traffic import Final, Load
from dujiang.embedded.files import tail
from dujiang.embedded.processes import end, spawn

FIRST_TIMEOUT_S = 90.0
LAST_TIMEOUT_S = 600.0
STOP_TIMEOUT_S = 5.0  # what a peer would still save at its end is not looked at


class UnfinishedError(RuntimeError):
    """A program ended by itself, or did not come to its end in time; the message has the end of its log."""


@dataclass(frozen=True)
class Run:
    """One drain. CPU in microseconds an event; rows_wrong against a replay, missing and needless ones included."""

    peer: str
    events: int
    seconds: float
    rate: float
    worker_us: float
    database_us: float
    broker_us: float
    peak_mib: float
    rows: int
    rows_wrong: int


@dataclass(frozen=True)
class Watched:
    """What was seen from the first commit to the last; `clocked` are the events after the first."""

    clocked: int
    seconds: float
    used: Cpu
    peak_mib: float

    @property
    def rate(self) -> float:
        return self.clocked / self.seconds

    def micros(self, cpu_s: float) -> float:
        """CPU an event."""
        return cpu_s / self.clocked * 1e6


def watched(at: Bench, programs: list[Program], gauge: Gauge, events: int, folder: Path) -> Watched:
    """Start the programs, watch until `events` are done, end them."""
    with _running(programs, folder) as started:
        pids = [process.pid for process in started]
        begun = _wait_begun(gauge, started, folder)
        first, before = time.monotonic(), cpu(at, pids)
        _wait_finished(gauge, started, folder)
        seconds = max(time.monotonic() - first, 0.001)
        used = cpu(at, pids).minus(before)
        return Watched(max(1, events - begun), seconds, used, sum(peak_mib(pid) for pid in pids))


def run(peer: Peer, load: Load, cache: Path) -> Run:
    """One peer on a fresh schema and group."""
    with ExitStack() as stack:
        dsn = stack.enter_context(schema(load.at, migrated=peer.migrated))
        if peer.tables:
            with psycopg.connect(dsn) as connection:
                connection.execute(peer.tables.encode())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="dujiang-peer-")))
        place = Place(load, dsn, f"{load.at.prefix}.{peer.name}-{secrets.token_hex(2)}", folder, cache)
        gauge = peer.gauge(place)
        stack.callback(gauge.close)
        seen = watched(load.at, peer.programs(place), gauge, load.events, folder)
        return Run(
            peer.name,
            load.events,
            round(seen.seconds, 2),
            round(seen.rate),
            round(seen.micros(seen.used.worker), 1),
            round(seen.micros(seen.used.database), 1),
            round(seen.micros(seen.used.broker), 1),
            round(seen.peak_mib),
            len(load.finals),
            rows_wrong(load.finals, peer.finals(place), peer.compared),
        )


def rows_wrong(wanted: Mapping[str, Final], found: Mapping[str, Final], compared: Sequence[str]) -> int:
    """How many differ in what is compared, are missing or needless."""
    differing = sum(
        key not in found or any(getattr(found[key], name) != getattr(final, name) for name in compared)
        for key, final in wanted.items()
    )
    return differing + len(found.keys() - wanted.keys())


def _wait_begun(gauge: Gauge, started: list["Popen[bytes]"], folder: Path) -> int:
    limit = time.monotonic() + FIRST_TIMEOUT_S
    while not (events := gauge.begun()):
        _check(started, folder, limit, "nothing was committed")
        time.sleep(0.005)
    return events


def _wait_finished(gauge: Gauge, started: list["Popen[bytes]"], folder: Path) -> None:
    limit = time.monotonic() + LAST_TIMEOUT_S
    while not gauge.finished():
        _check(started, folder, limit, "it did not finish")
        time.sleep(gauge.every_s)


def _check(started: list["Popen[bytes]"], folder: Path, limit: float, what: str) -> None:
    ended = any(process.poll() is not None for process in started)
    if ended or time.monotonic() > limit:
        logs = "\n".join(tail(log) for log in sorted(folder.glob("*.log")))
        raise UnfinishedError(f"{what}: {'a process ended by itself' if ended else 'time ran out'}\n{logs}")


@contextmanager
def _running(programs: list[Program], folder: Path) -> Iterator[list["Popen[bytes]"]]:
    """Each with its output in a file, ended by its pid; the kernel ends it should we die first."""
    started: list[Popen[bytes]] = []
    try:
        for number, program in enumerate(programs):
            environment = clean_environment() | {"TMPDIR": str(folder)} | dict(program.environment)
            log = folder / f"program-{number}.log"
            started.append(spawn(program.command, log=log, cwd=ROOT, env=environment, death_signal=signal.SIGKILL))
            if program.one_a_core:
                keep_if_allowed(started[-1], number, len(programs))
        yield started
    finally:
        for process in started:
            if process.poll() not in (None, 0):
                say(f"a process ended by itself with status {process.returncode}")
            end(process, signal.SIGTERM, wait_s=STOP_TIMEOUT_S)
