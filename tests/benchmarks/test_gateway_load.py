"""The load on the gateway: what it sends is good, no two events are the same, and only what is accepted counts."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from benchmarks import load
from gateway.admission import admit, mode_of
from schemas.catalogue import default_registry

HOST = "127.0.0.1:1"


def parts(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:]), body


@pytest.mark.parametrize("events_each", [1, load.BATCH_EVENTS])
def test_gateway_accepts_what_is_sent(events_each: int) -> None:
    registry, seen = default_registry(), set()
    asking = load._Asking(load.requests(HOST, "r1", events_each), until=0.0)
    for _ in range(load.TEMPLATES + 1):
        headers, body = parts(asking.request())
        assert int(headers["content-length"]) == len(body)
        content_type = headers["content-type"]
        admitted = admit(registry, [("content-type", content_type)], body, mode_of(content_type), datetime.now(UTC))
        assert len(admitted.events) == events_each
        seen |= {(event.source, event.id) for event in admitted.events}
    assert len(seen) == (load.TEMPLATES + 1) * events_each


def test_only_accepted_requests_count_and_answers_may_come_in_pieces() -> None:
    answers = [
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nab", b"cde"),
        (b"HTTP/1.1 503 Unavailable\r\ncontent-le", b"ngth: 0\r\n\r\n"),
    ]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = 0
        with suppress(asyncio.IncompleteReadError):  # the other side is done
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().partition(b"content-length:")[2]))
                for piece in answers[turn % 2]:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                turn += 1

    async def run() -> load.Load:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await load._load("127.0.0.1", port, load.requests(HOST, "r1", 1), 1, 0.2, 1)

    seen = asyncio.run(run())
    assert seen.refused in (seen.requests, seen.requests - 1)
    assert seen.requests == seen.events > 0
