"""The play itself: children and partners at work, the view, and the account after the last event."""

import asyncio
import sys
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from dujiang.demo.account import Look, Verdict, ends_now, judged, settle
from dujiang.demo.audit import Parties, audit
from dujiang.demo.children import Child, Server, stop_all, watch
from dujiang.demo.interrupts import Interrupts
from dujiang.demo.partners import CAST, Partner, Stage
from dujiang.demo.partners.acts import seeded
from dujiang.demo.partners.door import Door
from dujiang.demo.partners.monitor import MONITORS
from dujiang.demo.partners.scripts import SOURCES
from dujiang.demo.receipts import Receipts
from dujiang.demo.show import Show
from dujiang.settings import Settings, variable_of
from dujiang.wiring import Services
from engine.clock import SystemClock
from engine.kafka import Publisher
from engine.records import Place

FINISH_S_MAX = 5.0  # for a partner to end what it has begun
SETTLE_S_MAX = 60.0
SETTLE_HURRIED_S_MAX = 5.0


@dataclass(frozen=True)
class Wishes:
    """What was asked for. `duration_s` None: until Ctrl-C. `has_console`: people may want to look."""

    duration_s: float | None
    has_screen: bool
    workers: int
    rate: int
    seed: int
    has_console: bool = False


@dataclass(frozen=True)
class Ending:
    """How it ended. No verdict: it was stopped before the partners began."""

    verdict: Verdict | None
    was_hurried: bool


