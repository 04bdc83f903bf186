"""What the intake believes of a consumer that is forced to behave badly."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition

from engine.intake import Intake
from engine.records import UNREADABLE

TOPIC = "research.project.event"
HOME = (TOPIC, 0)


class Sent:
    """A message as the client hands it over."""

    def __init__(self, offset: int, partition: int = 0, topic: str = TOPIC) -> None:
        self._place, self._offset = (topic, partition), offset

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def error(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)

    def key(self) -> bytes:
        return b"k"

    def headers(self) -> list[tuple[str, bytes]]:
        if self._offset == 99:
            b"\xff".decode()
        return []

    def value(self) -> bytes:
        return b"v"


class Client:
    """A consumer whose `poll` and `consume` give what is queued; a queued callable runs as a callback inside the call."""

    def __init__(self) -> None:
        self.queue: list[Any] = []
        self.paused: set[tuple[str, int]] = set()
        self.seeks: list[tuple[int, int]] = []
        self.refuses_seek = False
        self.assigned: dict[tuple[str, int], int] = {}

    def subscribe(self, _: list[str], **callbacks: Callable[..., None]) -> None:
        self.callbacks = callbacks

    def poll(self, _: float) -> Sent | None:
        while self.queue:
            item = self.queue.pop(0)
            if isinstance(item, Sent):
                return item
            item()
        return None

    def consume(self, count: int, _: float) -> list[Sent]:
        found: list[Sent] = []
        while self.queue and len(found) < count:
            item = self.queue.pop(0)
            if isinstance(item, Sent):
                found.append(item)
            else:
                item()
        return found

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused.update((p.topic, p.partition) for p in partitions)

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused.difference_update((p.topic, p.partition) for p in partitions)

    def seek(self, partition: TopicPartition) -> None:
        if self.refuses_seek:
            raise KafkaException
        self.seeks.append((partition.partition, partition.offset))

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned |= {(p.topic, p.partition): p.offset for p in partitions}

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for p in partitions:
            self.assigned.pop((p.topic, p.partition))

    # --- as the group would ---

    def give(self, *partitions: int) -> None:
        self.callbacks["on_assign"](self, [TopicPartition(TOPIC, p) for p in partitions])

    def take_away(self, *partitions: int) -> None:
        self.callbacks["on_revoke"](self, [TopicPartition(TOPIC, p) for p in partitions])


class Table:
    """An intake, its client, and the ledger that it asks."""

    def __init__(self) -> None:
        self.client = Client()
        self.ledger = {HOME: 5, (TOPIC, 1): 0}
        self.intake = Intake(self.client, [TOPIC], on_assign=lambda _: self.intake.hold(), on_revoke=lambda _: None)  # type: ignore[arg-type]

    def place(self) -> None:
        """As the runner does in its next round."""
        for place in list(self.intake.positions):
            self.intake.seek(place, self.ledger[place])
        self.intake.release()
        self.client.seeks.clear()

    def offsets(self, *sent: Any, records_max: int = 100) -> list[int]:
        self.client.queue += sent
        return [record.offset for record in self.intake.take(records_max, 0)]


@pytest.fixture
def table() -> Table:
    made = Table()
    made.client.give(0)
    made.place()
    return made


def test_records_come_from_the_ledgers_offset_on(table: Table) -> None:
    assert table.offsets(Sent(3), Sent(4), Sent(5), Sent(6)) == [5, 6]
    assert table.intake.positions == {HOME: 7}


def test_a_hole_is_believed_at_the_second_look(table: Table) -> None:
    assert table.offsets(Sent(8), Sent(9)) == []
    assert table.client.seeks == [(0, 5)]
    assert table.offsets(Sent(8), Sent(9)) == [8, 9]
    assert table.intake.gaps == {HOME: {8: 3}}


def test_a_first_look_that_was_wrong_hides_nothing(table: Table) -> None:
    assert table.offsets(Sent(10)) == []
    assert table.offsets(Sent(7), Sent(8), Sent(9), Sent(10)) == []  # another hole than at first: look again
    assert table.offsets(Sent(7), Sent(8), Sent(9), Sent(10)) == [7, 8, 9, 10]
    assert table.intake.gaps == {HOME: {7: 2}}


def test_a_record_that_was_there_after_all_makes_no_hole(table: Table) -> None:
    assert table.offsets(Sent(8)) == []
    assert table.offsets(Sent(5), Sent(6), Sent(7), Sent(8)) == [5, 6, 7, 8]
    assert table.intake.gaps == {}


def test_a_seek_drops_what_was_carried(table: Table) -> None:
    table.client.queue = [Sent(5)]
    table.intake.attend(0)
    table.intake.seek(HOME, 2)
    assert table.offsets(Sent(2)) == [2]


def test_what_was_carried_is_gone_with_the_partition(table: Table) -> None:
    table.client.queue = [Sent(9)]
    table.intake.attend(0)
    table.client.take_away(0)
    table.client.give(0)
    table.place()
    assert table.offsets(Sent(5)) == [5]
    assert table.client.seeks == []


def test_a_record_polled_before_a_rebalance_in_the_same_take_is_not_taken(table: Table) -> None:
    def rebalance() -> None:
        table.client.take_away(0)
        table.client.give(0)

    assert table.offsets(Sent(5), rebalance) == []
    assert table.client.assigned == {}
    table.place()
    assert table.offsets(Sent(5)) == [5]


def test_a_partition_that_was_shut_fetches_again_when_it_comes_back(table: Table) -> None:
    table.intake.shut(HOME)
    assert table.client.paused == {HOME}
    table.client.take_away(0)
    table.client.give(0)
    table.place()
    assert table.client.paused == set()


def test_a_partition_is_fetched_once_it_is_known_from_where(table: Table) -> None:
    table.client.give(1)
    assert table.client.assigned == {HOME: 5}
    table.place()
    assert table.client.assigned == {HOME: 5, (TOPIC, 1): 0}
    table.client.give(2)
    table.client.take_away(1, 2)  # the second was never fetched
    assert table.client.assigned == {HOME: 5}


def test_a_partition_that_is_placed_during_a_hold_waits_too(table: Table) -> None:
    table.intake.hold()
    table.client.give(1)
    table.intake.seek((TOPIC, 1), 0)
    assert table.client.paused == {HOME, (TOPIC, 1)}
    table.intake.release()
    assert table.client.paused == set()


def test_a_partition_that_is_shut_before_it_is_placed_stays_shut(table: Table) -> None:
    table.client.give(1)
    table.intake.shut((TOPIC, 1))
    table.place()
    assert table.client.paused == {(TOPIC, 1)}


def test_a_release_leaves_shut_partitions_shut(table: Table) -> None:
    table.intake.shut(HOME)
    table.intake.hold()
    table.intake.release()
    assert table.client.paused == {HOME}
    table.intake.hold()
    table.intake.open(HOME)
    assert table.client.paused == {HOME}
    table.intake.release()
    assert table.client.paused == set()


def test_a_refused_seek_assigns_anew(table: Table) -> None:
    table.client.refuses_seek = True
    table.intake.seek(HOME, 2)
    assert table.client.assigned == {HOME: 2}
    assert table.intake.positions == {HOME: 2}


def test_unreadable_headers_stand_for_themselves(table: Table) -> None:
    table.intake.stand(HOME, 99)
    table.client.queue = [Sent(99)]
    assert [record.headers for record in table.intake.take(10, 0)] == [UNREADABLE]


def test_a_compacted_topic_has_holes_by_design() -> None:
    table, state = Table(), "research.project.state"
    table.ledger[state, 0] = 5
    table.client.callbacks["on_assign"](table.client, [TopicPartition(state, 0)])
    table.place()
    assert table.offsets(Sent(9, topic=state)) == [9]
    assert table.intake.gaps == {(state, 0): {9: 4}}
