"""Keeps the live view going: reads figures at a low rate, draws twice a second, or writes a line now and then."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psycopg
from rich.console import Console
from rich.live import Live

from dujiang.demo.children import Child
from dujiang.demo.console import USER
from dujiang.demo.figures import Figures, Reader, with_health
from dujiang.demo.partners import Partner
from dujiang.demo.view import PartnerRow, Screen, line, render
from dujiang.wiring import Services

DRAW_EVERY_S = 0.5
READ_EVERY_S = 1.0
LINE_EVERY_S = 5.0
RATE_OVER_S = 5.0
MESSAGES_MAX = 20


class Show:
    """`say` may be called at any time; `run` draws until it is cancelled."""

    def __init__(
        self,
        services: Services,
        session: aiohttp.ClientSession,
        *,
        run: str,
        workers: Sequence[Child],
        gateway: Child,
        console: tuple[Child, str] | None = None,
        logs: Path,
        has_screen: bool,
    ) -> None:
        self._services, self._session, self._run = services, session, run
        self._workers, self._gateway, self._console, self._logs = workers, gateway, console, logs
        self._has_screen = has_screen
        self._is_drawing = False
        self._figures = Figures()
        self._partners: Sequence[Partner] = ()
        self._messages: deque[str] = deque(maxlen=MESSAGES_MAX)
        self._history: deque[tuple[float, list[int]]] = deque(maxlen=int(RATE_OVER_S / DRAW_EVERY_S))
        self._began_s = time.monotonic()

    def begin(self, partners: Sequence[Partner]) -> None:
        """The clock of the view starts."""
        self._partners, self._began_s = partners, time.monotonic()

    def say(self, text: str) -> None:
        """On the view while it is drawn, and on standard error otherwise."""
        self._messages.append(text)
        if not self._is_drawing:
            sys.stderr.write(text + "\n")

    async def run(self) -> None:
        """Until cancelled."""
        reading = asyncio.create_task(self._read())
        try:
            await (self._draw() if self._has_screen else self._write_lines())
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _draw(self) -> None:
        console = Console()
        with Live(render(self._screen()), console=console, screen=True, auto_refresh=False) as live:
            self._is_drawing = True
            try:
                while True:
                    live.update(render(self._screen()), refresh=True)
                    await asyncio.sleep(DRAW_EVERY_S)
            finally:
                self._is_drawing = False

    async def _write_lines(self) -> None:
        sys.stdout.write("".join(f"{name:10} {address}\n" for name, address in self._addresses().items()))
        while True:
            sys.stdout.flush()
            await asyncio.sleep(LINE_EVERY_S)
            sys.stdout.write(line(self._screen()) + "\n")

    async def _read(self) -> None:
        reader = Reader(self._services)
        try:
            while True:
                try:
                    figures = await asyncio.to_thread(reader.read)
                except psycopg.Error as error:
                    self.say(f"PostgreSQL: {str(error).splitlines()[0]}")
                else:
                    self._figures = await with_health(figures, self._session, [child.url for child in self._workers])
                await asyncio.sleep(READ_EVERY_S)
        finally:
            reader.close()

    def _screen(self) -> Screen:
        now = time.monotonic()
        rates = self._rates(now)
        rows = [
            PartnerRow(
                partner.role.label, partner.door.tally.accepted, partner.door.tally.refused, partner.door.tally.straight, rate
            )
            for partner, rate in zip(self._partners, rates, strict=True)
        ]
        elapsed_s = now - self._began_s
        return Screen(self._run, elapsed_s, rows, self._figures, self._addresses(), tuple(self._messages))

    def _rates(self, now: float) -> list[float]:
        """Events a second of each partner since the oldest of the kept draws."""
        counts = [partner.door.tally.accepted + partner.door.tally.straight for partner in self._partners]
        self._history.append((now, counts))
        then, before = self._history[0]
        span = max(now - then, DRAW_EVERY_S)
        return [(count - earlier) / span for count, earlier in zip(counts, before, strict=True)]

    def _addresses(self) -> dict[str, str]:
        database = urlsplit(self._services.dsn)
        metrics = " ".join(f"{child.url}/metrics" for child in self._workers)
        return {
            "gateway": f"{self._gateway.url}/events  /health/ready  /metrics  /problems",
            "worker": f"{metrics}  kafka {self._services.bootstrap}",
            "database": f"postgresql://{database.username}@{database.hostname}:{database.port}{database.path}"
            " (password: addresses.json)",
            "logs": str(self._logs),
            **self._look(),
        }

    def _look(self) -> dict[str, str]:
        """Where to look further: the console, or a command."""
        if self._console is None:
            return {"look": f"DUJIANG_DATA_DIR={self._logs.parent} dujiang projects"}
        child, password = self._console
        return {"console": f"{child.url}/console/  user {USER}, password {password}"}
