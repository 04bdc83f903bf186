"""Exchanges on kept connections against servers that do all that HTTP/1.1 lets them, and what it does not."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import pytest
import uvloop
from yarl import URL

from sinks.webhooks import exchange as module
from sinks.webhooks.destinations import Address
from sinks.webhooks.exchange import (
    ANSWER_BYTES_MAX,
    AnswerBroken,
    ConnectionLost,
    Exchanges,
    Response,
    Target,
    TimeLimits,
    Unconnected,
    target_of,
)
from tests.sinks.webhooks.test_sender import _tls

T = TypeVar("T")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMITS = TimeLimits(connect_s=1.0, headers_s=0.5, body_s=0.5)


class Server:
    """Answers each request with the next of `answers`, the last again and again; None closes without a word.

    `b""` in the middle of an answer's parts is a moment of silence. `closes`: after each answer.
    """

    def __init__(self, *answers: bytes | Sequence[bytes] | None, closes: bool = False) -> None:
        self.answers = list(answers)
        self.closes = closes
        self.heard: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(one[15:]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length:")), 0)
                self.heard.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    return
                for part in (answer,) if isinstance(answer, bytes) else answer:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0 if part else 0.05)
                if self.closes:
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the other side had enough, or the test ends
        finally:
            writer.close()


async def _here(_: str) -> Sequence[Address]:
    return [ipaddress.ip_address("127.0.0.1")]


def _run(
    server: Server,
    do: Callable[[Exchanges, Target], Awaitable[T]],
    resolve: Callable[[str], Awaitable[Sequence[Address]]] = _here,
    headers: dict[str, str] | None = None,
) -> T:
    async def run() -> T:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        exchanges = Exchanges(resolve, LIMITS)
        try:
            return await do(
                exchanges, target_of(URL(f"http://hook.example.org:{port}/名/a b?q=%E5%80%BC&r=a+b"), headers or {})
            )
        finally:
            await exchanges.close()
            listening.close()

    return asyncio.run(run())


def _ask(*answers: bytes | Sequence[bytes] | None, closes: bool = False) -> Response:
    return _run(Server(*answers, closes=closes), lambda exchanges, target: exchanges.ask("POST", target, {}, b"x"))


def test_a_request_says_what_it_was_given_and_its_path_is_escaped_once() -> None:
    server = Server(OK)
    found = _run(server, lambda exchanges, target: exchanges.ask("POST", target, {"X-A": "b"}, b"body"), headers={"U": "v"})
    assert found == Response(200, {"content-length": "2"}, b"ok")
    head, body = server.heard[0].split(b"\r\n\r\n")
    first, host, *lines = head.split(b"\r\n")
    assert (first, body) == (b"POST /%E5%90%8D/a%20b?q=%E5%80%BC&r=a+b HTTP/1.1", b"body")
    assert host.startswith(b"Host: hook.example.org:")
    assert lines == [b"U: v", b"X-A: b", b"Content-Length: 4"]


@pytest.mark.parametrize("value", ["a\r\nX-B: c", "a\nb", "a\rb", "a\0b"])
def test_no_header_smuggles_another(value: str) -> None:
    server = Server(OK)
    with pytest.raises(ValueError, match="line break"):
        _run(server, lambda exchanges, target: exchanges.ask("POST", target, {"X-A": value}, b""))
    assert server.heard == []


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Enc", b"", b"oding: chunked\r\n\r\n1\r\n", b"", b"o\r\n1\r\nk\r\n0\r\n\r\n"), b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        ((b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"", OK), b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
def test_whatever_form_an_answer_has_its_connection_is_used_again(answer: bytes | Sequence[bytes], body: bytes) -> None:
    async def twice(exchanges: Exchanges, target: Target) -> list[bytes]:
        return [(await exchanges.ask("POST", target, {}, b"x")).body for _ in range(2)]

    server = Server(answer)
    assert _run(server, twice) == [body, body]
    assert len(server.writers) == 1


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
)
def test_a_connection_that_is_not_to_be_kept_is_not_kept(answer: bytes) -> None:
    async def twice(exchanges: Exchanges, target: Target) -> list[int]:
        return [(await exchanges.ask("POST", target, {}, b"x")).status for _ in range(2)]

    server = Server(answer)
    assert _run(server, twice) == [200, 200]
    assert len(server.writers) == 2


def test_an_answer_may_end_with_its_connection() -> None:
    assert _ask((b"HTTP/1.1 200 OK\r\n\r\n", b"", b"o", b"", b"k"), closes=True).body == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X" * 100_000,
        b"HTTP/2 200 OK\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",  # a TLS alert
    ],
)
def test_what_is_no_whole_answer_is_broken(answer: bytes) -> None:
    with pytest.raises(AnswerBroken):
        _ask(answer, closes=True)


def test_a_second_answer_to_one_question_is_never_taken_for_the_next() -> None:
    async def twice(exchanges: Exchanges, target: Target) -> list[int]:
        first = await exchanges.ask("POST", target, {}, b"x")
        await asyncio.sleep(0.3)  # a late one arrives while nobody waits
        return [first.status, (await exchanges.ask("POST", target, {}, b"x")).status]

    refused = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    for surplus in (OK + refused, (OK, b"", refused)):
        server = Server(surplus, b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n")
        assert _run(server, twice) == [200, 202]
        assert len(server.writers) == 2


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_once() -> None:
    async def thrice(exchanges: Exchanges, target: Target) -> None:
        assert (await exchanges.ask("POST", target, {}, b"1")).status == 200
        assert (await exchanges.ask("POST", target, {}, b"2")).status == 200  # closed without a word, then again
        with pytest.raises(ConnectionLost):
            await exchanges.ask("POST", target, {}, b"3")

    server = Server(OK, None, OK, None)
    _run(server, thrice)
    assert [heard[-1:] for heard in server.heard] == [b"1", b"2", b"2", b"3", b"3"]


def test_a_new_connection_that_is_closed_without_a_word_is_not_tried_again() -> None:
    server = Server(None)
    with pytest.raises(ConnectionLost):
        _run(server, lambda exchanges, target: exchanges.ask("POST", target, {}, b"x"))
    assert len(server.heard) == 1


def test_what_follows_a_long_body_is_not_read() -> None:
    found = _ask(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 200_000)
    assert (found.status, len(found.body)) == (200, ANSWER_BYTES_MAX)


def test_an_attempt_that_is_given_up_leaves_no_connection_behind() -> None:
    """Its answer would be the next one's."""

    async def cancelled(exchanges: Exchanges, target: Target) -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await exchanges.ask("POST", target, {}, b"x")
        return (await exchanges.ask("POST", target, {}, b"y")).status

    server = Server((b"HTTP/1.1 500 No\r\n", b"", b"", b"", b"", b"Content-Length: 0\r\n\r\n"), OK)
    assert _run(server, cancelled) == 200
    assert len(server.writers) == 2


