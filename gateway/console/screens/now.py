"""What happens and what waits for a person."""

import asyncio
from contextlib import suppress
from typing import Final

from nicegui import ui
from starlette.requests import Request

from engine.errors import Fault
from gateway.console import queries
from gateway.console.markup import Markup, join, tag
from gateway.console.pages import now
from gateway.console.queries import AlertFilter
from gateway.console.rights import Right, User
from gateway.console.screens.alerts import listed
from gateway.console.screens.house import CALM_S, LIVE_S, House, Visit, html, page_at
from gateway.console.screens.projects import kept_board
from gateway.console.words import Speech

NEWS_BUSY_EVENTS: Final = 50_000


class NowScreens:
    """What happens and what waits for a person."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/", self.now)

    async def now(self, request: Request) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "now", "now.title") as say:
            if not self._house.may(visit, say):
                return
            await self._house.live(visit, lambda say: self._needs(say, visit.user), LIVE_S)
            with ui.element("div").classes("two"):
                await self._chart(visit, say)
                await self._house.live(visit, self._day, CALM_S)
            await self._house.live(visit, self._now_lists, LIVE_S)

    async def _needs(self, say: Speech, user: User) -> Markup:
        needs, board = await asyncio.gather(self._house.kept_view("needs", queries.needs), kept_board(self._house))
        sample = self._house.sampler.latest
        behind = sum(flow.account.lag for flow in self._house.sampler.flows() if flow.is_behind)
        mine = await self._mine(user)
        found = now.wants(needs.value, board.value, behind, sample.unaccounted if sample else 0, mine)
        return now.needs_section(say, found)

    async def _mine(self, user: User) -> int:
        """Alerts that are assigned to whoever looks."""
        if not user.may(Right.HANDLE_ALERTS):
            return 0
        ask = lambda: listed(self._house, user, AlertFilter("mine"))  # noqa: E731
        page, _ = (await self._house.kept.get(("mine", user.name), ask)).value
        return len(page.rows)

    async def _now_lists(self, say: Speech) -> Markup:
        beats = await self._house.pulse()
        is_busy = sum(beat.events for beat in beats) > NEWS_BUSY_EVENTS
        seconds = 20 if is_busy else queries.PULSE_MINUTES * 60
        news = await self._house.kept_view(("news", is_busy), lambda cursor: queries.news(cursor, seconds))
        calls = await self._house.kept_view("calls", queries.closing_calls)
        return now.lists(say, beats, news.value, calls.value)

    async def _day(self, say: Speech) -> Markup:
        return now.day_section(say, (await self._house.kept_view("events by hour", queries.events_by_hour)).value)

    async def _chart(self, visit: Visit, say: Speech) -> None:
        beats = await self._house.guarded(say, self._house.pulse()) or []
        with ui.element("section"):
            html(join(tag("h2", say("by_duty")), tag("p", say("by_duty_note", minutes=queries.PULSE_MINUTES), class_="note")))
            drawn = ui.echart(now.chart(say, beats, visit.scheme)).classes("chart")
        drawn.props["role"], drawn.props["aria-label"] = "img", now.chart_in_words(say, beats)

        async def again() -> None:
            say = self._house.speech(visit)
            with suppress(Fault):  # the needs above say that the database is away
                fresh = now.chart(say, await self._house.pulse(), visit.scheme)
                if visit.ended.is_set():
                    return
                drawn.options.clear()
                drawn.options.update(fresh)
                drawn.update()

        visit.every(LIVE_S, again)
