"""How a request that waits, or lasts by its nature, learns that it need not: the gateway ends, or its client has gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.types import Receive, Scope

A = TypeVar("A")

_KEY: Final = "dujiang.ending"


def put_ending(scope: Scope, ending: asyncio.Event) -> None:
    """The server puts the event into each request's scope, and sets it when it ends."""
    scope[_KEY] = ending


def ending_of(scope: Scope) -> asyncio.Event:
    """Never set where no server of ours runs the app."""
    found = scope.get(_KEY)
    return found if isinstance(found, asyncio.Event) else asyncio.Event()


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, A]) -> A | None:
    """What the work gives or raises; None when the client went away first, and then the work is cancelled."""
    gone = asyncio.ensure_future(_disconnected(receive))
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait((gone, working), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (gone, working):
            task.cancel()
        await asyncio.gather(gone, working, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
