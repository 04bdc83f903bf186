"""The load on a gateway: keep-alive connections that each send the next request when the answer is there.

A process of its own that does as little as it can, since it shares the cores with what it measures: requests are made
beforehand, only the ids in them change; of an answer only status and length are looked at. Prints one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import asdict, dataclass
from itertools import islice
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.traffic import Event, status_events

BATCH_EVENTS = 100
TEMPLATES = 200
KEYS = 5_000
ANSWER_S_MAX = 30.0
_SERIAL = b"@@@@@@@@@@@@"  # where a request's number goes; as long as the number, so that Content-Length holds
_SINGLE, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@dataclass(frozen=True)
class Load:
    """What one run saw. Delays are ms from the request's first byte to the answer's last."""

    requests: int
    events: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--run", required=True, help="goes into every id, so that no event is another's repeat")
    parser.add_argument("--batch", action="store_true", help=f"batches of {BATCH_EVENTS} instead of single events")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    host, port = urlsplit(arguments.url).hostname, urlsplit(arguments.url).port
    assert host is not None
    assert port is not None
    events_each = BATCH_EVENTS if arguments.batch else 1
    templates = requests(f"{host}:{port}", arguments.run, events_each)
    seen = uvloop.run(_load(host, port, templates, arguments.connections, arguments.seconds, events_each))
    print(json.dumps(asdict(seen)))


def requests(host: str, run: str, events_each: int) -> list[bytes]:
    """Whole HTTP requests with `_SERIAL` in the id of each event."""
    events = (_body(event, run) for event in status_events(TEMPLATES * events_each, KEYS))
    return [_request(host, list(islice(events, events_each)), is_batch=events_each > 1) for _ in range(TEMPLATES)]


def _body(event: Event, run: str) -> bytes:
    return event.value.replace(b'"id":"', b'"id":"%b-%b-' % (run.encode(), _SERIAL), 1)


def _request(host: str, events: list[bytes], *, is_batch: bool) -> bytes:
    body = b"[" + b",".join(events) + b"]" if is_batch else events[0]
    head = f"POST /events HTTP/1.1\r\nhost: {host}\r\ncontent-type: {_BATCH if is_batch else _SINGLE}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _load(host: str, port: int, templates: list[bytes], connections: int, seconds: float, events_each: int) -> Load:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    asking = _Asking(templates, until=began + seconds)
    partners = [(await loop.create_connection(lambda: _Partner(asking), host, port))[1] for _ in range(connections)]
    async with asyncio.timeout(seconds + ANSWER_S_MAX):
        await asyncio.gather(*(partner.done for partner in partners))
    accepted = len(asking.delays_s)
    cuts = statistics.quantiles(asking.delays_s, n=100) if accepted > 1 else [0.0] * 99
    return Load(accepted, accepted * events_each, asking.last - began, cuts[49] * 1000, cuts[98] * 1000, asking.refused)


class _Asking:
    """What all connections share: the next request, and what was seen."""

    def __init__(self, templates: list[bytes], until: float) -> None:
        self.until = until
        self.last = 0.0
        self.delays_s: list[float] = []
        self.refused = 0
        self._templates = templates
        self._serial = 0

    def request(self) -> bytes:
        self._serial += 1
        template = self._templates[self._serial % len(self._templates)]
        return template.replace(_SERIAL, b"%0*d" % (len(_SERIAL), self._serial))


class _Partner(asyncio.Protocol):
    """One connection: one request under way at a time."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking
        self._missing = 0
        self._sent_at = 0.0
        self._head = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is one in all but name
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._begin(self._head + data)
        if self._missing == 0 and not self._head:
            self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the gateway closed a connection under way"))

    def _begin(self, data: bytes) -> None:
        """An answer's head, and what of its body came with it."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._head = data
            return
        self._head = b""
        head = data[:end].lower()
        length = head.partition(b"content-length:")[2].partition(b"\r")[0]
        self._missing = int(length) - (len(data) - end - 4)
        self._is_accepted = head.startswith(b"http/1.1 202")

    def _answered(self) -> None:
        asking = self._asking
        now = time.perf_counter()
        if self._is_accepted:
            asking.delays_s.append(now - self._sent_at)
        else:
            asking.refused += 1
        asking.last = now
        if now < asking.until:
            self._send()
        else:
            self.done.set_result(None)
            self._transport.close()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._asking.request())


if __name__ == "__main__":
    main()
