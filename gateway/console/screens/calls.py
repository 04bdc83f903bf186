"""Calls for proposals, and one call."""

from starlette.requests import Request

from gateway.console import queries
from gateway.console.markup import Markup, join
from gateway.console.pages import calls, frame
from gateway.console.queries import CallFilter, CallRow, Page, PhaseCount
from gateway.console.screens.house import CALM_S, LIVE_S, House, html, page_at
from gateway.console.words import Speech
from schemas.topics import CALL_EVENT


class CallScreens:
    """Calls by phase, and one call."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/calls", self.calls)
        page_at("/calls/{key:path}", self.call)

    async def calls(self, request: Request) -> None:
        visit, house = self._house.visit(request), self._house
        chosen = CallFilter(*(visit.query.get(name, "")[:200] for name in CallFilter._fields))
        with house.page(visit, "calls", "calls.title") as say:
            if not house.may(visit, say):
                return
            html(calls.filter_form(say, chosen))

            async def build(say: Speech) -> Markup:
                counts, page = await self._phases(), await self._listed(chosen)
                return join(calls.phases_section(say, counts, chosen), calls.list_section(say, page))

            await house.live(visit, build, CALM_S)

    async def call(self, request: Request, key: str) -> None:
        visit, house = self._house.visit(request), self._house
        with house.page(visit, "calls", "call", beside=key) as say:
            if not house.may(visit, say):
                return

            async def build(say: Speech) -> Markup:
                row = await house.views.read(lambda cursor: queries.call(cursor, key))
                if row is None:
                    return calls.missing(say, key)
                story = await house.story("calls", CALL_EVENT.name, key)
                return join(frame.title(row.title or key), calls.sheet(say, row), calls.why_section(say, row, story))

            await house.live(visit, build, LIVE_S)

    async def _phases(self) -> list[PhaseCount]:
        return (await self._house.kept_view("call_phases", queries.call_phases)).value

    async def _listed(self, chosen: CallFilter) -> Page[CallRow]:
        return (await self._house.kept_view(("calls", chosen), lambda cursor: queries.calls(cursor, chosen))).value
