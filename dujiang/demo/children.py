"""The demo's child processes: workers and gateway. Each ends with the demo, even when that is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import aiohttp

from dujiang.embedded.ports import is_free, settle_port
from dujiang.embedded.processes import end, spawn

STOP_S_MAX = 10.0
READY_S_MAX = 60.0
READY_POLL_S = 0.1
WATCH_EVERY_S = 0.3
RESTARTS_MAX = 1
RESTART_AFTER_S = 1.0
LOG_BYTES_MAX = 20_000_000
TAIL_LINES = 15
HOST = "127.0.0.1"


class ChildDied(Exception):
    """A child ended twice, or did not become ready; the message names it, with the end of its log."""


class Child:
    """`python -m dujiang COMMAND`. `ports`: where its port is remembered; `environment`: from the port to its settings."""

    def __init__(
        self,
        name: str,
        command: str,
        *,
        logs: Path,
        port_wanted: int,
        environment: Callable[[int], Mapping[str, str]],
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self.port = 0
        self.deaths = 0
        self._command = command
        self._memory = logs / f"{name}.port"
        self._port_wanted = port_wanted
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def has_died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Output goes to the log; a port that others hold is replaced by a free one."""
        wanted = self._port_wanted
        self.port = wanted if wanted and is_free(wanted) else settle_port(self._memory)
        _keep_small(self.log)
        self._process = spawn(
            [sys.executable, "-m", "dujiang", self._command],
            log=self.log,
            cwd=Path.cwd(),
            env={**os.environ, **self._environment(self.port)},
            death_signal=signal.SIGKILL,
        )

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after STOP_S_MAX."""
        if self._process is not None:
            end(self._process, signal.SIGTERM, wait_s=STOP_S_MAX)

    def kill(self) -> None:
        """SIGKILL, without waiting."""
        if self._process is not None:
            self._process.kill()

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Until its health page says so; `watch` sees to it that it lives. Raises ChildDied when it takes too long."""
        try:
            async with asyncio.timeout(READY_S_MAX):
                while True:
                    if await _is_ready(session, self.url):
                        return
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            raise ChildDied(self.last_words(f"{self.name} is not ready after {READY_S_MAX:.0f} s")) from None

    def last_words(self, what: str) -> str:
        """What happened, with the end of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:] if self.log.exists() else []
        return "\n".join([f"{what}; the end of {self.log}:", *(f"  {line}" for line in lines)])


class Server(Protocol):
    """Kafka or PostgreSQL: `pid` is None once it has ended."""

    @property
    def pid(self) -> int | None: ...

    @property
    def log(self) -> Path: ...


async def watch(children: list[Child], servers: Mapping[str, Server], tell: Callable[[str], None]) -> None:
    """Start a child that died once more. Raises ChildDied at its second death, and when a server has ended."""
    while True:
        await asyncio.sleep(WATCH_EVERY_S)
        for name, server in servers.items():
            if server.pid is None:
                raise ChildDied(f"{name} has ended, see {server.log}; start the demo again, it goes on with the data")
        for child in children:
            if not child.has_died:
                continue
            child.deaths += 1
            if child.deaths > RESTARTS_MAX:
                raise ChildDied(child.last_words(f"{child.name} ended {child.deaths} times"))
            tell(f"{child.name} (pid {child.pid}) ended; started again in {RESTART_AFTER_S:.0f} s, see {child.log}")
            await asyncio.sleep(RESTART_AFTER_S)
            child.start()


async def stop_all(children: list[Child]) -> None:
    """All at once."""
    await asyncio.gather(*(asyncio.to_thread(child.stop) for child in children))


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/health/ready", timeout=aiohttp.ClientTimeout(total=2)) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


def _keep_small(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.old"))
