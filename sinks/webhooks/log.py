"""The log as many subscriptions read it: each at its own place, all of them out of one consumer's memory while they keep up.

The tail is read once, decoded once and kept as a ring for each partition; who falls behind it reads through a second consumer,
in turns. So a subscriber that was away for a day costs others nothing but turns among those behind.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Event, Lock, Thread
from typing import Any, Final, NamedTuple, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from engine.errors import TransientFault
from engine.kafka import fault_of, new_consumer
from engine.options import KafkaOptions
from engine.reach import Reach
from schemas import deprecation, traceparent
from schemas.cloudevents import CloudEvent, CloudEventError, json_format, kafka_binding
from schemas.filters import attributes_of
from schemas.registry import Registry
from schemas.subscriptions import Place
from schemas.topics import Classification

RING_RECORDS_MAX: Final = 5_000  # a partition
RING_BYTES_MAX: Final = 4 * 1_048_576
POLL_S: Final = 0.05  # what an event waits at most for others to be told with
POLL_RECORDS_MAX: Final = 1_000
FETCH_S: Final = 5.0
FETCHED_S: Final = 0.005
FETCH_RECORDS_MAX: Final = 1_000
FETCHED_MAX: Final = 2  # fetches kept of a partition
RETRY_S: Final = 2.0
NUMBER_EXTENSION: Final = "deliverynumber"
# A member of that name, which may be null, so that the event has no such extension, or be written with escaped letters.
_NUMBERED: Final = re.compile(rb"%s|\\u00[67]" % NUMBER_EXTENSION.encode("ascii"))

log = structlog.get_logger("webhooks")


class Record:
    """One event of the log. What costs is made when it is first asked for, once for all subscriptions.

    `text`: the event as it stands in the log, where that is what goes out.
    """

    def __init__(
        self,
        place: Place,
        offset: int,
        key: bytes,
        at_ms: int,
        event: CloudEvent,
        parent: str | None = None,
        text: bytes | None = None,
    ) -> None:
        self.place = place
        self.offset = offset
        self.key = key
        self.at_ms = at_ms
        self.event = event
        self.parent = parent  # the traceparent of whoever wrote it
        self._text = text

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """For filters."""
        return attributes_of(self.event)

    @cached_property
    def body(self) -> bytes:
        """Structured JSON, to be completed by `numbered`."""
        extensions = self.event.extensions
        if NUMBER_EXTENSION not in extensions:
            if self._text is not None and self._text.startswith(b"{") and not _NUMBERED.search(self._text):
                return self._text
            return json_format.encode(self.event)
        kept = {name: value for name, value in extensions.items() if name != NUMBER_EXTENSION}
        event = self.event
        return json_format.encode(
            CloudEvent(
                event.id,
                event.source,
                event.type,
                event.subject,
                event.time,
                event.datacontenttype,
                event.dataschema,
                kept,
                event.data,
            )
        )


def numbered(body: bytes, number: int) -> bytes:
    """The body with the subscription's number as an extension: inside what is signed."""
    return b'{"%s":"%d",%s' % (NUMBER_EXTENSION.encode(), number, body[1:])


class Chunk(NamedTuple):
    """What stands from an offset on. Records that are no events are left out: the workers put them into quarantine."""

    records: Sequence[Record]
    next_offset: int


class HistoryGone(Exception):
    """The log begins later than what was asked for: retention has removed it."""

    def __init__(self, earliest: int) -> None:
        super().__init__(f"the log begins at {earliest}")
        self.earliest = earliest


class Log(Protocol):
    """What couriers read."""

    @property
    def places(self) -> Collection[Place]:
        """All partitions of all topics."""
        ...

    async def read(self, place: Place, offset: int, limit: int) -> Chunk:
        """At most `limit` records from `offset` on; none when there are none yet. Raises HistoryGone, or a fault."""
        ...

    @property
    def version(self) -> int:
        """Rises whenever something was written anywhere."""
        ...

    async def news(self, seen: int, timeout_s: float) -> None:
        """Until `version` is another one than `seen`, or so long."""
        ...

    def classification_of(self, place: Place) -> Classification:
        """Of the topic."""
        ...


class _Ring:
    """The newest records of a partition. Written by the tail's thread, read by the loop, under one lock."""

    def __init__(self, start: int) -> None:
        self.start = start  # the first offset that is certainly here
        self.next = start
        self._records: deque[tuple[Record, int]] = deque()
        self._bytes = 0

    def add(self, record: Record | None, offset: int, size: int) -> None:
        self.next = offset + 1
        if record is None:
            return
        self._records.append((record, size))
        self._bytes += size
        while len(self._records) > RING_RECORDS_MAX or self._bytes > RING_BYTES_MAX:
            dropped, size = self._records.popleft()
            self._bytes -= size
            self.start = dropped.offset + 1

    def read(self, offset: int, limit: int) -> Chunk:
        records = self._records
        low, high = 0, len(records)
        while low < high:  # a deque's middle is slow to reach, but the place is nearly always the end
            middle = (low + high) // 2
            if records[middle][0].offset < offset:
                low = middle + 1
            else:
                high = middle
        found = [records[index][0] for index in range(low, min(low + limit, len(records)))]
        is_cut = low + limit < len(records)
        return Chunk(found, found[-1].offset + 1 if is_cut else max(self.next, offset))


