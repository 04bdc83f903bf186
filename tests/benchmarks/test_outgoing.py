"""What counts deliveries: each once, each by its subscriber, and none that a chunk's edge has cut in two."""

import asyncio
import json
import time

import pytest

from benchmarks.listeners import _read
from benchmarks.mailbox import Tally

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 3000\n\n"
EVENT = b'id: c\ndata: {"specversion":"1.0","id":"e"}\n\n'
HEARTBEAT = b'event: heartbeat\nid: c\ndata: {"withheld":{}}\n\n'


@pytest.mark.parametrize("size", [1, 7, 8, 9, 50, 10_000])
def test_events_are_counted_however_they_are_cut(size: int) -> None:
    whole = HEAD + HEARTBEAT + EVENT * 5

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for at in range(0, len(whole), size):
            writer.write(whole[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def run() -> tuple[float, str]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            first_s = await _read(port, "/s", 0, 5)
            try:
                await _read(port, "/s", 0, 6)
            except RuntimeError as error:
                return first_s, str(error)
            return first_s, ""

    first_s, said = asyncio.run(run())
    assert first_s > 0
    assert "5 of 6 events" in said


def test_a_repeat_counts_once_for_its_subscriber_and_delays_are_of_those_that_say_when() -> None:
    tally = Tally()

    def body(number: int, event_id: str) -> bytes:
        return json.dumps({"deliverynumber": str(number), "id": event_id, "subject": "C-1"}, separators=(",", ":")).encode()

    for path in (b"/0", b"/1", b"/1"):
        tally.add(path, body(1, "e1"))
    tally.add(b"/1", body(2, f"live@{time.time() - 1:.3f}"))
    told = json.loads(tally.told())
    assert (told["count"], told["distinct"], told["paths"], told["disorder"]) == (4, 3, {"/0": 1, "/1": 2}, 1)
    assert list(told["delays_ms"]) == ["/1"]
    assert 900 < told["delays_ms"]["/1"]["p50"] < 10_000
    assert set(tally.arrivals) == {"e1", "live"}
