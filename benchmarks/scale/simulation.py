"""Where more workers end: a closed model of workers, brokers, databases and their logs, event by event.

A worker does all its CPU for a batch on a core of its own (decode, rules, rows) and hands it over; it goes on with the next,
but hands that over only when the one before is committed (two batches overlap, as in the engine). A batch handed over takes a
broker's link and cores (reading, and the derived events), then one core of its database, then its commit: the write-ahead log
and a flush. The backlog never ends.

Two limits are no queues: a topic's partitions, as a worker without one has nothing to do, and the database's connections.

Assumed: service times as measured on this machine (a core there is a core here); partitions evenly full; state in the
database's memory; no contention inside PostgreSQL beyond its cores (locks and WAL insertion begin to matter at some tens of
busy backends); brokers write each record once, as where the times were measured. So it shows the order in which limits come,
not the last tenth.
"""

from dataclasses import dataclass, replace

from benchmarks.scale.queues import Clock, Log, Station
from dujiang.embedded.postgres import SETTINGS
from engine.options import BatchOptions
from schemas.topics import PROJECT_EVENT

WORKERS = (1, 2, 5, 10, 20, 50, 100, 200)
EVENT_BYTES = 450
DATABASE_CORES, BROKER_CORES = 8, 8
LINK_MB_S = 1_250.0  # 10 Gbit/s
CONNECTIONS_A_WORKER = 3  # of one step: its writer, its reader, and one that tends timers and the ledger
RESERVED_CONNECTIONS = 3  # PostgreSQL's own superuser_reserved_connections
SIMULATED_S = 20.0
WARM_UP_S = 5.0
BUSY = 0.9
RUNGS_MAX, DOUBLINGS_MAX = 12, 12


@dataclass(frozen=True)
class Times:
    """Service times in microseconds of CPU, by event and by batch; commit_us is the time of a small commit."""

    worker_us: float
    worker_batch_us: float
    database_us: float
    database_batch_us: float
    broker_us: float
    wal_bytes: float
    commit_us: float


@dataclass(frozen=True)
class Case:
    """What is below the workers. Each database serves topics of its own and has DATABASE_CORES, connections and a log; each
    broker has BROKER_CORES and a link. flush_ms None: as a small commit was measured here.
    """

    partitions: int = PROJECT_EVENT.partitions
    connections: int = int(SETTINGS["max_connections"])
    databases: int = 1
    brokers: int = 3
    batch: int = BatchOptions().records_max
    log_mb_s: float = 1_000.0
    flush_ms: float | None = None

    def __str__(self) -> str:
        flush = "" if self.flush_ms is None else f", flushes of {self.flush_ms:g} ms"
        return (
            f"{self.partitions} partitions, {self.connections:,} connections, databases: {self.databases},"
            f" brokers: {self.brokers}, batches of {self.batch:,}{flush}"
        )


@dataclass(frozen=True)
class Move:
    """What helps against a limit, and what the ladder does: it doubles this field of the case."""

    words: str
    doubled: str

    def raised(self, case: Case) -> Case:
        return replace(case, **{self.doubled: 2 * getattr(case, self.doubled)})


AS_SHIPPED = Case()
MOVES = {
    "partitions": Move("more partitions; best from the beginning, since keys change their place", "partitions"),
    "connections": Move("a higher max_connections, a database for each subject", "connections"),
    "database cores": Move(
        "a database for each subject, more cores, larger batches (more events of a key in one row)", "databases"
    ),
    "log's disk": Move("a database for each subject, a faster disk, fewer bytes a row, rarer checkpoints", "databases"),
    "broker cores": Move("more brokers", "brokers"),
    "brokers' links": Move("more brokers, a faster link, compression in the producers", "brokers"),
    "delay of commits": Move("larger batches, a disk that flushes sooner", "batch"),
}


@dataclass(frozen=True)
class Outcome:
    """Events a second, and how busy each part was (0 to 1). `limit`: what holds more back, the workers or one of MOVES."""

    case: str
    workers: int
    rate: int
    limit: str
    workers_busy: float
    database_busy: float
    log_busy: float
    broker_busy: float
    link_busy: float


class Model:
    """The stations, how long a batch is at each, and what was committed."""

    def __init__(self, times: Times, case: Case) -> None:
        self.clock = Clock(WARM_UP_S, SIMULATED_S)
        self.broker = Station(self.clock, case.brokers * BROKER_CORES)
        self.link = Station(self.clock, case.brokers)
        flush_s = times.commit_us / 1e6 if case.flush_ms is None else case.flush_ms / 1e3
        self.databases = [Station(self.clock, DATABASE_CORES) for _ in range(case.databases)]
        self.logs = [Log(self.clock, flush_s, case.log_mb_s * 1e6) for _ in range(case.databases)]
        self.batch = case.batch
        self.worker_s = (case.batch * times.worker_us + times.worker_batch_us) / 1e6
        self.broker_s = case.batch * times.broker_us / 1e6
        self.link_s = case.batch * EVENT_BYTES / (LINK_MB_S * 1e6)
        self.database_s = (case.batch * times.database_us + times.database_batch_us) / 1e6
        self.wal_bytes = case.batch * times.wal_bytes
        self.workers_busy_s = 0.0
        self.committed = 0