class KafkaLog:
    """A Log on Kafka. Open it in the loop that reads it."""

    def __init__(
        self,
        options: KafkaOptions,
        topics: dict[str, Classification],
        registry: Registry,
        reach: Reach | None = None,
    ) -> None:
        self._topics = topics
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._tail = _reader(options, reach, queued_min=10_000)
        self._behind = _reader(options, queued_min=2_000)
        self._behind_at: tuple[Place, int] | None = None
        self._fetched: dict[Place, deque[tuple[int, Chunk]]] = {}
        self._turns = ThreadPoolExecutor(1, thread_name_prefix="webhook-behind")
        self._lock = Lock()
        self._rings: dict[Place, _Ring] = {}
        self._bug: BaseException | None = None
        self._version = 0
        self._told: asyncio.Future[None] = self._loop.create_future()
        self._stopping = Event()
        self._thread = Thread(target=self._follow, name="webhook-tail", daemon=True)

    async def open(self) -> None:
        """Find the partitions and begin to follow them. Raises a fault."""
        await self._loop.run_in_executor(self._turns, self._assign)
        self._thread.start()

    def check(self) -> None:
        """Raises what ended the following: a bug, nothing that waiting helps."""
        if self._bug is not None:
            raise self._bug

    async def close(self) -> None:
        """Stop both consumers."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        await self._loop.run_in_executor(self._turns, self._behind.close)
        self._turns.shutdown()
        await asyncio.to_thread(self._tail.close)

    @property
    def places(self) -> Collection[Place]:
        return self._rings.keys()

    @property
    def ends(self) -> dict[Place, int]:
        """The offset of each partition's next record, as far as the tail has followed."""
        with self._lock:
            return {place: ring.next for place, ring in self._rings.items()}

    def classification_of(self, place: Place) -> Classification:
        return self._topics[place.topic]

    async def read(self, place: Place, offset: int, limit: int) -> Chunk:
        with self._lock:
            ring = self._rings[place]
            if offset >= ring.start:
                return ring.read(offset, limit)
        kept = self._kept(place, offset, limit)
        if kept is not None:
            return kept
        return await self._loop.run_in_executor(self._turns, self._fetch, place, offset, limit)

    @property
    def version(self) -> int:
        return self._version

    async def news(self, seen: int, timeout_s: float) -> None:
        if self._version != seen:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self._told)

    # --- the tail's thread ---

    def _assign(self) -> None:
        found = []
        for topic in self._topics:
            described = _asked(lambda topic=topic: self._tail.list_topics(topic, timeout=10).topics[topic])  # type: ignore[misc]
            if described.error is not None:
                raise fault_of(described.error)
            for partition in described.partitions:
                place = Place(topic, partition)
                _, high = _asked(lambda place=place: self._tail.get_watermark_offsets(TopicPartition(*place), timeout=10))  # type: ignore[misc]
                self._rings[place] = _Ring(high)
                found.append(TopicPartition(topic, partition, high))
        self._tail.assign(found)

    def _follow(self) -> None:
        try:
            while not self._stopping.is_set():
                self._follow_once()
        except BaseException as error:
            self._bug = error
            raise

    def _follow_once(self) -> None:
        try:
            messages = self._tail.consume(POLL_RECORDS_MAX, POLL_S)
            is_news, errors = self._took(messages)
            if errors:
                log.warning("the tail met errors and is set anew", errors=sorted({error.str() for error in errors}))
                self._stopping.wait(RETRY_S)
                self._set_anew()
        except KafkaException as error:
            log.warning("the tail cannot be read; trying again", error=str(error))
            self._stopping.wait(RETRY_S)
            return
        if is_news:
            self._loop.call_soon_threadsafe(self._tell)

    def _took(self, messages: Sequence[Any]) -> tuple[bool, list[KafkaError]]:
        decoded = [(message, None if message.error() else _record(message, self._registry)) for message in messages]
        is_news = False
        errors = []
        with self._lock:
            for message, record in decoded:
                error = message.error()
                if error is None:
                    self._ring_of(message).add(record, message.offset(), len(message.value() or b""))
                    is_news = True
                elif error.code() == KafkaError._PARTITION_EOF:
                    ring = self._ring_of(message)
                    ring.next = max(ring.next, message.offset())  # behind markers of transactions
                else:
                    errors.append(error)
        return is_news, errors

    def _ring_of(self, message: Any) -> _Ring:
        return self._rings[Place(message.topic(), message.partition())]

    def _set_anew(self) -> None:
        """Go on where each ring ends, or where the log begins or ends now: its offsets may have moved under us."""
        places = []
        for place, ring in list(self._rings.items()):
            low, high = self._tail.get_watermark_offsets(TopicPartition(*place), timeout=10)
            at = min(max(ring.next, low), high)
            if at != ring.next:
                with self._lock:
                    self._rings[place] = _Ring(at)
            places.append(TopicPartition(*place, at))
        self._tail.assign(places)

    def _tell(self) -> None:
        self._version += 1
        told, self._told = self._told, self._loop.create_future()
        told.set_result(None)

    # --- the turns of those behind ---

    def _kept(self, place: Place, offset: int, limit: int) -> Chunk | None:
        """From what was fetched of late: after an outage many are behind at much the same place."""
        for start, chunk in tuple(self._fetched.get(place, ())):
            if start <= offset < chunk.next_offset:
                found = [record for record in chunk.records if record.offset >= offset]
                is_cut = len(found) > limit
                return Chunk(found[:limit], found[limit - 1].offset + 1 if is_cut else chunk.next_offset)
        return None

    def _fetch(self, place: Place, offset: int, limit: int) -> Chunk:
        kept = self._kept(place, offset, limit)  # somebody asked for the same while this one waited for its turn
        if kept is not None:
            return kept
        try:
            if self._behind_at != (place, offset):
                if not self._has_more(place, offset):
                    return Chunk((), offset)
                self._behind.assign([TopicPartition(*place, offset)])
            self._behind_at = None
            chunk = self._read_behind(place, offset)
        except KafkaException as error:
            raise fault_of(error.args[0]) from error
        if chunk.next_offset == offset:
            return chunk
        self._fetched.setdefault(place, deque(maxlen=FETCHED_MAX)).append((offset, chunk))
        return self._kept(place, offset, limit) or chunk

    def _has_more(self, place: Place, offset: int) -> bool:
        """A question of a millisecond; a fetch takes half a second to say that nothing stands there, and a snapshot looks at
        every partition that was ever written to."""
        earliest, end = self._behind.get_watermark_offsets(TopicPartition(*place), timeout=10)
        if offset < earliest:
            raise HistoryGone(earliest)
        return bool(offset < end)

    def _read_behind(self, place: Place, offset: int) -> Chunk:
        records: list[Record] = []
        following = offset
        # The first may take a request; the others came with it. consume() waits its whole time for a number it does not get.
        messages = self._behind.consume(1, FETCH_S)
        messages += self._behind.consume(FETCH_RECORDS_MAX - 1, FETCHED_S) if messages and not messages[0].error() else []
        if not messages:
            raise TransientFault(f"Kafka: {place.topic} p{place.partition}@{offset} was not read within {FETCH_S:g} s")
        for message in messages:
            error = message.error()
            if error is None:
                following = message.offset() + 1
                record = _record(message, self._registry)
                if record is not None:
                    records.append(record)
            elif error.code() == KafkaError._PARTITION_EOF:
                return Chunk(records, max(following, message.offset()))
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                earliest, _ = self._behind.get_watermark_offsets(TopicPartition(*place), timeout=10)
                raise HistoryGone(earliest)
            else:
                raise fault_of(error)
        self._behind_at = (place, following)
        return Chunk(records, following)


