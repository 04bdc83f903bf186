"""Reading for pages: a few connections that can only read, and answers kept for a while so that readers cost the same few.

A kept answer is asked for anew at the earliest after REST times as long as it took, REST_S_MAX at most: whatever the size of
the tables and the number of people who look, it keeps PostgreSQL busy for a small share of the time.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from psycopg import Cursor

from engine.errors import Fault
from gateway.store import Store

T = TypeVar("T")

CONNECTIONS: Final = 3
STATEMENT_TIMEOUT_MS: Final = 8_000
ANSWER_S: Final = 10.0
REST: Final = 120
REST_S_MAX: Final = 150.0
FRESH_S: Final = 2.0
STALE_S: Final = 300.0  # older than this nothing is shown, however long a new answer takes
KEPT_MAX: Final = 200


class Reader:
    """Connections in threads of their own. took: told how long each answer took, the wait for a free connection included."""

    def __init__(self, dsn: str, took: Callable[[float], None], *, connections: int = CONNECTIONS) -> None:
        self._took = took
        self._stores = [Store(dsn, f"dujiang console reader {number}", answer_s=ANSWER_S) for number in range(connections)]
        self._free: asyncio.Queue[Store] | None = None

    async def read(self, query: Callable[[Cursor[Any]], T]) -> T:
        """In a transaction that can only read and takes STATEMENT_TIMEOUT_MS at most. Raises a Fault."""
        if self._free is None:  # the queue belongs to the loop that reads
            self._free = asyncio.Queue()
            for store in self._stores:
                self._free.put_nowait(store)
        asked_s = time.monotonic()
        store = await self._free.get()
        try:
            return await store.call(lambda cursor: _reading(cursor, query))
        finally:
            self._free.put_nowait(store)
            self._took(time.monotonic() - asked_s)

    def close(self) -> None:
        for store in self._stores:
            store.close()


def _reading(cursor: Cursor[Any], query: Callable[[Cursor[Any]], T]) -> T:
    cursor.execute("SET TRANSACTION READ ONLY")
    cursor.execute("SELECT set_config('statement_timeout', %s, true)", (str(STATEMENT_TIMEOUT_MS),))
    return query(cursor)


@dataclass
class Answer(Generic[T]):
    """A value, and how old it is."""

    value: T
    asked_s: float
    took_s: float

    def age_s(self, now_s: float) -> float:
        """Since it was asked for."""
        return max(0.0, now_s - self.asked_s)


class Kept:
    """Answers by key. The first asker waits; later ones get what is there while a newer one is fetched."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._answers: OrderedDict[Hashable, Answer[Any]] = OrderedDict()
        self._asking: dict[Hashable, asyncio.Task[Answer[Any]]] = {}

    def age_s(self, answer: Answer[Any]) -> float:
        """How old an answer is now."""
        return answer.age_s(self._clock_s())

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> Answer[T]:
        """The answer to `key`. Raises what `ask` raised when there is none yet."""
        known = self._answers.get(key)
        if known is not None:
            self._answers.move_to_end(key)
            if known.age_s(self._clock_s()) < max(FRESH_S, min(REST_S_MAX, REST * known.took_s)):
                return known
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, ask))
            asking.add_done_callback(lambda task: self._settled(key, task))
        # Quick answers are waited for, so that what is shown is of now; slow ones arrive at the next look.
        if known is not None and known.took_s > FRESH_S / 10 and known.age_s(self._clock_s()) < STALE_S:
            return known
        try:
            return await asyncio.shield(asking)
        except Fault:
            if known is None:
                raise
            return known

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[Any]]) -> Answer[Any]:
        asked_s = self._clock_s()
        value = await ask()
        answer = self._answers[key] = Answer(value, asked_s, self._clock_s() - asked_s)
        while len(self._answers) > KEPT_MAX:
            self._answers.popitem(last=False)
        return answer

    def _settled(self, key: Hashable, task: "asyncio.Task[Answer[Any]]") -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # told to whoever waited


def remedy_of(fault: Fault) -> str:
    """What an operator can do about it."""
    return fault.remedy or ""
