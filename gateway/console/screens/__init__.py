"""The pages as NiceGUI serves them: what is asked for, drawn, kept fresh, and done. The only package that knows NiceGUI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from nicegui import ui

from engine.errors import Fault
from gateway.console.markup import BASE
from gateway.console.queries import ProjectFilter
from gateway.console.screens.alerts import AlertScreens
from gateway.console.screens.calls import CallScreens
from gateway.console.screens.house import House
from gateway.console.screens.now import NowScreens
from gateway.console.screens.partners import PartnerScreens
from gateway.console.screens.problems import ProblemScreens
from gateway.console.screens.projects import ProjectScreens, kept_board, kept_projects
from gateway.console.screens.quarantine import QuarantineScreens
from gateway.console.screens.search import SearchScreens
from gateway.console.screens.subscriptions import SubscriptionScreens
from gateway.console.screens.way import WayScreens
from gateway.console.screens.works import WorkScreens

SUBJECTS = (
    NowScreens,
    ProjectScreens,
    CallScreens,
    AlertScreens,
    QuarantineScreens,
    WayScreens,
    WorkScreens,
    PartnerScreens,
    ProblemScreens,
    SubscriptionScreens,
    SearchScreens,
)


class Screens:
    """All pages over what they stand on."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self, app: FastAPI) -> None:
        """Put all pages under BASE. Once a process."""
        for subject in SUBJECTS:
            subject(self._house).mount()
        ui.run_with(
            app,
            mount_path=BASE,
            title="都江 Dujiang",
            favicon="🌊",
            tailwind=False,
            show_welcome_message=False,
            reconnect_timeout=20,
        )

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """The sampler works meanwhile, and the slow answers are asked for before the first reader comes."""
        tasks = [asyncio.create_task(self._house.sampler.run()), asyncio.create_task(self._warm())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _warm(self) -> None:
        with suppress(Fault):  # the first reader asks again, and is told
            await asyncio.gather(kept_board(self._house), kept_projects(self._house, ProjectFilter()))
