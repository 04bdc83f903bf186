"""Search over all."""

import structlog
from starlette.requests import Request

from engine.errors import Fault
from gateway.console import queries
from gateway.console.pages import search
from gateway.console.pieces import notice
from gateway.console.screens.house import House, html, page_at

log = structlog.get_logger("console")


class SearchScreens:
    """Search over all."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/search", self.search)

    async def search(self, request: Request) -> None:
        visit = self._house.visit(request)
        words = visit.query.get("q", "").strip()[:200]
        with self._house.page(visit, "search", "search.title") as say:
            if not self._house.may(visit, say):
                return
            html(search.form(say, words))
            if len(words) < 2:
                html(notice(say("search_hint")))
                return
            found = await self._house.guarded(say, self._house.views.read(lambda cursor: queries.find_key(cursor, words)))
            events = await self._house.guarded(say, self._house.views.read(lambda cursor: queries.find_events(cursor, words)))
            sources = await self._house.guarded(say, self._house.views.read(lambda cursor: queries.find_sources(cursor, words)))
            others, is_complete = await self._others(words)
            registered = await self._house.guarded(say, self._house.own.read(lambda cursor: queries.kept_found(cursor, words)))
            keys = {(item.kind, item.key) for item in found or ()}
            more = [item for item in (*(registered or ()), *others) if (item.kind, item.key) not in keys]
            found = [*(found or ()), *more]
            html(search.found_section(say, found, events or (), sources or (), is_complete=is_complete))

    async def _others(self, words: str) -> tuple[list[queries.Found], bool]:
        """By letters: on many rows it may take longer than a reader waits, and then says so."""
        try:
            found = await self._house.kept_view(("find", words), lambda cursor: queries.find_words(cursor, words))
            return found.value, True
        except Fault as fault:
            log.warning("console_search_gave_up", fault=str(fault))
            return [], False
