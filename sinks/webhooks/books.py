"""What is written down of deliveries: many couriers, one connection, one transaction a turn."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from psycopg import Cursor

from engine.database import Database, StoreRefused
from engine.errors import Fault
from engine.reach import Reach, untold
from engine.subscriptions import deliveries, snapshots
from engine.subscriptions.deliveries import EndpointHealth, Outstanding, Plan, Progress, Settlement
from schemas.subscriptions import Place
from schemas.subscriptions.snapshot import Snapshot

T = TypeVar("T")

APPLICATION: Final = "dujiang deliveries"  # the session's name
TURN_S: Final = 0.01  # at the least; what comes meanwhile goes into the next
RETRY_S: Final = 1.0
ROWS_MAX: Final = 5_000

log = structlog.get_logger("webhooks")


class Books:
    """Plans and settlements. A turn that fails is repeated until the database takes it; couriers wait that long."""

    def __init__(self, dsn: str, reach: Reach = untold) -> None:
        self._database = Database(dsn, APPLICATION, reach)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="webhook-books")
        self._plans: list[tuple[Plan, asyncio.Future[bool]]] = []
        self._settlements: list[tuple[Settlement, Callable[[], None]]] = []
        self._healths: dict[UUID, EndpointHealth] = {}
        self._work = asyncio.Event()
        self._turning = asyncio.Lock()
        self._task = asyncio.create_task(self._run())

    async def plan(self, plan: Plan) -> bool:
        """Number deliveries; False: somebody else did, or the subscription is gone. On return it is stored."""
        held: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._plans.append((plan, held))
        self._work.set()
        return await held

    def settle(self, settlement: Settlement, on_stored: Callable[[], None]) -> None:
        """Store an outcome with the next turn."""
        self._settlements.append((settlement, on_stored))
        self._work.set()

    def note_health(self, health: EndpointHealth) -> None:
        """The last one counts."""
        self._healths[health.subscription_id] = health
        self._work.set()

    async def progress(self, subscription_id: UUID) -> Progress | None:
        """Where a subscription's deliveries stand; None: it is gone. Raises a fault."""
        return await self.call(lambda cursor: deliveries.progress(cursor, subscription_id))

    async def outstanding(self, subscription_id: UUID, held: Sequence[int], limit: int) -> list[Outstanding]:
        """What is not settled, but the numbers `held`. Raises a fault."""
        return await self.call(lambda cursor: deliveries.outstanding(cursor, subscription_id, held, limit))

    async def is_outstanding(self, subscription_id: UUID, number: int) -> bool:
        """Whether it is still to be sent. Raises a fault."""
        return await self.call(lambda cursor: deliveries.is_outstanding(cursor, subscription_id, number))

    async def snapshot(self, subscription_id: UUID) -> Snapshot:
        """As far as it is looked through. Raises a fault."""
        return await self.call(lambda cursor: snapshots.find(cursor, subscription_id))

    async def note_snapshot(self, subscription_id: UUID, place: Place, offsets: Sequence[int]) -> None:
        """What one partition lists; if somebody else noted it already, that stays. Raises a fault."""
        await self.call(lambda cursor: snapshots.note(cursor, subscription_id, place, offsets))

    async def note_backfill(self, subscription_id: UUID, done: int, total: int | None) -> None:
        """How far a snapshot is sent, for people; its watermark's settlement ends it. Raises a fault."""
        await self.call(lambda cursor: snapshots.note_backfill(cursor, subscription_id, done, total))

    async def call(self, work: Callable[[Cursor[Any]], T]) -> T:
        """Anything else, in a transaction of its own. Raises a fault."""

        def in_transaction() -> T:
            with self._database.transaction() as cursor:
                return work(cursor)

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_transaction)

    def check(self) -> None:
        """Raises what ended the writing: a bug, nothing that waiting helps."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def close(self) -> None:
        """Writes what is there, if the database takes it at once."""
        self._task.cancel()
        await asyncio.wait((self._task,))
        try:
            await self._turn()
        except (Fault, StoreRefused) as fault:
            log.warning("outcomes are not stored; these deliveries come again", error=str(fault), count=len(self._settlements))
        self._thread.shutdown()
        self._database.close()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await asyncio.shield(self._turn())
            except (Fault, StoreRefused) as fault:
                log.warning("the books cannot be written; trying again", error=str(fault))
                await asyncio.sleep(RETRY_S)
                self._work.set()
            else:
                await asyncio.sleep(TURN_S)

    async def _turn(self) -> None:
        async with self._turning:  # at the end two may be under way
            await self._write()

    async def _write(self) -> None:
        plans, settlements, healths = self._plans[:ROWS_MAX], self._settlements[:ROWS_MAX], list(self._healths.values())
        if not (plans or settlements or healths):
            return
        held = await self.call(lambda cursor: _written(cursor, plans, settlements, healths))
        del self._plans[: len(plans)]
        del self._settlements[: len(settlements)]
        for health in healths:
            if self._healths.get(health.subscription_id) is health:
                del self._healths[health.subscription_id]
        for plan, future in plans:
            if not future.done():
                future.set_result(plan.subscription_id in held)
        for _, on_stored in settlements:
            on_stored()
        if self._plans or self._settlements:
            self._work.set()


def _written(
    cursor: Cursor[Any],
    plans: Sequence[tuple[Plan, Any]],
    settlements: Sequence[tuple[Settlement, Any]],
    healths: Sequence[EndpointHealth],
) -> set[UUID]:
    held = deliveries.plan(cursor, [plan for plan, _ in plans]) if plans else set()
    if settlements:
        deliveries.settle(cursor, [settlement for settlement, _ in settlements])
    if healths:
        deliveries.note_health(cursor, healths)
    return held
