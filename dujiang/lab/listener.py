"""A receiver to look at deliveries with: verifies, says what it got, and answers as it is told."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aiohttp import web

from schemas.cloudevents import CloudEventError, json_format
from sinks.webhooks.signing import ID_HEADER, SignatureRefused, Verifier, verify

BODY_BYTES_MAX: Final = 4 * 1_048_576
IDS_MAX: Final = 100_000  # remembered, to tell repeats


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What signed deliveries are answered with. `every`: only each so many-th is, the others get 200."""

    status: int = 200
    retry_after_s: int | None = None
    delay_s: float = 0.0
    every: int = 1


class Heard(NamedTuple):
    """One call. `verdict`: good, repeat, or why it was refused."""

    verdict: str
    status: int
    webhook_id: str
    number: str
    type: str
    subject: str
    id: str
    bytes: int


class Listener:
    """An aiohttp application with one path for everything."""

    def __init__(self, verifiers: Sequence[Verifier], behaviour: Behaviour, on_heard: Callable[[Heard], None]) -> None:
        self._verifiers = verifiers
        self._behaviour = behaviour
        self._on_heard = on_heard
        self._seen: dict[str, None] = {}
        self._count = 0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("OPTIONS", "/{path:.*}", self._consent)
        app.router.add_post("/{path:.*}", self._take)
        return app

    async def _consent(self, request: web.Request) -> web.Response:
        origin = request.headers.get("WebHook-Request-Origin")
        if origin is None:
            return web.Response(status=400, text="WebHook-Request-Origin is missing\n")
        return web.Response(headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            verify(self._verifiers, headers, body, time.time())
            event = _members(body)
        except SignatureRefused as refusal:
            return self._refused(refusal.reason, 401, str(refusal), headers, body)
        except CloudEventError as error:
            return self._refused(str(error.reason), 400, error.message, headers, body)
        message_id = headers[ID_HEADER]
        verdict = "repeat" if message_id in self._seen else "good"
        self._remember(message_id)
        self._count += 1
        behaviour = self._behaviour if self._count % self._behaviour.every == 0 else Behaviour()
        if behaviour.delay_s:
            await asyncio.sleep(behaviour.delay_s)
        self._on_heard(
            Heard(
                verdict,
                behaviour.status,
                message_id,
                str(event.get("deliverynumber", "")),
                event["type"],
                str(event.get("subject", "")),
                event["id"],
                len(body),
            )
        )
        more = {} if behaviour.retry_after_s is None else {"Retry-After": str(behaviour.retry_after_s)}
        return web.Response(status=behaviour.status, headers=more)

    def _refused(self, reason: str, status: int, message: str, headers: dict[str, str], body: bytes) -> web.Response:
        self._on_heard(Heard(reason, status, headers.get(ID_HEADER, ""), "", "", "", "", len(body)))
        return web.Response(status=status, text=f"{message}\n")

    def _remember(self, message_id: str) -> None:
        self._seen[message_id] = None
        if len(self._seen) > IDS_MAX:
            del self._seen[next(iter(self._seen))]


def _members(body: bytes) -> dict[str, Any]:
    """The event as JSON, once it is known to be a CloudEvent. Raises CloudEventError."""
    json_format.decode(body)
    members: dict[str, Any] = json.loads(body)
    return members


async def listen(listener: Listener, host: str, port: int, stop: asyncio.Event, on_listening: Callable[[str], None]) -> None:
    """Until `stop`. Raises OSError when the port is taken."""
    runner = web.AppRunner(listener.app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        on_listening(f"http://{host}:{runner.addresses[0][1]}/")
        await stop.wait()
    finally:
        await runner.cleanup()
