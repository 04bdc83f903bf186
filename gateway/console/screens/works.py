"""Long work, and the button that asks it to stop."""

from contextlib import suppress

from nicegui import ui
from starlette.requests import Request

from engine.errors import Fault
from gateway.console import queries
from gateway.console.markup import Markup, tag
from gateway.console.pages import works
from gateway.console.queries import WorkRow
from gateway.console.rights import Right
from gateway.console.screens.house import LIVE_S, House, Visit, button, html, page_at
from gateway.console.words import Speech


class WorkScreens:
    """All works, the latest first."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/works", self.works)

    async def works(self, request: Request) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "works", "works.title") as say:
            if not self._house.may(visit, say):
                return

            async def build(say: Speech) -> Markup:
                return works.list_section(say, await self._house.views.read(queries.works))

            if visit.user.may(Right.CANCEL_WORKS):
                await self._cancels(visit)
            await self._house.live(visit, build, LIVE_S)

    async def _cancels(self, visit: Visit) -> None:
        """A button for each that goes on, above the list: they come and go with the works."""
        area = ui.element("section").classes("handles")
        shown: list[int] = []

        def draw(going_on: list[WorkRow]) -> None:
            say = self._house.speech(visit)
            area.clear()
            area.set_visibility(bool(going_on))
            with area:
                html(tag("h2", say("cancel")))
                with ui.element("div").classes("row"):
                    for row in going_on:
                        text = say("cancel_which", work=f"{say.value('work', row.kind)} {row.title}")
                        button(text, lambda row=row: self._house.do(visit, self._house.deeds.cancel_work, row.id))  # type: ignore[misc]

        async def fit() -> None:
            with suppress(Fault):  # the list says that the database is away
                rows = (await self._house.views.read(queries.works)).rows
                going_on = [row for row in rows if row.can_be_cancelled]
                if [row.id for row in going_on] != shown:
                    shown[:] = [row.id for row in going_on]
                    draw(going_on)

        area.set_visibility(False)
        await fit()
        visit.every(LIVE_S, fit)
