"""The log as readers see it: a port with five verbs. `tail.SharedLog` is Kafka's; tests have one in memory."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from gateway.subscriptions.records import Record
from schemas.subscriptions import Place


class Bounds(NamedTuple):
    """Of a partition: the earliest offset that is retained, and the offset that the next record will get."""

    earliest: int
    end: int


class Stretch(NamedTuple):
    """All records of a partition from the offset asked for up to, not including, `next_offset`."""

    place: Place
    records: Sequence[Record]
    next_offset: int


class Log(Protocol):
    """Every verb raises TransientFault when Kafka does not answer, EnvironmentFault when it refuses us."""

    def joined(self) -> AbstractAsyncContextManager[None]:
        """Whoever reads is inside this; while nobody is, nothing need be followed."""
        ...

    async def bounds(self, *, fresh: bool = False) -> Mapping[Place, Bounds]:
        """Of every partition of every topic, at most two seconds old; `fresh`: looked at after the call."""
        ...

    async def at(self, topics: Sequence[str], instant: datetime) -> Mapping[Place, int]:
        """The first offset in each partition whose record is not older than the instant; the end where there is none."""
        ...

    async def read(self, positions: Mapping[Place, int], records_max: int) -> Sequence[Stretch]:
        """What stands behind these positions, in each partition in its order, about so many records in all.

        An offset that retention has passed gives no stretch: `bounds` tells.
        """
        ...

    async def moved(self, timeout_s: float) -> None:
        """Wait until something new has come, at most so long."""
        ...
