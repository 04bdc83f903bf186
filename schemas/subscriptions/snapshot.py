"""A snapshot: the latest event of each type and subject up to a fixed position, then a watermark, then the tail. Pure.

The position is one end offset for each partition, taken once. What stands before an end is the snapshot's, what stands from
it on is the tail's, so no event is in both and none in neither. The snapshot is what the subscription would have got from the
earliest event on, without what a later one of the same type, subject and classification has overtaken.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.cloudevents import CloudEvent
from schemas.subscriptions.model import Place, Subscription
from schemas.topics import Classification

RECORDS_MAX: Final = 2_000_000  # to look through for one snapshot
COMPLETED: Final = "platform.snapshot.completed.v1"
# Where the watermark stands, beside the partitions. No topic can have this name. 0: it is still to come, 1: it is behind.
SEAM: Final = Place("~snapshot", 0)


class Latest:
    """The newest offset of each type, subject and classification of one partition. What has no subject is the newest of itself.

    Whoever may not see a newer event of a stricter classification still gets the older one that he may see.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str, Classification], int] = {}
        self._alone: list[int] = []

    def add(self, wire_type: str, subject: object, classification: Classification, offset: int) -> None:
        """In the order of offsets."""
        if isinstance(subject, str) and subject:
            self._newest[wire_type, subject, classification] = offset
        else:
            self._alone.append(offset)

    def offsets(self) -> list[int]:
        """In their order."""
        return sorted((*self._newest.values(), *self._alone))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`ends`: its position. `listed`: offsets, ascending, of the partitions that were looked through already."""

    ends: Mapping[Place, int]
    listed: Mapping[Place, Sequence[int]]

    @property
    def missing(self) -> list[Place]:
        """Partitions still to be looked through."""
        return [place for place in sorted(self.ends) if place not in self.listed]

    @property
    def count(self) -> int:
        return sum(map(len, self.listed.values()))

    def next_at(self, place: Place, offset: int) -> int | None:
        """The first listed offset from here on; None: this partition is done."""
        listed = self.listed.get(place, ())
        at = bisect_left(listed, offset)
        return listed[at] if at < len(listed) else None

    def lists(self, place: Place, offset: int) -> bool:
        return self.next_at(place, offset) == offset

    def count_between(self, place: Place, first: int, end: int) -> int:
        """How many are listed from `first` on and before `end`."""
        listed = self.listed.get(place, ())
        return bisect_left(listed, end) - bisect_left(listed, first)

    def count_before(self, positions: Mapping[Place, int]) -> int:
        """How many are listed before these positions."""
        return sum(self.count_between(place, 0, offset) for place, offset in positions.items())

    def wanted(self, positions: Mapping[Place, int]) -> dict[Place, int]:
        """Where to read on, of the partitions that are not done."""
        found = {place: self.next_at(place, offset) for place, offset in positions.items()}
        return {place: offset for place, offset in found.items() if offset is not None}

    def within(self, place: Place, offset: int) -> int:
        """No further than where the tail begins: who reads in stretches may have looked behind it."""
        return min(offset, self.ends[place])

    def tail(self, positions: Mapping[Place, int]) -> dict[Place, int]:
        """Behind the watermark: what was added meanwhile keeps its own beginning."""
        return {place: max(offset, self.ends.get(place, 0)) for place, offset in positions.items() if place != SEAM}


def watermark(subscription: Subscription, snapshot: Snapshot, prefix: str) -> CloudEvent:
    """The same one every time. Its `time` is when the position was taken."""
    positions: dict[str, dict[str, int]] = {}
    for (topic, partition), end in sorted(snapshot.ends.items()):
        positions.setdefault(topic, {})[str(partition)] = end
    data: dict[str, Any] = {"positions": positions, "events": snapshot.count}
    return CloudEvent(
        id=f"{subscription.id}-snapshot",
        source=f"/dujiang/subscriptions/{subscription.id}",
        type=f"{prefix}.{COMPLETED}",
        subject=str(subscription.id),
        time=subscription.created_at,
        datacontenttype="application/json",
        dataschema=None,
        extensions={},
        data=data,
    )
