"""The log in Kafka: one consumer follows the newest records for all readers, a few others read what is older.

A hundred readers at the end of the log cost one fetch and one decoding of each record. The consumer runs only while somebody
reads, and what it holds is bounded; whoever is further behind reads through a catch-up consumer of his own for a moment.
"""

import asyncio
import threading
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import structlog
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from engine.errors import Fault, TransientFault
from engine.kafka import fault_of, new_consumer
from engine.options import KafkaOptions
from gateway.subscriptions.behind import Behind
from gateway.subscriptions.log import Bounds, Stretch
from gateway.subscriptions.records import Record
from schemas.registry import Registry
from schemas.subscriptions import Place
from schemas.topics import TOPICS

RING_RECORDS_MAX: Final = 2_000
RING_BYTES_MAX: Final = 2 * 1024 * 1024  # of each partition; the newest record is kept whatever its size
BATCH_RECORDS_MAX: Final = 500
BATCHES_AHEAD_MAX: Final = 4  # handed to the loop and not yet taken
POLL_S: Final = 0.1
LOOK_EVERY_S: Final = 1.0  # at the bounds of the partitions
FRESH_S: Final = 2.0
ANSWER_S: Final = 3.0
RESTART_S: Final = 1.0
IDLE_S: Final = 30.0  # without a reader; then the consumer ends until somebody reads again
STOP_S: Final = 5.0
CATCH_UP_THREADS: Final = 4
CATCH_UP_S: Final = 2.0
CATCH_UP_RECORDS: Final = 5_000
_NAME: Final = "gateway-tail"

log = structlog.get_logger("gateway")


