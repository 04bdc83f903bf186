"""Entities as of the last commit, so that a batch reads from the store only what it has not seen lately."""

from collections import deque
from collections.abc import Mapping
from itertools import islice, repeat
from typing import Generic

from engine.ports import Entity, S


class Remembered(Generic[S]):
    """At most `entities_max`. What was used longest ago goes first: partitions, and keys in each, stand in the order of use.

    Looking a key up again in the store costs a hundred times what keeping that order does.
    """

    def __init__(self, entities_max: int) -> None:
        self._max = entities_max
        self._partitions: dict[int, dict[str, Entity[S]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._partitions.values()))

    def of(self, partition: int) -> Mapping[str, Entity[S]]:
        """By key."""
        return self._partitions.get(partition, {})

    def keep(self, partition: int, entities: dict[str, Entity[S]]) -> None:
        """These are the truth now."""
        mine = self._partitions.pop(partition, {})
        deque(map(mine.pop, entities, repeat(None)), maxlen=0)  # else they would stay at their old places
        mine.update(entities)
        self._partitions[partition] = mine
        excess = len(self) - self._max
        if excess > 0:
            self._forget(excess)

    def clear(self) -> None:
        """Forget all."""
        self._partitions.clear()

    def _forget(self, count: int) -> None:
        for mine in self._partitions.values():
            oldest = list(islice(mine, count))
            for key in oldest:
                del mine[key]
            count -= len(oldest)
            if not count:
                return
