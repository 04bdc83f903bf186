"""An open page and its reader, who may become somebody else."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import TransientFault
from gateway.console.rights import Role, User
from gateway.console.screens import house
from gateway.console.screens.house import House, OpenPages, Visit

LI = User("li", Role.OPERATOR)


@pytest.mark.parametrize(
    ("found", "went"),
    [
        (LI, []),
        (LI._replace(role=Role.VIEWER), ["reload"]),
        (LI._replace(role=Role.PARTNER, partner_id="institute"), ["reload"]),
        (None, ["/sign-in"]),
        (TransientFault("the database is away"), []),
    ],
)
def test_page_is_made_anew_for_another_role_and_ends_with_the_session(
    monkeypatch: pytest.MonkeyPatch, found: User | Exception | None, went: list[str]
) -> None:
    gone: list[str] = []
    monkeypatch.setattr(house.ui, "navigate", SimpleNamespace(to=gone.append, reload=lambda: gone.append("reload")))

    async def user_of(cookie: str, is_act: bool) -> User | None:
        assert (cookie, is_act) == ("its cookie", False)
        if isinstance(found, Exception):
            raise found
        return found

    async def looked() -> bool:
        visit = Visit(LI, "its cookie", "en", "light", "/console/alerts", {}, asyncio.Event())
        await _house(user_of=user_of).look(visit)
        return visit.ended.is_set()

    assert asyncio.run(looked()) is bool(went)
    assert gone == went


def test_pages_of_a_session_that_is_over_are_told_nothing_more() -> None:
    told: list[str] = []

    async def play() -> list[bool]:
        mine, also_mine, theirs = (
            Visit(LI, cookie, "en", "light", "/console/alerts", {}, asyncio.Event()) for cookie in ("mine", "mine", "theirs")
        )
        pages = OpenPages()
        for visit in (mine, also_mine, theirs):
            pages.add(visit, Browser(told))  # type: ignore[arg-type]
        pages.end("mine")
        pages.end("nobody's")

        async def feed() -> None:
            told.append("fed")

        await house._until_ended(mine, feed)
        await house._until_ended(theirs, feed)
        return [visit.ended.is_set() for visit in (mine, also_mine, theirs)]

    assert asyncio.run(play()) == [True, True, False]
    assert told == ["/sign-in", "/sign-in", "fed"]


def test_page_that_was_closed_is_open_no_more() -> None:
    pages, browsers = OpenPages(), [Browser([]) for _ in range(3)]
    for browser in browsers:
        pages.add(Visit(LI, "cookie", "en", "light", "/console/", {}, asyncio.Event()), browser)  # type: ignore[arg-type]
    browsers[0].has_socket_connection = False
    assert len(pages) == 2
    browsers[1].delete()
    assert len(pages) == 1


class Browser:
    """What a page needs of NiceGUI's client."""

    def __init__(self, told: list[str]) -> None:
        self.open = told.append
        self.has_socket_connection = True
        self._acts: list[Callable[[], None]] = []

    def on_delete(self, act: Callable[[], None]) -> None:
        self._acts.append(act)

    def delete(self) -> None:
        for act in self._acts:
            act()


def _house(**parts: Any) -> House:
    """With these parts alone."""
    names = ("views", "own", "kept", "sampler", "deeds", "orders", "user_of", "tell", "parts", "clock", "zone", "metrics")
    return House(**{name: parts.get(name) for name in names})  # type: ignore[arg-type]
