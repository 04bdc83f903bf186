"""The receiver of `benchmarks.deliveries`: acknowledges every POST, keeps what is needed to count and to find disorder.

`GET /` answers with `{"count": …, "distinct": …, "disorder": …, "first_s": …, "last_s": …, "paths": …, "delays_ms": …}` since
the last `DELETE /`; delays are of events whose id ends with `@` and the unix time of their making. `GET /arrivals` has
when which event came first.
"""

import argparse
import asyncio
import json
import re
import time
from collections import Counter, defaultdict
from typing import cast

import uvloop

_NUMBER = re.compile(rb'"deliverynumber":"(\d+)"')
_SUBJECT = re.compile(rb'"subject":"([^"]*)"')
_ID = re.compile(rb'"id":"([^"@]*)(?:@([0-9.]+))?"')
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Tally:
    """What came: per path and subject the last number, to see that keys keep their order."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count = 0
        self.disorder = 0
        self.first_s = self.last_s = 0.0
        self.seen: set[tuple[bytes, bytes]] = set()
        self.newest: dict[tuple[bytes, bytes], int] = {}
        self.paths: Counter[str] = Counter()
        self.delays_s: defaultdict[str, list[float]] = defaultdict(list)
        self.arrivals: dict[str, float] = {}

    def add(self, path: bytes, body: bytes) -> None:
        self.last_s = time.monotonic()
        self.first_s = self.first_s or self.last_s
        self.count += 1
        number, subject = _NUMBER.search(body), _SUBJECT.search(body)
        if number is None or subject is None:
            return
        if (path, number[1]) not in self.seen:
            self.seen.add((path, number[1]))
            self._note(path.decode(), body)
        key = (path, subject[1])
        self.disorder += int(number[1]) <= self.newest.get(key, 0)
        self.newest[key] = max(int(number[1]), self.newest.get(key, 0))

    def _note(self, path: str, body: bytes) -> None:
        self.paths[path] += 1
        found = _ID.search(body)
        if found is not None:
            now_s = time.time()
            self.arrivals.setdefault(found[1].decode(), now_s)
            if found[2] is not None:
                self.delays_s[path].append(now_s - float(found[2]))

    def told(self) -> bytes:
        return json.dumps(
            {
                "count": self.count,
                "distinct": len(self.seen),
                "disorder": self.disorder,
                "first_s": self.first_s,
                "last_s": self.last_s,
                "paths": self.paths,
                "delays_ms": {path: _spread_ms(delays) for path, delays in self.delays_s.items()},
            }
        ).encode()


def _spread_ms(delays_s: list[float]) -> dict[str, float]:
    ordered = sorted(delays_s)
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1_000, 1)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }


class Mailbox(asyncio.Protocol):
    """Just enough HTTP/1.1 not to be what is measured."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._pending = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._pending[:end])
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._pending) < whole:
                return
            body = bytes(self._pending[end + 4 : whole])
            del self._pending[:whole]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        method, path, _ = head.split(b" ", 2)
        if method == b"POST":
            self._tally.add(path, body)
            self._transport.write(_OK)
        elif method == b"DELETE":
            self._tally.clear()
            self._transport.write(_OK)
        else:
            told = json.dumps(self._tally.arrivals).encode() if path == b"/arrivals" else self._tally.told()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))


async def _serve(port: int) -> None:
    tally = Tally()
    server = await asyncio.get_running_loop().create_server(lambda: Mailbox(tally), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
