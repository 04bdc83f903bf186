"""The board and one project."""

import asyncio

from starlette.requests import Request

from gateway.console import queries
from gateway.console.markup import Markup, join
from gateway.console.pages import frame, projects
from gateway.console.queries import ProjectFilter
from gateway.console.reads import Answer
from gateway.console.screens.house import CALM_S, LIVE_S, House, html, page_at
from gateway.console.words import Speech
from schemas.topics import PROJECT_EVENT


class ProjectScreens:
    """The board and one project."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/projects", self.projects)
        page_at("/projects/{key:path}", self.project)

    async def projects(self, request: Request) -> None:
        visit = self._house.visit(request)
        chosen = ProjectFilter(*(visit.query.get(name, "")[:200] for name in ProjectFilter._fields))
        with self._house.page(visit, "projects", "projects.title") as say:
            if not self._house.may(visit, say):
                return
            html(projects.filter_form(say, chosen))

            async def build(say: Speech) -> Markup:
                board, page = await asyncio.gather(kept_board(self._house), kept_projects(self._house, chosen))
                copy_age_s = await self._house.views.read(queries.copy_age_s)
                age_s = max(self._house.kept.age_s(board), self._house.kept.age_s(page), copy_age_s)
                return join(projects.board_section(say, board.value, chosen, age_s), projects.list_section(say, page.value))

            await self._house.live(visit, build, CALM_S)

    async def project(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "projects", "project", beside=key) as say:
            if not self._house.may(visit, say):
                return

            async def build(say: Speech) -> Markup:
                found = await self._house.views.read(lambda cursor: queries.project(cursor, key))
                if found is None:
                    return projects.missing(say, key)
                sheet, plan = found
                story = await self._house.story("projects", PROJECT_EVENT.name, key)
                return join(
                    frame.title(sheet.title or key), projects.sheet(say, sheet, plan), projects.why_section(say, sheet, story)
                )

            await self._house.live(visit, build, LIVE_S)


async def kept_board(house: House) -> Answer[list[queries.Column]]:
    """The board, kept for all pages that show some of it."""
    return await house.kept_view("board", queries.board)


async def kept_projects(house: House, chosen: ProjectFilter) -> Answer[queries.Page[queries.ProjectRow]]:
    """A list of projects, kept for all who ask the same."""
    return await house.kept_view(("projects", chosen), lambda cursor: queries.projects(cursor, chosen))