class Play:
    """One run. Everything it starts ends with it."""

    def __init__(
        self,
        settings: Settings,
        services: Services,
        wishes: Wishes,
        *,
        run: str,
        interrupts: Interrupts,
        servers: Mapping[str, Server],
        password: str = "",
    ) -> None:
        self._settings, self._services, self._wishes, self._run = settings, services, wishes, run
        self._interrupts, self._servers = interrupts, servers
        self._logs = settings.data_dir / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._workers = [self._child(f"worker-{number}", "worker") for number in range(1, wishes.workers + 1)]
        self._gateway = self._child("gateway", "gateway")
        self._console = self._child("console", "console") if wishes.has_console else None
        self._password = password
        self._receipts = Receipts(settings.data_dir / "receipts.tsv")
        self._asked = asyncio.Event()
        self._give_up = threading.Event()
        self._stopping = asyncio.Event()

    @property
    def _children(self) -> list[Child]:
        return [*self._workers, self._gateway, *([self._console] if self._console else [])]

    async def run(self) -> Ending:
        """Until the time is over or somebody asks. Raises ChildDied, and the engine's faults."""
        loop = asyncio.get_running_loop()
        self._interrupts.on_first(lambda: loop.call_soon_threadsafe(self._ask))
        before = await asyncio.to_thread(ends_now, self._services, self._settings.kafka)
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:
                for child in self._children:
                    child.start()
                    self._interrupts.at_last(child.kill)
                show = self._show(session)
                return await self._watched(self._acts(session, before, show), show)
        finally:
            self._give_up.set()
            await stop_all(self._children)
            self._receipts.close()
            self._receipts.path.unlink(missing_ok=True)

    # --- acts ---------------------------------------------------------------------------------------------------------------

    async def _acts(self, session: aiohttp.ClientSession, before: dict[Place, int], show: Show) -> Ending:
        """Partners publish; then what they began is ended, the workers catch up, and the run is audited."""
        if not await self._unless_asked(self._ready(session)):
            return Ending(None, True)
        kafka = Publisher(self._settings.kafka_options(self._services.bootstrap))
        partners = [self._partner(number, session, kafka) for number in range(len(CAST))]
        show.begin(partners)
        showing = asyncio.create_task(show.run())
        try:
            await self._published(partners)
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing
        was_hurried = self._asked.is_set()
        show.say("partners have stopped; waiting until nothing is left to do")
        look = await self._settled(was_hurried)
        return Ending(await self._verdict(look, before, partners), self._asked.is_set())

    async def _published(self, partners: list[Partner]) -> None:
        working = {asyncio.create_task(partner.run(self._stopping)) for partner in partners}
        asked = asyncio.create_task(self._asked.wait())
        try:
            done, _ = await asyncio.wait(
                {*working, asked}, timeout=self._wishes.duration_s, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done & working:  # a partner never ends by itself: it has a bug, which is raised here
                task.result()
        finally:
            asked.cancel()
            self._stopping.set()
            _, late = await asyncio.wait(working, timeout=FINISH_S_MAX)
            for task in late:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _settled(self, was_hurried: bool) -> Look:
        limit_s = SETTLE_HURRIED_S_MAX if was_hurried else SETTLE_S_MAX
        if not was_hurried and self._asked.is_set():
            self._give_up.set()
        return await asyncio.to_thread(settle, self._services, self._settings.kafka, limit_s, self._give_up)

    async def _verdict(self, look: Look, before: dict[Place, int], partners: list[Partner]) -> Verdict:
        self._receipts.close()
        surprises = [what for partner in partners for what in partner.door.tally.surprises]
        if not look.is_settled:
            return judged(look, surprises)
        options = self._settings.kafka_options(self._services.bootstrap)
        parties = Parties(SOURCES, MONITORS)
        found = await asyncio.to_thread(audit, self._services, options, self._receipts, parties, before, look.ends)
        return judged(look, [*surprises, *found.reasons], found.notes)

    # --- around them --------------------------------------------------------------------------------------------------------

    async def _watched(self, acts: Coroutine[Any, Any, Ending], show: Show) -> Ending:
        """The acts, unless a child dies twice or a server once meanwhile."""
        playing = asyncio.create_task(acts)
        watching = asyncio.create_task(watch(self._children, self._servers, show.say))
        await asyncio.wait({playing, watching}, return_when=asyncio.FIRST_COMPLETED)
        first = playing if playing.done() else watching
        self._give_up.set()
        for task in (playing, watching):
            task.cancel()
        await asyncio.gather(playing, watching, return_exceptions=True)
        first.result()  # raises what it raised; the watch never ends otherwise
        return playing.result()

    async def _ready(self, session: aiohttp.ClientSession) -> None:
        sys.stderr.write(f"starting the gateway and {len(self._workers)} worker(s); logs in {self._logs}\n")
        await asyncio.gather(*(child.ready(session) for child in self._children))

    async def _unless_asked(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it was done before somebody asked for the end."""
        doing, asked = asyncio.create_task(work), asyncio.create_task(self._asked.wait())
        await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if doing.done():
            doing.result()
            return True
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)
        return False

    def _ask(self) -> None:
        """The first Ctrl-C: end the play; during the end, stop waiting."""
        self._asked.set()
        if self._stopping.is_set():
            self._give_up.set()

    # --- who takes part -----------------------------------------------------------------------------------------------------

    def _partner(self, number: int, session: aiohttp.ClientSession, kafka: Publisher) -> Partner:
        role = CAST[number]
        stage = Stage(seeded(self._wishes.seed, self._run, role.name), SystemClock(), self._run, self._settings.type_prefix)
        door = Door(session, lambda: self._gateway.url, self._receipts, lambda: kafka)
        return Partner(role, role.script(stage), role.share * self._wishes.rate, door)

    def _show(self, session: aiohttp.ClientSession) -> Show:
        return Show(
            self._services,
            session,
            run=self._run,
            workers=self._workers,
            gateway=self._gateway,
            console=(self._console, self._password) if self._console else None,
            logs=self._logs,
            has_screen=self._wishes.has_screen,
        )

    def _child(self, name: str, command: str) -> Child:
        """The set port is the gateway's and the first worker's; further workers take free ones."""
        wanted = {
            "gateway": self._settings.gateway.port,
            "console": self._settings.console.port,
            "worker-1": self._settings.worker.http_port,
        }.get(name, 0)
        return Child(name, command, logs=self._logs, port_wanted=wanted, environment=self._environment)

    def _environment(self, port: int) -> dict[str, str]:
        """What differs from our own environment. Each child reads its own port and does not mind the others."""
        kafka, database = self._services.bootstrap, self._services.dsn
        values: dict[str, object] = {
            "kafka.bootstrap": kafka,
            "kafka.security_protocol": "PLAINTEXT",
            "kafka.sasl_mechanism": "",
            "kafka.ssl_ca_location": "",
            "database.dsn": database,
            "data_dir": self._settings.data_dir,
            "cache_dir": self._settings.cache_dir,
            "gateway.port": port,
            "console.port": port,
            "console.http_port": 0,
            "console.host": "127.0.0.1",
            "console.public_url": "",
            "console.reader_dsn": "",
            "worker.http_port": port,
            "worker.timers": "true",
        }
        return {variable_of(path): str(value) for path, value in values.items()}
