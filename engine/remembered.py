"""Entities as of the last commit, so that a batch reads from the store only what it has not seen lately."""

from collections.abc import Mapping
from typing import Generic

from engine.ports import Entity, S


class Remembered(Generic[S]):
    """At most about `entities_max`, in two generations: what a whole generation did not use is forgotten with it.

    That costs nothing a key, where a list of what was used when costs as much as a rule does.
    """

    def __init__(self, entities_max: int) -> None:
        self._young_max = max(1, entities_max // 2)
        self._young: dict[int, dict[str, Entity[S]]] = {}
        self._old: dict[int, dict[str, Entity[S]]] = {}

    def __len__(self) -> int:
        return self._count(self._young) + self._count(self._old)

    def of(self, partition: int) -> tuple[Mapping[str, Entity[S]], Mapping[str, Entity[S]]]:
        """(young, old): a key in both is the young one's."""
        return self._young.get(partition, {}), self._old.get(partition, {})

    def has(self, partition: int, key: str) -> bool:
        """Whether this key's entity lives in this partition for sure."""
        return key in self._young.get(partition, ()) or key in self._old.get(partition, ())

    def keep(self, partition: int, entities: dict[str, Entity[S]]) -> None:
        """These are the truth now."""
        self._young.setdefault(partition, {}).update(entities)
        if self._count(self._young) > self._young_max:
            self._young, self._old = {}, self._young

    def clear(self) -> None:
        """Forget all."""
        self._young.clear()
        self._old.clear()

    @staticmethod
    def _count(generation: Mapping[int, Mapping[str, Entity[S]]]) -> int:
        return sum(map(len, generation.values()))
