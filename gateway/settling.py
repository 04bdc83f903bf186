"""What a gateway gathers in memory and writes every few seconds, so that no request waits for the database."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger("gateway")


class Settling:
    """Runs `settle` every `every_s` and once at the end, for `end_s` at most. Use as an async context manager."""

    def __init__(self, name: str, every_s: float, end_s: float | None = None) -> None:
        self._name = name
        self._every_s = every_s
        self._end_s = end_s
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
        if self._keeping is None:
            return
        try:
            await asyncio.wait_for(self._keeping, self._end_s)
        except TimeoutError:
            log.warning(f"{self._name}_lost", **self._unsettled())

    def _unsettled(self) -> dict[str, int]:
        """How much was not written yet, for the log."""
        return {}

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