def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_S", 0.1)

    async def idle(exchanges: Exchanges, target: Target) -> None:
        await asyncio.gather(*(exchanges.ask("POST", target, {}, b"x") for _ in range(3)))
        await asyncio.sleep(0.4)
        await exchanges.ask("POST", target, {}, b"x")

    server = Server(OK)
    _run(server, idle)
    assert len(server.writers) == 4


def test_a_silent_address_costs_a_quarter_of_a_second() -> None:
    """192.0.2.0/24 is for documentation: nobody answers there, or the machine says at once that there is no way."""

    async def two(_: str) -> Sequence[Address]:
        return [ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("127.0.0.1")]

    assert _run(Server(OK), lambda exchanges, target: exchanges.ask("POST", target, {}, b"x"), two).status == 200


def test_nobody_there_names_the_cause() -> None:
    async def ask(exchanges: Exchanges, target: Target) -> None:
        await exchanges.ask("POST", target_of(URL("http://hook.example.org:1/"), {}), {}, b"x")

    with pytest.raises(Unconnected) as caught:
        _run(Server(OK), ask)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


# --- who would hold up others ---


async def _endless(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()


class Flood(Server):
    """Says `first`, then `piece` without end."""

    def __init__(self, first: bytes, piece: bytes) -> None:
        super().__init__(first)
        self._piece = piece

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(bytes(self.answers[0] or b""))
            await _endless(writer, self._piece)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
        (b"HTTP/1.1 103 Early Hints\r\n", b"Link: </a>\r\n" * 1_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX", b"x" * 10_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x" * 10_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 10_000),
        (b"HTTP/1.1 200 OK\r\nX", b"x" * 10_000),
    ],
)
def test_an_answer_without_end_is_broken_long_before_its_time_is_up(first: bytes, piece: bytes) -> None:
    with pytest.raises(AnswerBroken):  # and no TimeoutError
        _run(Flood(first, piece), lambda exchanges, target: exchanges.ask("POST", target, {}, b"x"))


