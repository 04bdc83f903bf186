"""A subscription as server-sent events (WHATWG HTML, 9.2): each event under its cursor, which Last-Event-ID brings back.

| what is sent | means |
| --- | --- |
| `id: CURSOR`, `data: {CloudEvent}` | an event; one field, one line |
| `event: heartbeat`, `id: CURSOR` | nothing passed for a while; the cursor moves all the same, so retention does not pass it |
| `event: end` | the stream ends, `data` says why; a client that comes again gets the same as a problem |

Nothing is queued for a reader: the next page is read when the last one is on the wire. One who does not read for SEND_S is
put out, and goes on from his cursor when he comes again.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import structlog
from starlette.types import Receive, Scope, Send

from gateway.ending import unless_gone
from gateway.problems import Problem, ProblemWriter, request_language
from gateway.subscriptions import cursors, kinds
from gateway.subscriptions.readers import Session
from gateway.subscriptions.reading import Page

PAGE_EVENTS_MAX: Final = 100
HEARTBEAT_S: Final = 15.0
WAIT_S: Final = 0.5  # how old rights and state may be when the next event goes out
SEND_S: Final = 30.0
RETRY_MS: Final = 3_000
AWAY_RETRY_S: Final = 1.0
HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
)
# Not the subscriber's doing, and nothing is sent meanwhile: the stream waits.
_PASSING: Final = frozenset(("log_away", "store_away"))

log = structlog.get_logger("gateway")


class EventStream:
    """ASGI application of one stream, built once the session was found good."""

    def __init__(self, session: Session, problems: ProblemWriter, *, heartbeat_s: float = HEARTBEAT_S, send_s: float = SEND_S):
        self._session = session
        self._problems = problems
        self._heartbeat_s = heartbeat_s
        self._send_s = send_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        await unless_gone(receive, self._run(scope, send))

    async def _run(self, scope: Scope, send: Send) -> None:
        try:
            await self._send(send, f"retry: {RETRY_MS}\n\n".encode())
            end = await self._until_end(send)
            await self._send(send, self._end(end, scope))
            await self._send(send, b"", more_body=False)
        except TimeoutError:
            # It did not read for so long; an end would wait for it as well.
            log.info("stream_put_out", send_s=self._send_s)

    async def _until_end(self, send: Send) -> Problem:
        quiet_since_s = _now_s()
        while not self._session.is_ending:
            try:
                page = await self._session.page(PAGE_EVENTS_MAX)
            except Problem as problem:
                if problem.kind.slug not in _PASSING:
                    return problem
                await self._session.wait(AWAY_RETRY_S)
                page = Page(self._session.positions)
            if page.events:
                await self._send(send, frames(self._session.positions, page))
                quiet_since_s = _now_s()
            self._session.sent(page)
            if not page.events and _now_s() - quiet_since_s >= self._heartbeat_s:
                await self._send(send, heartbeat(page))
                quiet_since_s = _now_s()
            if not page.events and not page.has_more:
                await self._session.wait(min(WAIT_S, self._heartbeat_s))
        return Problem(kinds.GATEWAY_ENDING, kinds.GATEWAY_ENDING.meaning)

    async def _send(self, send: Send, body: bytes, *, more_body: bool = True) -> None:
        async with asyncio.timeout(self._send_s):
            await send({"type": "http.response.body", "body": body, "more_body": more_body})

    def _end(self, problem: Problem, scope: Scope) -> bytes:
        members = self._problems.members(problem, request_language(scope))
        return _frame("end", cursors.encode(self._session.positions), {"reason": problem.kind.slug, **members})


def frames(before: Mapping[Any, int], page: Page) -> bytes:
    """The events of a page, each under the cursor that goes on behind it."""
    positions = cursors.Moving(before)
    pieces: list[bytes] = []
    for passed in page.events:
        positions.move(passed.place, passed.offset + 1)
        pieces += (b"id: ", positions.cursor(), b"\ndata: ", passed.event.body, b"\n\n")
    return b"".join(pieces)


def heartbeat(page: Page) -> bytes:
    return _frame("heartbeat", cursors.encode(page.positions), {"withheld": page.withheld})


def _frame(name: str, cursor: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {name}\nid: {cursor}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
