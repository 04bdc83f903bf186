"""Where more workers end: a discrete-event model of workers, broker, database and disk.

A worker does all its CPU for a batch on a core of its own (decode, rules, rows) and hands it over; it goes on with the next,
but hands that over only when the one before is committed (two batches overlap, as in the engine). A batch handed over takes a
broker's link and cores (reading, and the derived events), then one core of the database, then its commit: write-ahead log and
fsync. One fsync runs at a time and takes with it all that had asked before it began (group commit). Each station serves first
come, first served; the backlog never ends.

Assumed: service times as measured on this machine (a core there is a core here); enough partitions for every worker, evenly
full; state in the database's memory; no contention inside PostgreSQL beyond its cores (locks and WAL insertion begin to matter
at some tens of busy backends). So it shows the order in which limits come, not the last tenth.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WORKERS = (1, 2, 5, 10, 20, 50, 100, 200)
BATCH = 5_000
EVENT_BYTES = 450
BROKER_CORES = 8
LINK_MB_S = 1_250.0  # 10 Gbit/s
SIMULATED_S = 20.0
WARM_UP_S = 5.0
BUSY = 0.9


@dataclass(frozen=True)
class Times:
    """Service times, microseconds."""

    worker_us: float
    worker_batch_us: float
    database_us: float
    database_batch_us: float
    broker_us: float
    wal_bytes: float
    commit_here_us: float


@dataclass(frozen=True)
class Case:
    """The iron below the workers. Each broker has BROKER_CORES and a link of LINK_MB_S."""

    name: str
    database_cores: int
    fsync_ms: float
    batch: int = BATCH
    brokers: int = 3
    disk_mb_s: float = 1_000.0


CASES = (
    Case("database 8 cores, fsync 1 ms", 8, 1.0),
    Case("database 8 cores, fsync 5 ms", 8, 5.0),
    Case("database 32 cores, fsync 1 ms", 32, 1.0),
    Case("database 32 cores, fsync 5 ms", 32, 5.0),
    Case("database 32 cores, fsync 5 ms, batches of 500", 32, 5.0, batch=500),
    Case("database 64 cores, fsync 1 ms, disk 3 GB/s", 64, 1.0, disk_mb_s=3_000.0),
    Case("database 64 cores, fsync 1 ms, one broker", 64, 1.0, brokers=1),
)


@dataclass(frozen=True)
class Outcome:
    """Events a second, and how busy each station was (0 to 1). `limit` is the busiest, or the workers."""

    case: str
    workers: int
    rate: int
    busy: dict[str, float]
    limit: str


@dataclass
class Station:
    """`servers` alike, one queue."""

    clock: "Clock"
    servers: int
    waiting: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)
    serving: int = 0
    busy_s: float = 0.0

    def serve(self, seconds: float, done: Callable[[], None]) -> None:
        self.waiting.append((seconds, done))
        self._next()

    def _next(self) -> None:
        while self.waiting and self.serving < self.servers:
            seconds, done = self.waiting.popleft()
            self.serving += 1
            self.busy_s += self.clock.counted(seconds)
            self.clock.after(seconds, lambda done=done: self._end(done))  # type: ignore[misc]

    def _end(self, done: Callable[[], None]) -> None:
        self.serving -= 1
        done()
        self._next()


@dataclass
class Log:
    """The write-ahead log: one flush at a time for all that wait when it begins."""

    clock: "Clock"
    fsync_s: float
    bytes_s: float
    waiting: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    flushing: bool = False
    busy_s: float = 0.0

    def commit(self, size: float, done: Callable[[], None]) -> None:
        self.waiting.append((size, done))
        if not self.flushing:
            self._flush()

    def _flush(self) -> None:
        taken, self.waiting = self.waiting, []
        writing = sum(size for size, _ in taken) / self.bytes_s
        self.flushing = True
        self.busy_s += self.clock.counted(writing)  # an fsync takes more with it when more wait; only bytes saturate it
        self.clock.after(self.fsync_s + writing, lambda: self._end(taken))

    def _end(self, taken: list[tuple[float, Callable[[], None]]]) -> None:
        self.flushing = False
        for _, done in taken:
            done()
        if self.waiting and not self.flushing:
            self._flush()


class Clock:
    """Simulated time, and what is to happen when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now + seconds, self._count, what))

    def counted(self, seconds: float) -> float:
        """The part of a service that begins now and falls into the counted time."""
        return max(0.0, min(self.now + seconds, SIMULATED_S) - max(self.now, WARM_UP_S))

    def run(self) -> None:
        while self._due and self._due[0][0] <= SIMULATED_S:
            self.now, _, what = heapq.heappop(self._due)
            what()


