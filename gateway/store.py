"""PostgreSQL for coroutines: one connection in a thread of its own, and calls that share a transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

import structlog
from psycopg import Cursor

from engine.database import Database, StoreRefused
from engine.errors import Fault, TransientFault
from engine.reach import Reach, untold
from gateway import catalogue
from gateway.problems import Problem

A = TypeVar("A")
B = TypeVar("B")

ANSWER_S: Final = 5.0

log = structlog.get_logger("gateway")


class Store:
    """A connection, opened when first needed. Calls take their turn."""

    def __init__(self, dsn: str, application: str, *, answer_s: float = ANSWER_S, reach: Reach = untold) -> None:
        self._database = Database(dsn, application, reach)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gateway-store")
        self._answer_s = answer_s

    async def call(self, work: Callable[[Cursor[Any]], B]) -> B:
        """Run `work` in a transaction. Raises TransientFault, also when the turn does not come in time, or EnvironmentFault."""
        try:
            async with asyncio.timeout(self._answer_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_transaction, work)
        except TimeoutError:
            raise _late(self._answer_s) from None

    def close(self) -> None:
        """Waits for the call under way."""
        self._thread.shutdown(cancel_futures=True)
        self._database.close()

    def _in_transaction(self, work: Callable[[Cursor[Any]], B]) -> B:
        with self._database.transaction() as cursor:
            return work(cursor)


class Grouped(Generic[A, B]):
    """Calls that come while one is under way go together into the next: one transaction for many requests."""

    def __init__(
        self, run: Callable[[Sequence[A]], Awaitable[Sequence[B]]], *, group_max: int, answer_s: float = ANSWER_S
    ) -> None:
        self._run = run
        self._group_max = group_max
        self._answer_s = answer_s
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._working: asyncio.Task[None] | None = None

    async def call(self, item: A) -> B:
        """The answer to this item. Raises what its group's call raised, or TransientFault when it does not come in time."""
        answer: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        try:
            async with asyncio.timeout(self._answer_s):
                return await answer
        except TimeoutError:
            raise _late(self._answer_s) from None

    async def _work(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._group_max], self._waiting[self._group_max :]
                # Whoever gave up meanwhile is left out: nobody would settle its claim.
                group = [pair for pair in group if not pair[1].done()]
                if group:
                    await self._answer(group)
        finally:
            self._working = None

    async def _answer(self, group: Sequence[tuple[A, "asyncio.Future[B]"]]) -> None:
        try:
            answers = await self._run([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - it is raised in every caller of the group
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), answer in zip(group, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _late(answer_s: float) -> TransientFault:
    return TransientFault(f"PostgreSQL: no answer within {answer_s:g} s")


async def asked(store: Store, work: Callable[[Cursor[Any]], B]) -> B:
    """What `work` finds, for a partner: raises Problem when the database is away or refuses."""
    try:
        return await store.call(work)
    except (Fault, StoreRefused) as fault:
        raise store_away(fault) from None


def store_away(fault: Fault | StoreRefused, events: int = 1) -> Problem:
    """What a fault of the database means to a partner. What PostgreSQL said goes to the log alone."""
    log.error("store_away", fault=str(fault), remedy=fault.remedy)
    return Problem(catalogue.STORE_AWAY, catalogue.STORE_AWAY.meaning, events=events)
