"""The consumer's side of a runner: which partitions are ours, where we stand in each, and no record taken twice or left out.

All calls come from one thread, rebalance callbacks included (a commit from another thread would deadlock with a callback).
In a callback the client is asked nothing: a question that waits for its answer takes the place of the call that the callback
stands in, and the next callback of that call ends the process. So a new partition is fetched once `seek` has said from where.

Never assign a logical offset and seek afterwards: an answer to the look-up of the first that the second has overtaken is not
dropped, but asked for anew half a second later, and the seek is forgotten (librdkafka 2.16, `rd_kafka_toppar_handle_Offset`).
Records published meanwhile would be passed over.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from operator import methodcaller
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as ClientMessage

from engine.kafka import fault_of
from engine.records import UNREADABLE, Place, Record
from schemas.topics import TOPICS

log = structlog.get_logger()
COMPACTED = frozenset(topic.name for topic in TOPICS.values() if topic.cleanup == "compact")
_RETRIABLE_S = 10.0
# For a header whose name is not UTF-8 the client returns null pointers with an exception set aside. A call from Python code may
# not notice, and the process dies of the pointers; a call from C looks, and raises.
_headers_of = methodcaller("headers")


class Intake:
    """`take` gives records in order per partition, each exactly at its position.

    After `on_assign(places)` nothing is fetched from a new partition until `seek` has said where it begins.
    """

    def __init__(
        self,
        consumer: Consumer,
        topics: Sequence[str],
        *,
        on_assign: Callable[[list[Place]], None],
        on_revoke: Callable[[list[Place]], None],
    ) -> None:
        self._consumer = consumer
        self._on_assign = on_assign
        self._on_revoke = on_revoke
        self._carried: list[ClientMessage] = []
        self._doubts: dict[Place, tuple[int, int]] = {}
        self._fetched: set[Place] = set()
        self._shut: set[Place] = set()
        self._is_held = False
        self.is_joined = False
        self.positions: dict[Place, int] = {}
        self.gaps: dict[Place, dict[int, int]] = {}  # offset after the hole -> its size
        consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = [(partition.topic, partition.partition) for partition in partitions]
        for place in places:
            self.stand(place, 0)
        if places:
            self._on_assign(places)
        consumer.incremental_assign([])
        self.is_joined = True

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = [(partition.topic, partition.partition) for partition in partitions]
        if places:
            self._on_revoke(places)
        for place in places:
            self.positions.pop(place, None)
            self.gaps.pop(place, None)
            self._drop(place)
        consumer.incremental_unassign([TopicPartition(*place) for place in places if place in self._fetched])
        self._fetched.difference_update(places)
        self._shut.difference_update(places)

    def bounds_of(self, place: Place) -> tuple[int, int]:
        """(beginning, end) of a partition's log. Raises a fault."""
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=_RETRIABLE_S)
        except KafkaException as error:
            raise fault_of(error.args[0]) from error
        return low, high

    def take(self, records_max: int, wait_s: float, until_s: float = 0) -> list[Record]:
        """Up to `records_max` records. Waits `wait_s` for the first, and until `until_s` by time.perf_counter for the others.

        Raises a fault on a client's error.
        """
        if not self._carried:
            first = self._consumer.poll(wait_s)
            if first is None:
                return []
            self._carried.append(first)
        missing = records_max - len(self._carried)
        if missing > 0:
            more = self._consumer.consume(missing, max(0.0, until_s - time.perf_counter()))
            self._carried += more  # in a statement of its own: a rebalance in there drops what was carried of its partitions
        messages, self._carried = self._carried, []
        return self._ordered(messages)

    def attend(self, wait_s: float) -> None:
        """Keep the membership alive while a batch waits (`hold` first); what comes all the same is carried over."""
        message = self._consumer.poll(wait_s)
        if message is not None:
            self._carried.append(message)

    def _ordered(self, messages: Sequence[ClientMessage]) -> list[Record]:
        """Those that follow one another from where we stand. They come in runs of one partition, and a run costs one look."""
        records: list[Record] = []
        doubted: set[Place] = set()
        at: Place | None = None
        topic, partition, following = "", -1, -1
        for message in messages:
            error = message.error()
            if error is not None:
                self._report(error, records)
                continue
            offset = message.offset()
            if offset != following or message.partition() != partition or message.topic() != topic:
                if at is not None:
                    self.positions[at] = following
                at = (message.topic(), message.partition())
                if not self._is_next(at, offset, doubted):
                    at, following = None, -1
                    continue
                topic, partition = at
            following = offset + 1
            try:
                headers = _headers_of(message)
            except (UnicodeDecodeError, SystemError):
                headers = UNREADABLE
            records.append(Record(topic, partition, offset, message.timestamp()[1], message.key(), headers, message.value()))
        if at is not None:
            self.positions[at] = following
        return records

    def _is_next(self, place: Place, offset: int, doubted: set[Place]) -> bool:
        """Whether this offset is where we stand, or comes after a hole that is one."""
        expected = self.positions.get(place)
        if expected is None or offset < expected or place in doubted:
            return False  # fetched before a seek or a revocation
        if offset == expected or self._is_hole(place, expected, offset):
            return True
        doubted.add(place)
        return False

    def _is_hole(self, place: Place, expected: int, offset: int) -> bool:
        """A hole in the log (a transaction's marker) is believed only at a second look, after a seek to where it begins.

        A compacted topic is full of holes by design.
        """
        if self._doubts.get(place) == (expected, offset) or place[0] in COMPACTED:
            self._doubts.pop(place, None)
            self.gaps.setdefault(place, {})[offset] = offset - expected
            return True
        self.seek(place, expected)
        self._doubts[place] = (expected, offset)
        return False

    def _report(self, error: KafkaError, records: Sequence[Record]) -> None:
        """Records already taken in this round must not be lost to an exception."""
        if records:
            log.warning("kafka", error=error.str())
            return
        raise fault_of(error)

    def stand(self, place: Place, offset: int) -> None:
        """Where the next record of a partition is expected; what was fetched before is dropped."""
        self.positions[place] = offset
        self._drop(place)

    def seek(self, place: Place, offset: int) -> None:
        """Begin at an offset, or go back (or on) to it; records fetched beyond it are dropped as they come. Raises a fault."""
        self.stand(place, offset)
        if place not in self._fetched:
            self._fetch(place, offset)
            return
        try:
            self._consumer.seek(TopicPartition(*place, offset))
        except KafkaException:
            # Not fetching yet, or no longer: assign anew at the offset.
            self._told(self._consumer.incremental_unassign, TopicPartition(*place))
            self._fetched.discard(place)
            self._fetch(place, offset)

    def _fetch(self, place: Place, offset: int) -> None:
        self._told(self._consumer.incremental_assign, TopicPartition(*place, offset))
        self._fetched.add(place)
        # The client remembers a pause from a former ownership, and would never fetch again.
        if self._is_held or place in self._shut:
            self._pause([place])
        else:
            self._resume([place])

    @staticmethod
    def _told(verb: Callable[[list[TopicPartition]], Any], partition: TopicPartition) -> None:
        try:
            verb([partition])
        except KafkaException as error:
            raise fault_of(error.args[0]) from error

    def _drop(self, place: Place) -> None:
        self._carried = [m for m in self._carried if (m.topic(), m.partition()) != place]
        self._doubts.pop(place, None)

    def hold(self) -> None:
        """Fetch nothing at all, partitions that come meanwhile included, until `release`."""
        if not self._is_held:
            self._is_held = True
            self._pause(self._fetched)

    def release(self) -> None:
        """Fetch again, but from partitions that are shut."""
        if self._is_held:
            self._is_held = False
            self._resume(self._fetched - self._shut)

    def shut(self, place: Place) -> None:
        """Fetch nothing from this one until `open`."""
        self._shut.add(place)
        if place in self._fetched:
            self._pause([place])

    def open(self, place: Place) -> None:
        """Fetch from it again."""
        self._shut.discard(place)
        if not self._is_held and place in self._fetched:
            self._resume([place])

    def _pause(self, places: Iterable[Place]) -> None:
        self._consumer.pause([TopicPartition(*place) for place in places])

    def _resume(self, places: Iterable[Place]) -> None:
        self._consumer.resume([TopicPartition(*place) for place in places])

    def hint(self, offsets: dict[Place, int]) -> None:
        """Commit to Kafka: a hint for other tools; the ledger decides."""
        try:
            self._consumer.commit(offsets=[TopicPartition(*place, offset) for place, offset in offsets.items()])
        except KafkaException as error:
            log.info("offset hint not committed", error=str(error))

    def ends(self) -> dict[Place, int]:
        """The log's end per partition of ours, as the last fetch told it; partitions not fetched yet are left out."""
        found: dict[Place, int] = {}
        for place in self.positions:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            if high >= 0:
                found[place] = high
        return found

    def partitions_of(self, topics: Sequence[str]) -> dict[str, int]:
        """How many partitions each topic has. Raises a fault when one does not exist."""
        found: dict[str, int] = {}
        for topic in topics:
            try:
                described = self._consumer.list_topics(topic, timeout=_RETRIABLE_S).topics[topic]
            except KafkaException as error:
                raise fault_of(error.args[0]) from error
            if described.error is not None:
                raise fault_of(described.error)
            found[topic] = len(described.partitions)
        return found

    def close(self) -> None:
        """Leave the group; revocation callbacks run in here."""
        self._consumer.close()
