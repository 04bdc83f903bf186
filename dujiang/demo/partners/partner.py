"""One partner at work: takes its script's acts at its pace and sends them."""

import asyncio
from collections.abc import Iterator
from itertools import islice

from dujiang.demo.partners.acts import Act, Event, Straight, Webhook, Wrong
from dujiang.demo.partners.door import Door
from dujiang.demo.partners.scripts import Role

TICK_S = 0.25
BATCH_MAX = 200
BEHIND_S_MAX = 2.0  # a partner that was kept waiting catches up so much, not more


class Partner:
    """`rate` in acts a second. Consecutive events go out as one batch, everything else by itself, all in order."""

    def __init__(self, role: Role, script: Iterator[Act], rate: float, door: Door) -> None:
        self.role = role
        self.door = door
        self._script = script
        self._rate = rate

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what was begun is finished."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            several = max(1, min(BATCH_MAX, int(self._rate * TICK_S)))
            await self._perform(list(islice(self._script, several)))
            due = max(due + several / self._rate, loop.time() - BEHIND_S_MAX)
            await _wait(stop, due - loop.time())

    async def _perform(self, acts: list[Act]) -> None:
        batch: list[Event] = []
        for act in acts:
            if isinstance(act, Event):
                batch.append(act)
                continue
            await self._flush(batch)
            batch = []
            await self._alone(act)
        await self._flush(batch)

    async def _flush(self, batch: list[Event]) -> None:
        if batch:
            await self.door.publish(batch)

    async def _alone(self, act: Wrong | Webhook | Straight) -> None:
        match act:
            case Wrong():
                await self.door.send_wrong(act)
            case Webhook():
                await self.door.call(act)
            case Straight():
                await self.door.write_straight(act)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
