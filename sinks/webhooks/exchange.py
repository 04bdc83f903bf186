"""One HTTP/1.1 request, one answer, on connections that are kept: what deliveries do for each event, so no more than that.

llhttp (httptools) reads the answers. There are no redirects, cookies, content codings, proxies or pipelines, and every answer
is bounded in bytes and time. Where a connection goes is decided by whoever gives the addresses (`sender.py`).
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httptools
from aiohappyeyeballs import start_connection
from yarl import URL

from sinks.webhooks.destinations import Address

ANSWER_BYTES_MAX: Final = 16 * 1024  # of the body; a longer one is not read on, its status counts
HEAD_BYTES_MAX: Final = 16 * 1024  # of status line and headers together, of all interim answers, too
FRAMING_BYTES_MAX: Final = 8 * ANSWER_BYTES_MAX  # behind the head: chunks of a byte each still fit, an endless trailer does not
REQUEST_TIMEOUT: Final = 408
INTERIM_MAX: Final = 8  # 100 Continue and the like
KEEPALIVE_S: Final = 15.0  # receivers close what is idle for long
# Seconds until the next address of a name is tried beside one that is silent (RFC 8305, 5).
NEXT_ADDRESS_S: Final = 0.25

Resolve = Callable[[str], Awaitable[Sequence[Address]]]


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds. `connect_s` holds name, connection and TLS; `headers_s` counts from there on, `body_s` from the headers on,
    however slowly bytes trickle."""

    connect_s: float = 5.0
    headers_s: float = 20.0
    body_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `head` is what all requests to it begin with, after the method."""

    url: URL
    host: str
    port: int
    is_tls: bool
    head: str


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, the body as far as ANSWER_BYTES_MAX. Header names in lower case; of one that stands twice the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unconnected(Exception):
    """No address of the target could be connected to; the cause is the OSError."""


class ConnectionLost(Exception):
    """The other side closed before it said anything."""


class AnswerBroken(Exception):
    """What came is no HTTP, is too much, or ends in the middle."""


def target_of(url: URL, headers: Mapping[str, str]) -> Target:
    """`headers` go with every request to it. Raises ValueError for a header that is none."""
    host, port = url.raw_host, url.port
    if host is None or port is None:
        raise ValueError(f"{url} names no host")
    named = f"[{host}]" if ":" in host else host
    shown = named if url.is_default_port() else f"{named}:{port}"
    head = f" {url.raw_path_qs} HTTP/1.1\r\nHost: {shown}\r\n{_lines(headers)}"
    return Target(url, host, port, url.scheme == "https", head)


class Exchanges:
    """Connections to many targets. Use it in one loop; `close` it at the end. `resolve` may raise OSError."""

    def __init__(self, resolve: Resolve, limits: TimeLimits, tls: ssl.SSLContext | None = None) -> None:
        self._resolve = resolve
        self._limits = limits
        self._tls = tls or ssl.create_default_context()
        self._idle: dict[tuple[str, int, bool], list[_Connection]] = {}
        self._all: set[_Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def ask(self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Raises Unconnected, ConnectionLost, AnswerBroken, TimeoutError; ValueError for a header that is none."""
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        request = f"{method}{target.head}{_lines(headers)}{length}\r\n".encode() + (body or b"")
        connection = self._kept(target)
        if connection is not None:
            # Closed in the moment in which it was used, as happens to idle ones, or given up as idle: once more, on a new one.
            with contextlib.suppress(ConnectionLost):
                response = await self._on(connection, target, request)
                if response.status != REQUEST_TIMEOUT:
                    return response
        if self._is_closed:
            raise ConnectionLost
        return await self._on(await self._connected(target), target, request)

    async def close(self) -> None:
        """All connections; nothing is sent any more."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._all):
            connection.abort()
        await asyncio.sleep(0)  # so that transports hear of it while there is a loop

    async def _on(self, connection: "_Connection", target: Target, request: bytes) -> Response:
        try:
            response = await connection.exchange(request)
        except BaseException:  # also cancelled: an answer may come that nobody waits for
            connection.abort()
            raise
        if connection.is_usable:
            self._keep(connection, target)
        return response

    # --- connections ---

    def _kept(self, target: Target) -> "_Connection | None":
        idle = self._idle.get((target.host, target.port, target.is_tls))
        while idle:
            connection = idle.pop()  # the newest: the oldest are the likeliest to be closed
            if connection.is_usable:
                return connection
        return None

    def _keep(self, connection: "_Connection", target: Target) -> None:
        connection.idle_since_s = asyncio.get_running_loop().time()
        self._idle.setdefault((target.host, target.port, target.is_tls), []).append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEEPALIVE_S, self._close_idle)

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        before_s = loop.time() - KEEPALIVE_S
        for key, idle in list(self._idle.items()):
            for connection in idle:
                if connection.idle_since_s <= before_s:
                    connection.abort()
            idle[:] = [connection for connection in idle if connection.is_usable]
            if not idle:
                del self._idle[key]
        self._sweep = loop.call_later(KEEPALIVE_S / 3, self._close_idle) if self._idle else None

    async def _connected(self, target: Target) -> "_Connection":
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._limits.connect_s):
            try:
                addresses = await self._resolve(target.host)
                reached = await start_connection(
                    [_told(address, target.port) for address in addresses], happy_eyeballs_delay=NEXT_ADDRESS_S
                )
                try:
                    _, connection = await loop.create_connection(
                        lambda: _Connection(self._all, self._limits),
                        sock=reached,
                        ssl=self._tls if target.is_tls else None,
                        server_hostname=target.host if target.is_tls else None,
                    )
                except BaseException:
                    reached.close()
                    raise
            except TimeoutError:
                raise
            except OSError as error:
                raise Unconnected from error
        return connection


@dataclass(slots=True)
class _Coming:
    """The answer that comes, as far as it has come."""

    came: int = 0  # bytes: of the head, then of what follows it
    head_bytes: int = 0  # of its headers, those of interim answers included
    interim: int = 0  # answers before it
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
    is_in_body: bool = False
    body: bytearray = field(default_factory=bytearray)

    @property
    def ends_with_connection(self) -> bool:
        """RFC 9112, 6.3: neither a length nor chunks say where it ends."""
        coding = self.headers.get("transfer-encoding", "").lower()
        return "content-length" not in self.headers and not coding.endswith("chunked")


class _Connection(asyncio.Protocol):
    """One exchange at a time. It is in `held` from the beginning to the end."""

    def __init__(self, held: "set[_Connection]", limits: TimeLimits) -> None:
        self._held = held
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._waiting: asyncio.Future[Response] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._coming = _Coming()
        self.idle_since_s = 0.0

    @property
    def is_usable(self) -> bool:
        return not self._is_closing

    async def exchange(self, request: bytes) -> Response:
        if self._is_closing:  # in the moment in which it was made
            raise ConnectionLost
        self._waiting = self._loop.create_future()
        self._timer = self._loop.call_later(self._limits.headers_s, self._fail, TimeoutError())
        self._transport.write(request)
        return await self._waiting

    def abort(self) -> None:
        """At once; whoever waits hears of it."""
        self._is_closing = True
        self._transport.abort()

    # --- the transport's calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._held.add(self)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:  # nobody asked
            self.abort()
            return
        was_in_head = not self._coming.is_in_body
        self._coming.came += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(AnswerBroken(type(error).__name__))
            return
        if self._waiting is None:
            if self._is_closing:
                self._transport.abort()  # not `close`: under TLS that waits half a minute for the other side
            return
        if not self._coming.is_in_body:
            if self._coming.came > HEAD_BYTES_MAX:
                self._fail(AnswerBroken("head too long"))
        elif was_in_head:
            self._coming.came = 0
            self._time_body()
        elif self._coming.came > FRAMING_BYTES_MAX:
            self._fail(AnswerBroken("too much around the body"))

    def eof_received(self) -> None:
        """The other side has said all: the transport closes."""

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        self._held.discard(self)
        if self._waiting is None:
            return
        if self._coming.is_in_body and self._coming.ends_with_connection and error is None:
            self._answer()
        else:
            has_begun = self._coming.came or self._coming.is_in_body
            self._fail(AnswerBroken("ends in the middle") if has_begun else ConnectionLost())

    # --- the parser's calls ---

    def on_message_begin(self) -> None:
        if self._waiting is None:  # a second answer to one question
            self._is_closing = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._coming.is_in_body:  # a trailer says nothing that counts here
            return
        self._coming.head_bytes += len(name) + len(value)
        if self._coming.head_bytes > HEAD_BYTES_MAX:
            raise ValueError("head too long")
        self._coming.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._coming.status = self._parser.get_status_code()
        self._coming.is_in_body = self._coming.status >= 200

    def on_body(self, chunk: bytes) -> None:
        if self._waiting is None:
            return
        self._coming.body += chunk
        if len(self._coming.body) > ANSWER_BYTES_MAX:
            self._answer()
            self.abort()

    def on_message_complete(self) -> None:
        if self._waiting is None:
            return
        if not self._coming.is_in_body:  # an interim answer; the other follows
            self._coming.interim += 1
            if self._coming.interim > INTERIM_MAX or self._coming.status < 100:
                raise ValueError("no end of interim answers")
            self._coming.headers.clear()
            return
        # What the other side has not read yet would hold up what is sent next.
        if not self._parser.should_keep_alive() or self._transport.get_write_buffer_size():
            self._is_closing = True
        self._answer()

    # --- the answer ---

    def _time_body(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._limits.body_s, self._fail, TimeoutError())

    def _answer(self) -> None:
        coming = self._coming
        response = Response(coming.status, coming.headers, bytes(coming.body[:ANSWER_BYTES_MAX]))
        waiting = self._ended()
        self._coming = _Coming()
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    def _fail(self, error: Exception) -> None:
        waiting = self._ended()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
        self.abort()

    def _ended(self) -> "asyncio.Future[Response] | None":
        waiting, self._waiting = self._waiting, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return waiting


def _lines(headers: Mapping[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ValueError("a header holds a line break or a zero byte")
    return lines


def _told(address: Address, port: int) -> Any:
    """As getaddrinfo would say it, with the address as a number: nothing is looked up again."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    place: tuple[Any, ...] = (str(address), port) if address.version == 4 else (str(address), port, 0, 0)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place
