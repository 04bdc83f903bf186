"""An open page and its reader, who may become somebody else."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import TransientFault
from gateway.console.rights import Role, User
from gateway.console.screens import house
from gateway.console.screens.house import House, Visit

LI = User("li", Role.OPERATOR)


@pytest.mark.parametrize(
    ("found", "went"),
    [
        (LI, []),
        (LI._replace(role=Role.VIEWER), ["reload"]),
        (LI._replace(role=Role.PARTNER, partner_id="institute"), ["reload"]),
        (None, ["/console/sign-in"]),
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


def _house(**parts: Any) -> House:
    """With these parts alone."""
    names = ("views", "own", "kept", "sampler", "deeds", "orders", "user_of", "tell", "parts", "clock", "zone")
    return House(**{name: parts.get(name) for name in names})  # type: ignore[arg-type]