class Ring:
    """The newest records of one partition: all from `start` up to, not including, `next_offset`."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.next_offset = start
        self._records: list[Record] = []
        self._bytes = 0

    def append(self, record: Record) -> None:
        self._records.append(record)
        self._bytes += record.size_bytes
        self.next_offset = record.offset + 1
        if len(self._records) > RING_RECORDS_MAX or self._bytes > RING_BYTES_MAX:
            self._drop_oldest()

    def stretch(self, place: Place, offset: int, records_max: int) -> Stretch:
        """What it has from `offset` on, which is not before `start`."""
        first = bisect_left(self._records, offset, key=lambda record: record.offset)
        found = self._records[first : first + records_max]
        is_all = first + len(found) == len(self._records)
        return Stretch(place, found, max(offset, self.next_offset) if is_all else found[-1].offset + 1)

    def _drop_oldest(self) -> None:
        """A quarter at once, so that dropping costs little a record."""
        dropped = self._records[: max(1, len(self._records) // 4)]
        if len(dropped) == len(self._records):
            return
        del self._records[: len(dropped)]
        self._bytes -= sum(record.size_bytes for record in dropped)
        self.start = dropped[-1].offset + 1


class SharedLog:
    """A Log on Kafka. Use as an asynchronous context manager, in the loop that reads."""

    def __init__(self, options: KafkaOptions, registry: Registry) -> None:
        self._options = options
        self._registry = registry
        self._catch_up = ThreadPoolExecutor(CATCH_UP_THREADS, thread_name_prefix="gateway-catch-up")
        self._consumers = threading.local()
        self._opened: list[Consumer] = []
        self._behind = Behind()
        self._seen: Mapping[Place, Bounds] = {}
        self._catching_up = asyncio.Semaphore(CATCH_UP_THREADS)
        self._asked: dict[tuple[Place, int], asyncio.Future[None]] = {}  # what is being read, by where it begins
        self._readers = 0
        self._follower: _Follower | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._idle is not None:
            self._idle.cancel()
        await asyncio.to_thread(self._close)

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """See Log."""
        self._readers += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._follower is None:
            self._follower = _Follower(self._options, self._registry, asyncio.get_running_loop())
        try:
            yield
        finally:
            self._readers -= 1
            if self._readers == 0:
                self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._rest)

    async def bounds(self, *, fresh: bool = False) -> Mapping[Place, Bounds]:
        """See Log."""
        return await self._followed().bounds(fresh=fresh)

    async def at(self, topics: Sequence[str], instant: datetime) -> Mapping[Place, int]:
        """See Log."""
        bounds = await self.bounds()
        places = [place for place in bounds if place.topic in topics]
        found = await self._in_thread(self._offsets_at, places, int(instant.timestamp() * 1000))
        return {place: offset if offset >= 0 else bounds[place].end for place, offset in found.items()}

    async def read(self, positions: Mapping[Place, int], records_max: int) -> Sequence[Stretch]:
        """See Log."""
        bounds, rings = await self.bounds(), self._followed().rings
        self._forget_if_cut(bounds)
        stretches: list[Stretch] = []
        behind: dict[Place, int] = {}
        left = records_max
        for place, offset in positions.items():
            ring = rings.get(place)
            if ring is None or offset >= ring.next_offset:
                continue
            if offset >= ring.start:
                stretches.append(ring.stretch(place, offset, left))
                left -= len(stretches[-1].records)
            elif offset >= bounds[place].earliest:
                behind[place] = offset
            if left <= 0:
                return stretches
        return stretches + (await self._caught_up(behind, left) if behind else [])

    def _forget_if_cut(self, bounds: Mapping[Place, Bounds]) -> None:
        """A log that is shorter than it was is another one: a topic made anew, a broker restored."""
        if bounds is not self._seen:
            if any(place in bounds and bounds[place].end < seen.end for place, seen in self._seen.items()):
                self._behind.clear()
            self._seen = bounds

    async def _caught_up(self, behind: Mapping[Place, int], records_max: int) -> list[Stretch]:
        """From what is kept, and from Kafka if that is not enough; as many readers at once as there are threads."""
        while True:
            known, missing = self._known(behind, records_max)
            if not missing:
                return known
            others = {self._asked[one] for one in missing.items() if one in self._asked}
            if not others:
                break
            # A hundred that begin at one place would else all read the same before the first has told what it found.
            done, _ = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            for other in done:
                other.result()  # raises what it met: it would be met again
        asked = asyncio.get_running_loop().create_future()
        self._asked |= dict.fromkeys(missing.items(), asked)
        fault: Fault | None = None
        try:
            async with self._catching_up:
                read: list[Stretch] = await self._in_thread(self._read_behind, missing, CATCH_UP_RECORDS)
            for stretch in read:
                self._behind.keep(missing[stretch.place], stretch)
        except Fault as met:
            fault = met
            raise
        finally:
            for one in missing.items():
                del self._asked[one]
            if fault is None:
                asked.set_result(None)  # also when it was cancelled: then the next one reads
            else:
                asked.set_exception(fault)
                asked.exception()  # perhaps nobody waits for it
        empty = [stretch for stretch in read if not stretch.records]  # behind markers of transactions, at an end
        # The caller's limit holds for what he gets: the rest is kept.
        return known + empty + self._known({stretch.place: missing[stretch.place] for stretch in read}, records_max)[0]

    def _known(self, behind: Mapping[Place, int], records_max: int) -> tuple[list[Stretch], dict[Place, int]]:
        """What is kept of these, and which are to be read: none if that is as much as was asked for."""
        known: list[Stretch] = []
        missing: dict[Place, int] = {}
        for place, offset in behind.items():
            stretch = self._behind.find(place, offset, records_max)
            if stretch is None:
                missing[place] = offset
                continue
            known.append(stretch)
            records_max -= len(stretch.records)
            if records_max <= 0:
                return known, {}
        return known, missing

    async def moved(self, timeout_s: float) -> None:
        """See Log."""
        await self._followed().moved(timeout_s)

    def _followed(self) -> "_Follower":
        if self._follower is None:
            raise RuntimeError("read outside of joined()")
        return self._follower

    def _rest(self) -> None:
        """Nobody has read for a while."""
        self._idle = None
        if self._readers == 0 and self._follower is not None:
            self._follower.stop()
            self._follower = None
            self._behind.clear()

    def _close(self) -> None:
        if self._follower is not None:
            self._follower.stop()
            self._follower.join()
        self._catch_up.shutdown(cancel_futures=True)
        for consumer in self._opened:
            consumer.close()

    # --- in a thread of the pool ---

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._catch_up, work, *arguments)
        except KafkaException as error:
            raise fault_of(error.args[0]) from error

    def _consumer(self) -> Consumer:
        """One a thread."""
        known: Consumer | None = getattr(self._consumers, "consumer", None)
        if known is None:
            known = self._consumers.consumer = _new_consumer(self._options, **{"enable.partition.eof": True})
            self._opened.append(known)
        return known

    def _offsets_at(self, places: Sequence[Place], timestamp_ms: int) -> dict[Place, int]:
        asked = [TopicPartition(*place, timestamp_ms) for place in places]
        found = self._consumer().offsets_for_times(asked, timeout=ANSWER_S) if asked else []
        return {Place(one.topic, one.partition): one.offset for one in found}

    def _read_behind(self, positions: Mapping[Place, int], records_max: int) -> list[Stretch]:
        consumer = self._consumer()
        with _assigned(consumer, positions):
            found: dict[Place, list[Record]] = {}
            ends: dict[Place, int] = {}
            while records_max > 0 and len(ends) < len(positions):
                messages = _taken(consumer, min(records_max, BATCH_RECORDS_MAX), CATCH_UP_S)
                if not messages:
                    break
                for message in messages:
                    self._take(message, found, ends)
                records_max -= len(messages)
        for place, records in found.items():
            ends.setdefault(place, records[-1].offset + 1)
        return [Stretch(place, found.get(place, ()), end) for place, end in ends.items()]

    def _take(self, message: Message, found: dict[Place, list[Record]], ends: dict[Place, int]) -> None:
        error = message.error()
        if error is None:
            record = _record(message, self._registry)
            found.setdefault(record.place, []).append(record)
        elif error.code() == KafkaError._PARTITION_EOF:
            # Where it would go on: behind markers of transactions too, which are no records.
            ends[Place(message.topic(), message.partition())] = message.offset()
        elif not _is_passing(error):
            raise KafkaException(error)


class _Follower:
    """Follows the ends of all partitions in a thread; what it keeps is changed in the loop alone, so nothing is locked."""

    def __init__(self, options: KafkaOptions, registry: Registry, loop: asyncio.AbstractEventLoop) -> None:
        self.rings: dict[Place, Ring] = {}
        self._options = options
        self._registry = registry
        self._loop = loop
        self._bounds: dict[Place, Bounds] = {}
        self._looked_s: float | None = None
        self._fault: Fault | None = None
        self._news = asyncio.Event()
        self._ahead = threading.BoundedSemaphore(BATCHES_AHEAD_MAX)
        self._look_wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
        self._thread.start()

    # --- in the loop ---

    async def bounds(self, *, fresh: bool) -> Mapping[Place, Bounds]:
        """Waits for a look that is not older than FRESH_S, or than this call."""
        asked_s = self._loop.time()
        end_s = asked_s + ANSWER_S
        if fresh:
            self._look_wanted.set()
        while self._looked_s is None or self._looked_s < (asked_s if fresh else self._loop.time() - FRESH_S):
            if self._loop.time() >= end_s:
                raise self._fault or TransientFault(f"Kafka: no answer within {ANSWER_S:g} s")
            await self.moved(POLL_S)
        return self._bounds

    async def moved(self, timeout_s: float) -> None:
        news = self._news
        try:
            async with asyncio.timeout(timeout_s):
                await news.wait()
        except TimeoutError:
            return

    def stop(self) -> None:
        self._stopping.set()

    def join(self) -> None:
        self._thread.join(STOP_S)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _begin(self, bounds: dict[Place, Bounds], looked_s: float) -> None:
        self.rings = {place: Ring(bound.end) for place, bound in bounds.items()}
        self._look(bounds, looked_s)

    def _look(self, bounds: dict[Place, Bounds], looked_s: float) -> None:
        # A copy: the thread compares its own with the next, and `_append` goes on from here.
        self._bounds, self._looked_s, self._fault = dict(bounds), looked_s, None
        self._tell()

    def _append(self, records: Sequence[Record]) -> None:
        for record in records:
            self.rings[record.place].append(record)
        for place in {record.place for record in records}:
            earliest, end = self._bounds[place]
            self._bounds[place] = Bounds(earliest, max(end, self.rings[place].next_offset))
        self._ahead.release()
        self._tell()

    def _fail(self, fault: Fault) -> None:
        self._fault = fault

    # --- in the thread ---

    def _run(self) -> None:
        admin = AdminClient(_settings(self._options))
        while not self._stopping.is_set():
            try:
                with closing(_new_consumer(self._options)) as consumer:
                    self._follow(consumer, admin)
            except KafkaException as error:
                fault = fault_of(error.args[0])
                log.warning("tail_interrupted", fault=str(fault))
                self._in_loop(self._fail, fault)
                self._stopping.wait(RESTART_S)

    def _follow(self, consumer: Consumer, admin: AdminClient) -> None:
        """Until stopped. Raises KafkaException; then everything begins anew at the ends, and readers catch up."""
        looked_s = self._loop.time()
        bounds = _bounds(admin)
        self._in_loop(self._begin, bounds, looked_s)
        consumer.assign([TopicPartition(*place, bound.end) for place, bound in bounds.items()])
        while not self._stopping.is_set():
            records = self._records(_taken(consumer, BATCH_RECORDS_MAX, POLL_S))
            if records:
                self._hand_over(records)
            if self._look_wanted.is_set() or self._loop.time() - looked_s >= LOOK_EVERY_S:
                self._look_wanted.clear()
                looked_s = self._loop.time()
                seen = _bounds(admin)
                if seen.keys() != bounds.keys():
                    return  # a topic has grown or gone
                self._in_loop(self._look, seen, looked_s)

    def _records(self, messages: Sequence[Message]) -> list[Record]:
        for message in messages:
            error = message.error()
            if error is not None and not _is_passing(error):
                raise KafkaException(error)
        return [_record(message, self._registry) for message in messages if message.error() is None]

    def _hand_over(self, records: Sequence[Record]) -> None:
        while not self._ahead.acquire(timeout=POLL_S):
            if self._stopping.is_set():
                return
        self._in_loop(self._append, records)

    def _in_loop(self, work: Any, *arguments: Any) -> None:
        if self._stopping.is_set():
            return
        try:
            self._loop.call_soon_threadsafe(work, *arguments)
        except RuntimeError:  # the loop is closed: nobody reads any more
            self._stopping.set()


def _taken(consumer: Consumer, count_max: int, timeout_s: float) -> list[Message]:
    """What is there, as soon as there is something; `consume` alone would wait until it is so many."""
    first = consumer.poll(timeout_s)
    return [] if first is None else [first, *consumer.consume(count_max - 1, 0)]


def _record(message: Message, registry: Registry) -> Record:
    place = Place(message.topic(), message.partition())
    return Record(registry, place, message.offset(), message.timestamp()[1], message.headers() or (), message.value())


@contextmanager
def _assigned(consumer: Consumer, positions: Mapping[Place, int]) -> Iterator[None]:
    consumer.assign([TopicPartition(*place, offset) for place, offset in positions.items()])
    try:
        yield
    finally:
        consumer.unassign()


def _bounds(admin: AdminClient) -> dict[Place, Bounds]:
    """Of all partitions of our topics. Raises KafkaException."""
    topics = admin.list_topics(timeout=ANSWER_S).topics
    for name in TOPICS:
        if name in topics and topics[name].error is not None:
            raise KafkaException(topics[name].error)  # its partitions would seem to be gone
    places = [Place(name, number) for name in TOPICS if name in topics for number in sorted(topics[name].partitions)]
    asked = [TopicPartition(*place) for place in places]
    futures = [
        admin.list_offsets(dict.fromkeys(asked, spec), isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ANSWER_S)
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
    ]
    earliest, latest = (
        {Place(where.topic, where.partition): future.result().offset for where, future in found.items()} for found in futures
    )
    return {place: Bounds(earliest[place], latest[place]) for place in places}


def _is_passing(error: KafkaError) -> bool:
    """What the client gets over by itself. An offset out of range is not: the log was cut under us."""
    return error.code() in {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._PARTITION_EOF}


def _new_consumer(options: KafkaOptions, **more: Any) -> Consumer:
    """For assigned partitions: it joins no group and commits nothing. Raises KafkaException."""
    small: dict[str, Any] = {
        "queued.min.messages": 1_000,
        "queued.max.messages.kbytes": 8_192,
        "fetch.message.max.bytes": 4 * 1_048_576,
        "fetch.wait.max.ms": 50,
    }
    consumer = new_consumer(options, _NAME, **small, **more)
    # Else the client finds the leaders of what it is assigned in its round of every second.
    consumer.list_topics(timeout=ANSWER_S)
    return consumer


def _settings(options: KafkaOptions) -> dict[str, Any]:
    return {
        "bootstrap.servers": options.bootstrap,
        "client.id": f"{options.client_id}-tail",
        "log_level": 0,
        **options.security,
    }
