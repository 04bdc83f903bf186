"""What a gateway gathers in memory and writes every few seconds, so that no request waits for the database."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger("gateway")


class Settling:
    """Runs `settle` every `every_s` and once at the end. Use as an async context manager."""

    def __init__(self, name: str, every_s: float) -> None:
        self._name = name
        self._every_s = every_s
        self._ending = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def settle(self) -> None:
        """Write what was gathered since the last time. A fault leaves it for the next."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._keeping is not None:
            await self._ended(self._keeping)

    async def _ended(self, keeping: "asyncio.Task[None]") -> None:
        """Wait for the last time."""
        await keeping

    async def _keep(self) -> None:
        try:
            while not self._ending.is_set():
                await self.settle()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), self._every_s)
            await self.settle()
        except Exception:
            log.exception(f"{self._name}_ended")  # now, not when the gateway ends: until then nobody would know
            raise
