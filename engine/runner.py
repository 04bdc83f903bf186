"""The runner: from Kafka through a handler into PostgreSQL with exactly-once effect.

A batch goes through four steps: decide, publish (derived events, acknowledged), store (state, quarantine, ledger in one
transaction), commit. A crash between any two repeats the batch from the ledger with the same outcome. Kafka's own offsets are a
hint for other tools, once a second.
Two batches overlap: while one is published and stored by the writer thread, the next is decided on top of it.
"""

import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import structlog
from confluent_kafka import Consumer

from engine import ledger, quarantine, timers
from engine.breakers import Breakers
from engine.clock import Clock
from engine.database import Database, StoreRefused
from engine.errors import EnvironmentFault, Fault, Fenced, RecordFault
from engine.failpoints import passing
from engine.handlers import Handler
from engine.intake import Intake
from engine.kafka import BatchPublisher
from engine.options import EngineOptions
from engine.ports import Outcome
from engine.reach import Reach, untold
from engine.records import Decoded, Place, Record, Refused, Work, decode, runs_of
from engine.share import Share
from engine.status import Condition, RunnerStatus
from engine.tracing import Tracer
from monitoring.metrics import EngineMetrics
from schemas.registry import Registry

log = structlog.get_logger()

ATTEND_AFTER_S = 0.5
SLOW_AFTER_S = 5.0
DRAIN_S_MAX = 8.0
HOLDER_S_MAX = 10.0  # more than DRAIN_S_MAX: who gives partitions up in good order is let land
TIDY_EVERY_S = 1.0
BALANCE_EVERY_S = 15.0


class Abandoned(Exception):
    """The writer gave a batch up, since its partitions went to another worker or the runner stops."""


