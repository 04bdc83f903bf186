"""Runs the gateway on granian, in this process and this loop. Prints nothing; `on_listening` says where it answers."""

import asyncio
import gc
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.errors import EnvironmentFault
from gateway.ending import put_ending

CONNECTIONS_MAX = 1024
HEADER_TIMEOUT_S = 15
READ_BUFFER_BYTES = 256 * 1024
START_S = 10.0
STOP_S = 7.0  # with the closing of what the app stands on, ten seconds in all
PROBE_S = 0.02
GIVE_UP_S = 1.0
RETRY_AFTER_S = 5


def run(
    open_app: Callable[[], AbstractAsyncContextManager[Any]],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    has_identities: bool = False,
    has_websockets: bool = False,
    on_listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Open the app, serve it until SIGTERM or SIGINT, close it. For a process that does nothing else."""

    async def serve_until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with open_app() as app:
            _tune_interpreter()
            await serve(
                app,
                host=host,
                port=port,
                stop=stop,
                has_identities=has_identities,
                has_websockets=has_websockets,
                on_listening=on_listening,
            )

    uvloop.run(serve_until_signalled())


def _tune_interpreter() -> None:
    """For many requests a second, each with a few short-lived objects, and a second thread that serves acknowledgements."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1_000)
    sys.setswitchinterval(0.0005)  # the default, 5 ms, is as long as a request takes


async def serve(
    app: Any,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    has_identities: bool = False,
    has_websockets: bool = False,
    on_listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until `stop` is set, then answer what is in flight, at most STOP_S long. Port 0 takes a free one.

    Raises EnvironmentFault when it may not or cannot listen there.
    """
    address = listening_address(host, has_identities=has_identities)
    port = _claimed_port(address, port)
    requests = _InFlight(app)
    server = Server(
        requests,
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=has_websockets,
        backlog=CONNECTIONS_MAX,
        backpressure=CONNECTIONS_MAX,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_S * 1000, max_buffer_size=READ_BUFFER_BYTES),
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    try:
        await _wait_listening(serving, address, port)
        on_listening(f"http://{f'[{address}]' if ':' in address else address}:{port}")
        await _first_of(serving, stop)
    finally:
        requests.ask_to_end()
        await _stop(server, serving, requests)


def listening_address(host: str, *, has_identities: bool) -> str:
    """The address to listen on. Raises EnvironmentFault for one that others could reach while nobody is asked who he is."""
    text = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise EnvironmentFault(
            f"the gateway cannot listen on {host!r}: that is no address",
            "set gateway.host to 127.0.0.1 or ::1, or with gateway.auth=token to another address of this machine",
        ) from None
    if not (address.is_loopback or has_identities):
        raise EnvironmentFault(
            f"the gateway cannot listen on {host!r}: without partners' identities it listens on loopback only",
            "set gateway.host to 127.0.0.1 or ::1; or set gateway.auth to token and give each partner one:"
            " `dujiang partners add`, then `dujiang partners token`",
        )
    return text


def _claimed_port(address: str, port: int) -> int:
    """A port that nobody holds. granian shares ports (SO_REUSEPORT): two gateways would divide the requests unseen."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise EnvironmentFault(
                f"the gateway cannot listen on {address} port {port}: {error.strerror}",
                "end what listens there, or set another port",
            ) from error
        return int(probe.getsockname()[1])


async def _wait_listening(serving: "asyncio.Task[None]", address: str, port: int) -> None:
    async with asyncio.timeout(START_S):
        while True:
            if serving.done():
                await serving
                raise RuntimeError("the HTTP server ended while starting")
            try:
                _, writer = await asyncio.open_connection(address, port)
            except OSError:
                await asyncio.sleep(PROBE_S)
            else:
                writer.close()
                return


async def _first_of(serving: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if serving.done() and not stop.is_set():
        await serving
        raise RuntimeError("the HTTP server ended by itself")


async def _stop(server: Any, serving: "asyncio.Task[None]", requests: "_InFlight") -> None:
    """No new connections; requests in flight are answered, those that take too long with 503."""
    if not serving.done():
        server.stop()
        requests.hang_up()
        await asyncio.wait((serving,), timeout=STOP_S)
    if not serving.done():
        requests.give_up()
        await asyncio.wait((serving,), timeout=GIVE_UP_S)


class _InFlight:
    """ASGI middleware that knows the requests under way. Cancelling granian's own task instead would make it stumble."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending = asyncio.Event()
        self._sockets: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if task is not None and scope["type"] == "websocket":
            self._sockets.add(task)
            try:
                await self._app(scope, receive, send)
            except asyncio.CancelledError:
                pass  # the server stops; the page connects to the next one
            finally:
                self._sockets.discard(task)
            return
        if task is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._tasks.add(task)
        put_ending(scope, self._ending)
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            headers = {"retry-after": str(RETRY_AFTER_S), "connection": "close"}
            await Response(status_code=503, headers=headers)(scope, receive, send)
        finally:
            self._tasks.discard(task)

    def ask_to_end(self) -> None:
        """Requests that wait or last by their nature answer with what they have."""
        self._ending.set()

    def hang_up(self) -> None:
        """WebSockets have no end of their own to wait for."""
        for task in self._sockets:
            task.cancel()

    def give_up(self) -> None:
        for task in self._tasks:
            task.cancel()