class Model:
    """The stations and what they have done."""

    def __init__(self, times: Times, case: Case) -> None:
        self.clock = Clock()
        self.batch = case.batch
        self.broker = Station(self.clock, case.brokers * BROKER_CORES)
        self.link = Station(self.clock, case.brokers)
        self.database = Station(self.clock, case.database_cores)
        self.log = Log(self.clock, case.fsync_ms / 1e3, case.disk_mb_s * 1e6)
        self.decode_s = (case.batch * times.worker_us + times.worker_batch_us) / 1e6
        self.broker_s = case.batch * times.broker_us / 1e6
        self.link_s = case.batch * EVENT_BYTES / (LINK_MB_S * 1e6)
        self.database_s = (case.batch * times.database_us + times.database_batch_us) / 1e6
        self.wal_bytes = case.batch * times.wal_bytes
        self.committed = 0
        self.decoding_s = 0.0

    def done(self) -> None:
        if self.clock.now >= WARM_UP_S:
            self.committed += self.batch


@dataclass
class Worker:
    """Decodes one batch while another is written."""

    model: Model
    ready: bool = False
    writing: bool = False

    def decode(self) -> None:
        model = self.model
        model.decoding_s += model.clock.counted(model.decode_s)
        model.clock.after(model.decode_s, self._decoded)

    def _decoded(self) -> None:
        self.ready = True
        self._hand_over()

    def _hand_over(self) -> None:
        if not self.ready or self.writing:
            return
        model = self.model
        self.ready, self.writing = False, True
        store = lambda: model.database.serve(model.database_s, lambda: model.log.commit(model.wal_bytes, self._committed))  # noqa: E731
        model.link.serve(model.link_s, lambda: model.broker.serve(model.broker_s, store))
        self.decode()

    def _committed(self) -> None:
        self.writing = False
        self.model.done()
        self._hand_over()


def simulated(times: Times, case: Case, workers: int) -> Outcome:
    """SIMULATED_S of so many workers; the first seconds do not count."""
    model = Model(times, case)
    for number in range(workers):
        # Spread over one batch's time: all at once would queue as they never do.
        model.clock.after(model.decode_s * number / workers, Worker(model).decode)
    model.clock.run()
    span = SIMULATED_S - WARM_UP_S
    busy = {
        "workers": model.decoding_s / span / workers,
        "database cores": model.database.busy_s / span / case.database_cores,
        "disk of the log": model.log.busy_s / span,
        "broker cores": model.broker.busy_s / span / model.broker.servers,
        "brokers' links": model.link.busy_s / span / model.link.servers,
    }
    busiest = max(busy, key=lambda name: busy[name])
    limit = busiest if busy[busiest] >= BUSY else "delay of commits"
    return Outcome(
        case.name, workers, round(model.committed / span), {name: round(share, 2) for name, share in busy.items()}, limit
    )


MOVES = {
    "workers": "more workers, or less CPU an event in a worker",
    "database cores": "more cores for it, a database for each subject, larger batches (more events of a key in one row)",
    "disk of the log": "a faster disk for the log, fewer bytes a row (narrower rows, no index that nobody asks)",
    "broker cores": "more brokers",
    "brokers' links": "more brokers, a faster link, compression in the producers",
    "delay of commits": "larger batches, a quicker disk, or more than two batches in flight",
}


def in_words(times: Times, outcomes: list[Outcome]) -> str:
    """Events a second by case and workers, then for each case the limit that comes first and what moves it."""
    by_case: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_case.setdefault(outcome.case, []).append(outcome)
    lines = [
        f"service times: {times}",
        "",
        f"| thousand events/s with workers: | {' | '.join(str(workers) for workers in WORKERS)} |",
        f"| --- {'| ---: ' * len(WORKERS)}|",
        *(f"| {case} | {' | '.join(f'{one.rate / 1e3:,.0f}' for one in found)} |" for case, found in by_case.items()),
        "",
        *map(_first_limit, by_case.values()),
    ]
    return "\n".join(lines)


def _first_limit(outcomes: list[Outcome]) -> str:
    """The least number of workers that something else than themselves holds back."""
    held = next((outcome for outcome in outcomes if outcome.limit != "workers"), None)
    if held is None:
        return f"{outcomes[0].case}: the workers are the limit up to {outcomes[-1].workers}; {MOVES['workers']} moves it"
    seen = f"from {held.workers} workers ({held.rate:,}/s) the limit is {held.limit}"
    return f"{held.case}: {seen}; what moves it: {MOVES[held.limit]}"
