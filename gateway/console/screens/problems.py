"""Kinds of problem."""

from starlette.requests import Request

from gateway import catalogue
from gateway.console.pages import problems
from gateway.console.pieces import notice
from gateway.console.screens.house import House, html, page_at


class ProblemScreens:
    """Kinds of problem; they are the same for everybody."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/problems/{key}", self.problem)

    async def problem(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "partners", "problem", beside=key) as say:
            kind = catalogue.KINDS.get(key)
            if kind is None:
                html(notice(say("missing_why", what=say("problem"), key=key), "warn"))
                return
            html(problems.sheet(say, kind))
