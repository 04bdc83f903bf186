"""Entities as of the last commit, so that a batch reads from the store only what it has not seen lately."""

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice, repeat
from typing import Generic

from engine.ports import Entity, S


class Remembered(Generic[S]):
    """At most `entities_max`. What was used longest ago goes first.

    Keeping that order costs a fiftieth of reading an entity again (docs/adr/0034).
    """

    def __init__(self, entities_max: int) -> None:
        self._max = entities_max
        self._entities: dict[str, Entity[S]] = {}  # in the order of use

    def __len__(self) -> int:
        return len(self._entities)

    @property
    def by_key(self) -> Mapping[str, Entity[S]]:
        """All of them."""
        return self._entities

    def keep(self, used: Iterable[Mapping[str, Entity[S]]]) -> None:
        """These are the truth now."""
        mine = self._entities
        for entities in used:
            deque(map(mine.pop, entities, repeat(None)), maxlen=0)  # else they would stay at their old places
            mine.update(entities)
        excess = len(mine) - self._max
        if excess > 0:
            for key in list(islice(mine, excess)):
                del mine[key]

    def clear(self) -> None:
        """Forget all."""
        self._entities.clear()
