"""Where a real client begins to fetch a partition that it has just been given."""

from typing import Any

import pytest
from confluent_kafka import Producer

from engine.intake import Intake
from engine.kafka import new_consumer
from schemas.topics import CALL_STATE

pytestmark = pytest.mark.services


def test_nothing_is_looked_up_at_the_broker_while_a_partition_waits_for_its_place(stage: Any) -> None:
    """A client that is given a logical offset may come back to it after the seek, past what was published meanwhile."""
    consumer = new_consumer(stage.options.kafka, "placing")
    intake = Intake(consumer, [CALL_STATE.name], on_assign=lambda _: None, on_revoke=lambda _: None)
    try:
        stage.until(lambda: bool(intake.take(1, 0.05)) or bool(intake.positions))
        assert len(intake.positions) == CALL_STATE.partitions
        assert consumer.assignment() == []
        ends = {place: intake.bounds_of(place)[1] for place in intake.positions}
        producer = Producer({"bootstrap.servers": stage.bootstrap})
        for topic, partition in ends:
            producer.produce(topic, b"{}", b"placed", partition)
        producer.flush(10)
        for place, end in ends.items():
            intake.seek(place, end)
        taken: list[tuple[str, int]] = []

        def are_taken() -> bool:
            taken.extend(record.place for record in intake.take(100, 0.05))
            return len(taken) == len(ends)

        stage.until(are_taken, 15, lambda: f"taken: {taken} of {ends}")
        assert intake.gaps == {}
    finally:
        intake.close()
