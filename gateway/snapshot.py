"""A whole table in memory, never older than FRESH_S: what is looked at on every request, so that a revocation holds within it.

The whole table and not single rows: whoever sends made-up tokens then costs the database nothing.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from psycopg import Cursor

from engine.clock import Clock
from engine.errors import Fault
from gateway.store import Store

A = TypeVar("A")

FRESH_S: Final = 5.0
RETRY_S: Final = 1.0  # those who waited for a read that failed do not each try it again


class Snapshot(Generic[A]):
    """What `read` found, read again when it is too old. Those who ask meanwhile wait for the same read."""

    def __init__(self, store: Store, clock: Clock, read: Callable[[Cursor[Any], datetime], A]) -> None:
        self._store = store
        self._clock = clock
        self._query = read
        self._found: tuple[float, A] | None = None
        self._failed: tuple[float, Fault] | None = None
        self._reading = asyncio.Lock()

    async def get(self) -> A:
        """Raises TransientFault or EnvironmentFault when it is too old and cannot be read."""
        fresh = self._fresh()
        if fresh is None:
            async with self._reading:
                fresh = self._fresh() or await self._read()
        return fresh[1]

    def _fresh(self) -> tuple[float, A] | None:
        found = self._found
        return found if found is not None and self._clock.monotonic_s() - found[0] < FRESH_S else None

    async def _read(self) -> tuple[float, A]:
        asked_s = self._clock.monotonic_s()
        if self._failed is not None and asked_s - self._failed[0] < RETRY_S:
            raise self._failed[1]
        try:
            found = asked_s, await self._store.call(lambda cursor: self._query(cursor, self._clock.now()))
        except Fault as fault:
            self._failed = self._clock.monotonic_s(), fault
            raise
        self._found = found
        return found
