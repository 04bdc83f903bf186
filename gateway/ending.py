"""How a request that waits, or lasts by its nature, learns that the gateway ends: the server puts the event into its scope."""

import asyncio
from typing import Final

from starlette.types import Scope

_KEY: Final = "dujiang.ending"


def put_ending(scope: Scope, ending: asyncio.Event) -> None:
    scope[_KEY] = ending


def ending_of(scope: Scope) -> asyncio.Event:
    """Never set where no server of ours runs the app."""
    found = scope.get(_KEY)
    return found if isinstance(found, asyncio.Event) else asyncio.Event()