class Runner:
    """One handler in one consumer group. `run` blocks until `stop`; all Kafka calls come from its thread.

    `reach` is told whether PostgreSQL was there. `share`: what all runners of the worker take at once.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        consumer: Consumer,
        publisher: BatchPublisher,
        registry: Registry,
        options: EngineOptions,
        clock: Clock,
        metrics: EngineMetrics,
        code_version: str,
        share: Share,
        tracer: Tracer | None = None,
        reach: Reach = untold,
    ) -> None:
        self.status = RunnerStatus(handler.name)
        self._handler = handler
        self._publisher = publisher
        self._registry = registry
        self._options = options
        self._clock = clock
        self._metrics = metrics
        self._code_version = code_version
        self._tracer = tracer
        self._writes_as = f"dujiang {handler.name} writer"
        self._writing = Database(options.dsn, self._writes_as, reach)
        self._tending = Database(options.dsn, f"dujiang {handler.name}", reach)
        self._writer = ThreadPoolExecutor(1, f"{handler.name}-writer")
        self._flying: tuple[Work, Future[None]] | None = None
        self._abandon = Event()
        self._stop = Event()
        self._lost = False  # what is in memory is no longer what is committed: begin anew at the ledger
        self._tries = 0
        self._batch_max = options.batch.records_max
        self._share = share
        self._taken_s = 0.0  # by time.perf_counter: the last batch
        self._is_busy = False  # the last batch was half as large as it could be, or more
        self._hints: dict[Place, int] = {}  # committed, and not yet told to Kafka
        self._unstorable: dict[tuple[Place, int], RecordFault] = {}
        self._tidied_s = self._balanced_s = self._timed_s = 0.0
        self._log = log.bind(step=handler.name)
        self._intake = Intake(consumer, handler.topics, on_assign=self._assigned, on_revoke=self._revoked)
        self._breakers = Breakers(
            options.breaker, intake=self._intake, database=self._tending, status=self.status, metrics=metrics, clock=clock
        )

    # --- the loop -----------------------------------------------------------------------------------------------------------

    def run(self, stop: Event) -> None:
        """Until `stop` is set. Only bugs come out of here, and only after they were logged with their place."""
        self._stop = stop
        try:
            while not stop.is_set():
                self._round()
            self._land(DRAIN_S_MAX)
            self._hint()
            self.status.condition = Condition.STOPPED
        except Exception as error:
            self.status.condition, self.status.message = Condition.FAILED, f"{type(error).__name__}: {error}"
            self._log.exception("runner failed", positions={f"{t} p{p}": o for (t, p), o in self._intake.positions.items()})
            raise
        finally:
            self._close()

    def _round(self) -> None:
        self.status.looped_s = self._clock.monotonic_s()
        try:
            if self._lost:
                self._reset()
            began = time.perf_counter()
            records = self._take()
            self._phase("poll", began)
            work = self._decided(records) if records and not self._lost else None
            began = time.perf_counter()
            self._land()
            self._phase("wait", began)
            if work is not None and not self._lost:
                self._launch(work)
            self._tend()
            self._tries = 0
        except Fault as fault:
            self._trouble(fault)
            self._lost = True
            self._wait(self._delay_s(self._tries))
            self._tries += 1

    def _take(self) -> list[Record]:
        batch_max = min(self._batch_max, self._share.of(self.status.name, is_busy=self._is_busy))
        batch = self._options.batch
        records = self._intake.take(batch_max, batch.poll_s, self._taken_s + batch.spacing_s)
        if records:
            self._taken_s = time.perf_counter()
        self._is_busy = 2 * len(records) >= batch_max
        return records

    def _close(self) -> None:
        self._abandon.set()
        self._intake.close()
        self._writer.shutdown(wait=True)
        self._writing.close()
        self._tending.close()
        self._handler.close()

    # --- decide -------------------------------------------------------------------------------------------------------------

    def _decided(self, records: Sequence[Record]) -> Work | None:
        """The batch as far as the breaker lets it; tried again while state cannot be read."""
        began = time.perf_counter()
        good, refused = self._judged(records)
        kept = [*(item.record for item in good), *(item.record for item in refused)]
        if not kept:
            return None
        work = self._work(kept)
        work.began_s = self._clock.now().timestamp()
        work.refused = refused
        for item in refused:
            work.book(item.record, Outcome.QUARANTINED)
        attempt = 0
        while True:
            try:
                self._handler.decide(good, work)
                break
            except Fault as fault:
                self._trouble(fault)
                self._wait(self._delay_s(attempt))
                attempt += 1
                if self._lost or self._stop.is_set():
                    self._lost = True
                    return None
        self._phase("decide", began)
        self._metrics.batch_records.labels(self.status.name).observe(len(kept))
        passing("decided")
        return work

    def _judged(self, records: Sequence[Record]) -> tuple[list[Decoded], list[Refused]]:
        """Decode all; bad ones are set apart; a partition whose breaker trips goes back to where its flood began."""
        good: list[Decoded] = []
        refused: list[Refused] = []
        cut: dict[Place, int] = {}
        judge = self._judge
        for record in records:
            if cut and record.place in cut:
                continue
            item = judge(record)
            is_bad = type(item) is Refused
            if is_bad or not self._breakers.are_quiet:
                back_to = self._breakers.judge(record.place, record.offset, is_bad)
                if back_to is not None:
                    # A run's part in earlier batches is committed or in flight.
                    cut[record.place] = max(back_to, min(r.offset for r in records if r.place == record.place))
                    continue
            if isinstance(item, Refused):
                refused.append(item)
            else:
                good.append(item)
        for place, offset in cut.items():
            self._breakers.trip(place, offset)
        if cut:
            good = [item for item in good if item.record.offset < cut.get(item.record.place, 1 << 62)]
            refused = [item for item in refused if item.record.offset < cut.get(item.record.place, 1 << 62)]
        return good, refused

    def _judge(self, record: Record) -> Decoded | Refused:
        item = decode(record, self._registry)
        if not isinstance(item, Decoded):
            return item
        fault = self._handler.examine(item)
        if fault is None and self._unstorable:
            fault = self._unstorable.get((record.place, record.offset))
        return item if fault is None else Refused(record, fault, item.event)

    def _work(self, records: Sequence[Record]) -> Work:
        start: dict[Place, int] = {}
        following: dict[Place, int] = {}
        gaps: list[tuple[Record, int]] = []
        holes = self._intake.gaps
        for at, end in runs_of(records):
            record, last = records[at], records[end - 1]
            place, begin = record.place, record.offset
            if holes and (hole := holes.get(place, {}).pop(begin, 0)):
                gaps.append((record, hole))
                begin -= hole
            start[place] = min(begin, start.get(place, begin))
            following[place] = max(last.offset + 1, following.get(place, 0))
        work = Work(records, start, following, [record.timestamp_ms / 1000 for record in records])
        for record, size in gaps:
            work.book_gap(record, size)
        return work

    # --- publish, store, commit ---------------------------------------------------------------------------------------------

    def _launch(self, work: Work) -> None:
        self._abandon.clear()
        self._flying = (work, self._writer.submit(self._write, work))

    def _write(self, work: Work) -> None:
        """In the writer thread: publish and store, tried until it works, the partitions go, or the runner stops."""
        attempt = 0
        while True:
            try:
                self._store(work)
                return
            except (Fenced, StoreRefused):
                raise
            except Fault as fault:
                self._trouble(fault)
                if self._abandon.wait(self._delay_s(attempt)):
                    raise Abandoned from fault
                attempt += 1

    def _store(self, work: Work) -> None:
        began = time.perf_counter()
        if work.messages:
            self._publisher.publish(work.messages, self._abandon.is_set)
            self._metrics.derived.labels(self.status.name).inc(len(work.messages))
            self._phase("publish", began)
        passing("published")
        began = time.perf_counter()
        with self._writing.transaction() as cursor:
            ledger.move(cursor, self._handler.name, work.start, work.next)
            work.save(cursor)
            if work.refused:
                quarantine.insert(cursor, self._handler.name, self._code_version, work.refused, self._registry)
            ledger.book(cursor, self._handler.name, work.outcomes)
            passing("stored")
        work.committed_s = self._clock.now().timestamp()
        self._phase("store", began)
        passing("committed")

    def _land(self, seconds_max: float | None = None) -> None:
        """Wait for the batch in flight, keeping the membership alive; then its state is the truth, or `_lost` is set."""
        began = time.perf_counter()
        while not self._is_settled(0.05):
            waited_s = time.perf_counter() - began
            if seconds_max is None and self._stop.is_set():
                seconds_max = waited_s + DRAIN_S_MAX
            if seconds_max is not None and waited_s > seconds_max:
                self._abandon.set()
            if waited_s > ATTEND_AFTER_S:
                self._intake.hold()
                self._intake.attend(0.05)
                self.status.looped_s = self._clock.monotonic_s()
            self._tell_slow(waited_s)
        if not self._lost:
            self._intake.release()

    def _tell_slow(self, waited_s: float) -> None:
        if waited_s > SLOW_AFTER_S and self.status.condition is Condition.RUNNING:
            self.status.condition = Condition.DEGRADED
            self.status.message = f"a batch waits to be published and stored, longer than {SLOW_AFTER_S:.0f} s"
            self.status.remedy = "look at Kafka and PostgreSQL; it goes on by itself"

    def _is_settled(self, wait_s: float) -> bool:
        """Whether there is nothing in flight, or it came to its end within `wait_s`."""
        if self._flying is None:
            return True
        work, future = self._flying
        try:
            error = future.exception(wait_s)
        except TimeoutError:
            return False
        self._flying = None
        if error is None:
            self._landed(work)
            return True
        self._lost = True
        if isinstance(error, Fenced):
            self._metrics.faults.labels(self.status.name, "fenced").inc()
            self._log.warning("fenced", message=str(error))
        elif isinstance(error, StoreRefused):
            self._suspect(work, error)
        elif not isinstance(error, Abandoned):
            raise error
        return True

    def _suspect(self, work: Work, refusal: StoreRefused) -> None:
        """The store refused a value. Take less at once until its record stands alone; that one goes to quarantine."""
        if len(work.records) > 1:
            self._batch_max = len(work.records) // 2
            return
        record = work.records[0]
        if work.refused:
            raise RuntimeError(f"{record}: quarantine cannot hold it") from refusal
        self._unstorable[record.place, record.offset] = RecordFault("store_refused", "", f"{record}: {refusal}")

    def _landed(self, work: Work) -> None:
        work.keep()
        self._batch_max = min(2 * self._batch_max, self._options.batch.records_max)
        for item in work.refused:
            self._unstorable.pop((item.record.place, item.record.offset), None)
        self._hints |= work.next
        passing("kept")
        self.status.condition, self.status.message, self.status.remedy = Condition.RUNNING, "", ""
        self.status.committed_s = self._clock.monotonic_s()
        self._count(work)
        if self._tracer is not None:
            self._tracer.processed(self.status.name, work)

    def _count(self, work: Work) -> None:
        name, metrics = self.status.name, self._metrics
        for (topic, _, _), counts in work.outcomes.items():
            for outcome, count in counts.items():
                if outcome.startswith("late_"):
                    metrics.late.labels(name, topic, outcome.removeprefix("late_")).inc(count)
                else:
                    metrics.events.labels(name, topic, outcome).inc(count)
        for item in work.refused:
            metrics.quarantined.labels(name, item.fault.reason).inc()
        now_s = work.committed_s
        metrics.arrival_delay_seconds.observe((name,), [now_s - at for at in work.arrivals])
        metrics.event_delay_seconds.observe((name,), [now_s - at for at in work.event_times])
        metrics.last_commit_timestamp_seconds.labels(name).set(now_s)

    # --- rebalance and recovery ---------------------------------------------------------------------------------------------

    def _assigned(self, places: list[Place]) -> None:
        """Nothing is taken from them until `_reset` has read the ledger: in here the client can be asked nothing."""
        self._intake.hold()
        self._lost = True
        self._metrics.rebalances.labels(self.status.name).inc()
        self._log.info("assigned", partitions=[f"{topic} p{partition}" for topic, partition in places])

    def _place(self, places: Sequence[Place]) -> dict[Place, int]:
        self._handler.assigned(self._intake.partitions_of(self._handler.topics))
        logs = {place: self._intake.bounds_of(place) for place in places}
        with self._tending.transaction() as cursor:
            if places:
                ledger.make_way(cursor, self._handler.name, places, self._writes_as, HOLDER_S_MAX)
            offsets = {place: ledger.place(cursor, self._handler.name, place, low) for place, (low, _) in logs.items()}
            self._breakers.recall(cursor, places)
        for place, offset in offsets.items():
            low, high = logs[place]
            if not low <= offset <= high:
                raise EnvironmentFault(
                    f"the ledger of {self._handler.name} stands at {offset}, {place[0]} p{place[1]} holds {low}..{high}",
                    "the topic was made anew or its retention is shorter than the outage; see docs/runbook/ledger.md",
                )
            self._intake.stand(place, offset)
            self._breakers.rewind(place, offset)
        return offsets

    def _revoked(self, places: list[Place]) -> None:
        """Let the batch in flight land; what cannot is another worker's now, and `_reset` waits until it has given up."""
        began = time.perf_counter()
        while not self._is_settled(0.05):
            waited_s = time.perf_counter() - began
            if waited_s > DRAIN_S_MAX:
                self._abandon.set()
                break
            self._tell_slow(waited_s)
        self._hint()
        # A batch decided but not launched, or remembered state, may hold records of these partitions.
        self._lost = True
        for place in places:
            self._metrics.lag_records.remove(self.status.name, place[0], str(place[1]))
        self._breakers.forget(places)
        self.status.lag = {place: lag for place, lag in self.status.lag.items() if place not in places}
        self._log.info("revoked", partitions=[f"{topic} p{partition}" for topic, partition in places])

    def _reset(self) -> None:
        """Forget what is not committed and go on from the ledger."""
        self._land(DRAIN_S_MAX)
        self._handler.forget()
        self._intake.gaps.clear()
        placed = self._place(list(self._intake.positions))
        for place, offset in placed.items():
            self._intake.seek(place, offset)
        self._hints = placed  # also where a worker died before it had told, or a batch of ours landed after its partition went
        self._intake.release()
        self._lost = False

    # --- between batches ----------------------------------------------------------------------------------------------------

    def _tend(self) -> None:
        now_s = self._clock.monotonic_s()
        self._breakers.probe()
        if self._options.timers_enabled and now_s - self._timed_s >= self._options.timer_poll_s:
            self._timed_s = now_s
            self._fire_timers()
        if now_s - self._tidied_s >= TIDY_EVERY_S:
            self._tidied_s = now_s
            self._tidy()
        if now_s - self._balanced_s >= BALANCE_EVERY_S:
            self._balanced_s = now_s
            self._balance()

    def _fire_timers(self) -> None:
        partitions = [partition for _, partition in self._intake.positions]
        if not partitions:
            return
        now = self._clock.now()
        topic = self._handler.topics[0]
        with self._tending.transaction() as cursor:
            due = timers.take_due(cursor, self._handler.name, topic, partitions, now, now, self._registry)
        if due:
            self._publisher.publish(due, self._stop.is_set)
            self._metrics.timers.labels(self.status.name).inc(len(due))

    def _hint(self) -> None:
        """Tell Kafka how far we are: a commit for each batch would cost the broker as much as the batch's records."""
        if self._hints:
            self._intake.hint(self._hints)
            self._hints = {}

    def _tidy(self) -> None:
        self._hint()
        committed = dict(self._intake.positions)
        if self._flying is not None:
            committed |= self._flying[0].start
        lag = {place: max(0, end - committed[place]) for place, end in self._intake.ends().items()}
        self.status.lag = lag
        for (topic, partition), behind in lag.items():
            self._metrics.lag_records.labels(self.status.name, topic, str(partition)).set(behind)
        self._metrics.assigned_partitions.labels(self.status.name).set(len(committed))
        self._metrics.cached_entities.labels(self.status.name).set(self._handler.remembered)
        if self.status.paused:
            self._breakers.settle()
        is_troubled = self.status.condition in (Condition.DEGRADED, Condition.BLOCKED, Condition.STARTING)
        if is_troubled and not self._lost and self._flying is None and self._intake.is_joined:
            self.status.condition, self.status.message, self.status.remedy = Condition.RUNNING, "", ""

    def _balance(self) -> None:
        with self._tending.transaction() as cursor:
            found = ledger.accounts(cursor, {}, [self._handler.name])
            late = timers.overdue(cursor, self._handler.name, self._clock.now()) if self._options.timers_enabled else 0
        for account in found:
            self._metrics.unbalanced_records.labels(self.status.name, account.topic).set(account.unaccounted)
        self._metrics.timers_overdue.labels(self.status.name).set(late)

    def _phase(self, name: str, began: float) -> None:
        self._metrics.phase_seconds.labels(self.status.name, name).observe(time.perf_counter() - began)

    def _trouble(self, fault: Fault) -> None:
        is_environment = isinstance(fault, EnvironmentFault)
        kind = "environment" if is_environment else "transient"
        self._metrics.faults.labels(self.status.name, kind).inc()
        self.status.condition = Condition.BLOCKED if is_environment else Condition.DEGRADED
        if self.status.message != str(fault):
            remedy = fault.remedy or "it goes on by itself"
            self.status.message, self.status.remedy = str(fault), remedy
            self._log.warning(kind, message=str(fault), remedy=remedy)

    def _delay_s(self, attempt: int) -> float:
        retry = self._options.retry
        return float(min(retry.last_s, retry.first_s * 2 ** min(attempt, 16)) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    def _wait(self, seconds: float) -> None:
        """Between tries: nothing is fetched, the membership lives on."""
        self._intake.hold()
        until = self._clock.monotonic_s() + seconds
        while not self._stop.is_set() and (left := until - self._clock.monotonic_s()) > 0:
            self._intake.attend(min(left, 0.1))
            self.status.looped_s = self._clock.monotonic_s()
        if not self._lost:  # else `_reset` does
            self._intake.release()
