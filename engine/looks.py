"""What a thread looks at again and again, beside the work and for whoever reads: one that fails is told of once."""

from collections.abc import Callable, Mapping
from threading import Event

import psycopg

from engine.database import StoreRefused
from engine.errors import Fault


def keep_looking(
    looks: Mapping[str, Callable[[], object]],
    stopping: Event,
    tell: Callable[[str, Exception], None],
    *,
    every_s: float,
    away_s: float | None = None,
) -> None:
    """Each look by turns every `every_s`, every `away_s` while one fails, until `stopping`.

    What fails, for whatever reason of Kafka's or PostgreSQL's, is told once (name, fault) and made again; the others go on.
    """
    failing: set[str] = set()
    while True:
        for name, look in looks.items():
            try:
                look()
                failing.discard(name)
            except (Fault, StoreRefused, psycopg.Error) as fault:
                if name not in failing:
                    tell(name, fault)
                failing.add(name)
        if stopping.wait(away_s if failing and away_s is not None else every_s):
            return
