"""Transaction markers in a log."""

from typing import Any

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.topics import PROJECT_EVENT


def has_all_markers(stage: Any) -> bool:
    """The coordinator writes a transaction's markers after it has told the producer that the transaction is over."""
    admin = AdminClient({"bootstrap.servers": stage.bootstrap})
    wanted = {TopicPartition(*place): OffsetSpec.latest() for place in stage.ends() if place[0] == PROJECT_EVENT.name}
    seen = admin.list_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED)
    ends = admin.list_offsets(wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED)
    return all(seen[place].result().offset == ends[place].result().offset for place in wanted)
