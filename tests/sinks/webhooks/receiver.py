"""A subscriber's endpoint in a thread: it verifies what comes, keeps it, and answers as it is told."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread

from aiohttp import web

from sinks.webhooks.signing import SharedSecret, SignatureRefused, verify


@dataclass(frozen=True)
class Arrival:
    """One signed call."""

    id: str
    number: int
    key: str
    event_id: str
    at_s: float
    status: int
    traceparent: str | None = None
    authorization: str | None = None


class Endpoint:
    """`answer` is asked for the status of each signed call; an unsigned one gets 401, OPTIONS consent."""

    def __init__(
        self, secret: bytes, answer: Callable[[dict[str, object]], int] = lambda _: 200, *, delay_s: float = 0
    ) -> None:
        self.secret = secret
        self.answer = answer
        self.delay_s = delay_s
        self.arrivals: list[Arrival] = []
        self.refused: list[str] = []
        self.consents = True
        self.tokens: set[str] | None = None  # None: nobody is asked for one
        self.callbacks: list[str] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def address(self) -> tuple[str, bytes]:
        """What a subscription needs."""
        return self.url, self.secret

    @property
    def acknowledged(self) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.status < 300]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=4 * 1_048_576)
        app.router.add_route("OPTIONS", "/hook", self._consent)
        app.router.add_post("/hook", self._take)
        runner = web.AppRunner(app, access_log=None)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        self.port = runner.addresses[0][1]
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _consent(self, request: web.Request) -> web.Response:
        if (callback := request.headers.get("WebHook-Request-Callback")) is not None:
            self.callbacks.append(callback)
        allowed = {"WebHook-Allowed-Origin": request.headers["WebHook-Request-Origin"], "WebHook-Allowed-Rate": "*"}
        return web.Response(headers=allowed if self.consents else {})

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            verify(
                [SharedSecret(self.secret)], {name.lower(): value for name, value in request.headers.items()}, body, time.time()
            )
        except SignatureRefused as refusal:
            self.refused.append(refusal.reason)
            return web.Response(status=401)
        if self.tokens is not None and request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            self.refused.append("token")
            return web.Response(status=401)
        event = json.loads(body)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        status = self.answer(event)
        self.arrivals.append(
            Arrival(
                request.headers["webhook-id"],
                int(event["deliverynumber"]),
                event["subject"],
                event["id"],
                time.monotonic(),
                status,
                request.headers.get("traceparent"),
                request.headers.get("authorization"),
            )
        )
        return web.Response(status=status)