@dataclass
class Worker:
    """Decides one batch while the one before is written."""

    model: Model
    number: int
    _is_decided: bool = False
    _is_writing: bool = False

    def decide(self) -> None:
        model = self.model
        model.workers_busy_s += model.clock.counted_s(model.worker_s)
        model.clock.after(model.worker_s, self._decided)

    def _decided(self) -> None:
        self._is_decided = True
        self._hand_over()

    def _hand_over(self) -> None:
        if not self._is_decided or self._is_writing:
            return
        self._is_decided, self._is_writing = False, True
        self.model.link.serve(self.model.link_s, self._publish)
        self.decide()

    def _publish(self) -> None:
        self.model.broker.serve(self.model.broker_s, self._store)

    def _store(self) -> None:
        databases = self.model.databases
        databases[self.number % len(databases)].serve(self.model.database_s, self._commit)

    def _commit(self) -> None:
        logs = self.model.logs
        logs[self.number % len(logs)].commit(self.model.wal_bytes, self._committed)

    def _committed(self) -> None:
        self._is_writing = False
        if self.model.clock.is_counting:
            self.model.committed += self.model.batch
        self._hand_over()


def ladder(times: Times) -> list[Case]:
    """From what is shipped to where WORKERS[-1] all work: each rung moves the limit that the one before met, and no further."""
    rungs = [AS_SHIPPED]
    limit = _last_limit(times, AS_SHIPPED)
    while limit in MOVES and len(rungs) < RUNGS_MAX:
        case, move = rungs[-1], MOVES[limit]
        for _ in range(DOUBLINGS_MAX):
            case = move.raised(case)
            if (found := _last_limit(times, case)) != limit:
                break
        rungs.append(case)
        limit = found
    return rungs


def sidelines(top: Case) -> list[Case]:
    """What becomes of the ladder's top with one broker, and with small batches on a slow disk."""
    return [replace(top, brokers=1), replace(top, flush_ms=5.0, batch=500)]


def _last_limit(times: Times, case: Case) -> str:
    return simulated(times, case, WORKERS[-1]).limit


def simulated(times: Times, case: Case, workers: int) -> Outcome:
    """SIMULATED_S of so many workers; the first WARM_UP_S do not count."""
    model = Model(times, case)
    working = min(workers, _partitioned(case), _connected(case))
    for number in range(working):
        # Spread over one batch's time: all at once would queue as they never do.
        model.clock.after(model.worker_s * number / working, Worker(model, number).decide)
    model.clock.run()
    span_s = SIMULATED_S - WARM_UP_S
    busy = {
        "workers": model.workers_busy_s / span_s / working,
        "database cores": sum(one.busy_s for one in model.databases) / span_s / DATABASE_CORES / case.databases,
        "log's disk": sum(one.busy_s for one in model.logs) / span_s / case.databases,
        "broker cores": model.broker.busy_s / span_s / model.broker.servers,
        "brokers' links": model.link.busy_s / span_s / model.link.servers,
    }
    limit = _limit(case, workers, busy)
    return Outcome(str(case), workers, round(model.committed / span_s), limit, *(round(share, 2) for share in busy.values()))


def _partitioned(case: Case) -> int:
    """Workers that have a partition; each subject has a topic of its own."""
    return case.partitions * case.databases


def _connected(case: Case) -> int:
    """Workers whose connections the databases take."""
    return (case.connections - RESERVED_CONNECTIONS) // CONNECTIONS_A_WORKER * case.databases


def _limit(case: Case, workers: int, busy: dict[str, float]) -> str:
    """A station that is full holds back whoever works; else those that cannot work are the limit."""
    fullest = max((name for name in busy if name != "workers"), key=lambda name: busy[name])
    if busy[fullest] >= BUSY:
        return fullest
    if workers > min(_partitioned(case), _connected(case)):
        return "partitions" if _partitioned(case) <= _connected(case) else "connections"
    return "workers" if busy["workers"] >= BUSY else "delay of commits"


def in_words(outcomes: list[Outcome]) -> str:
    """Events a second by case and workers, then for each case the limit that comes first and what moves it."""
    by_case: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_case.setdefault(outcome.case, []).append(outcome)
    workers = [outcome.workers for outcome in next(iter(by_case.values()))]
    lines = [
        f"| thousand events/s with workers: | {' | '.join(map(str, workers))} |",
        f"| --- {'| ---: ' * len(workers)}|",
        *(f"| {case} | {' | '.join(f'{one.rate / 1e3:,.0f}' for one in found)} |" for case, found in by_case.items()),
        "",
        *map(_first_limit, by_case.values()),
    ]
    return "\n".join(lines)


def _first_limit(outcomes: list[Outcome]) -> str:
    """The least number of workers that something else than themselves holds back."""
    held = next((outcome for outcome in outcomes if outcome.limit != "workers"), None)
    if held is None:
        last = outcomes[-1]
        return f"{last.case}: no limit but the workers up to {last.workers} ({last.rate:,}/s)"
    brokers_busy = max(held.broker_busy, held.link_busy)
    return (
        f"{held.case}: {held.limit} at {held.workers} workers ({held.rate:,}/s; database {held.database_busy:.0%}, log"
        f" {held.log_busy:.0%}, brokers {brokers_busy:.0%} busy); what moves it: {MOVES[held.limit].words}"
    )