def _reader(options: KafkaOptions, reach: Reach | None = None, *, queued_min: int) -> Consumer:
    """It joins no group: positions stand in PostgreSQL, one for each subscription."""
    return new_consumer(
        options,
        "webhooks",
        reach,
        # Who is behind takes a thousand records of a partition at a turn; what else was fetched with them is thrown away.
        **{"enable.partition.eof": True, "queued.min.messages": queued_min, "fetch.message.max.bytes": 1_048_576},
    )


def _record(message: Any, registry: Registry) -> Record | None:
    headers, value = message.headers(), message.value()
    try:
        event = registry.decode(headers, value)
    except CloudEventError:
        return None  # a tombstone, or the workers' business
    text = value if kafka_binding.is_structured(headers) else None
    contract = registry.contracts.get(event.type)
    if contract is not None and contract.deprecated_on is not None:
        event, text = deprecation.told(event, deprecation.attributes_of(contract)), None
    place = Place(message.topic(), message.partition())
    return Record(place, message.offset(), message.key() or b"", message.timestamp()[1], event, _parent(headers), text)


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except KafkaException as error:
        raise fault_of(error.args[0]) from error


def _parent(headers: list[tuple[str, bytes]] | None) -> str | None:
    """Nearly every record has one header, and then it is another."""
    return None if headers is None or len(headers) < 2 else traceparent.of_headers(headers)