def test_a_trailer_says_nothing_that_counts() -> None:
    found = _ask(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 86400\r\n\r\n")
    assert (found.status, "retry-after" in found.headers) == (503, False)


def test_a_cut_answer_is_broken_however_its_coding_is_written() -> None:
    with pytest.raises(AnswerBroken):
        _ask(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhal", closes=True)


def test_a_kept_connection_that_was_given_up_as_idle_is_replaced() -> None:
    """RFC 9110, 15.5.9: the request may go once more, on another connection."""

    async def twice(exchanges: Exchanges, target: Target) -> list[int]:
        return [(await exchanges.ask("POST", target, {}, b"x")).status for _ in range(2)]

    assert _run(Server(OK, b"HTTP/1.1 408 Idle\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", OK), twice) == [200, 200]


def test_a_connection_whose_request_is_not_read_yet_is_not_kept() -> None:
    class Early(Server):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.append(writer)
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
                await asyncio.sleep(5)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                return
            finally:
                writer.close()

    async def twice(exchanges: Exchanges, target: Target) -> list[int]:
        return [(await exchanges.ask("POST", target, {}, b"x" * 20_000_000)).status for _ in range(2)]

    server = Early(OK)
    assert _run(server, twice) == [413, 413]
    assert len(server.writers) == 2


def test_after_the_end_nothing_is_sent_again() -> None:
    async def ended(exchanges: Exchanges, target: Target) -> None:
        assert (await exchanges.ask("POST", target, {}, b"1")).status == 200
        asking = asyncio.create_task(exchanges.ask("POST", target, {}, b"2"))
        await asyncio.sleep(0.1)
        await exchanges.close()
        with pytest.raises(ConnectionLost):
            await asking
        await asyncio.sleep(0.1)

    server = Server(OK, [b""] * 20)
    _run(server, ended)
    assert len(server.heard) == 2


def test_a_connection_that_is_not_kept_is_gone_at_once_though_the_other_side_lingers(tmp_path: Path) -> None:
    """Under TLS `close` would wait for the other side's word, with a descriptor each."""
    server_tls, client_tls = _tls(tmp_path, "hook.example.org")
    lingering: list[asyncio.Transport] = []

    class Lingering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            lingering.append(cast(asyncio.Transport, transport))

        def data_received(self, _: bytes) -> None:
            lingering[-1].write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            lingering[-1].pause_reading()  # it never answers to our close

    async def run() -> int:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(Lingering, "127.0.0.1", 0, ssl=server_tls)
        port = listening.sockets[0].getsockname()[1]
        exchanges = Exchanges(_here, LIMITS, client_tls)
        target = target_of(URL(f"https://hook.example.org:{port}/"), {})
        for _ in range(5):
            assert (await exchanges.ask("POST", target, {}, b"x")).status == 200
        await asyncio.sleep(0.1)
        held = len(exchanges._all)
        await exchanges.close()
        listening.close()
        return held

    assert uvloop.run(run()) == 0
