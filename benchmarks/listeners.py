"""Readers of streams for `benchmarks.outgoing`, one connection each, counting events.

With --produce a partner instead, that goes on publishing.
"""

import argparse
import asyncio
import json
import sys
import time

import uvloop
from confluent_kafka import Producer

from benchmarks.deliveries import events
from benchmarks.streams import token_of

SILENT_S_MAX = 120.0
_MARK = b'\ndata: {"specversion"'  # of a heartbeat and of the end there follows another member


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--events", type=int, help="that each reader waits for")
    parser.add_argument("--produce", nargs=3, metavar=("BOOTSTRAP", "TOPIC", "RATE"))
    arguments = parser.parse_args()
    if arguments.produce:
        _produce(arguments.produce[0], arguments.produce[1], float(arguments.produce[2]))
        return
    asked = json.loads(sys.stdin.read())
    print(json.dumps({"seconds": uvloop.run(_listen(arguments.port, asked, arguments.events))}))


async def _listen(port: int, asked: list[tuple[str, int]], count: int) -> float:
    """From the first event that any of them has to the last one's last, as webhooks are counted."""
    firsts = await asyncio.gather(*(_read(port, path, owner, count) for path, owner in asked))
    return time.monotonic() - min(firsts)


async def _read(port: int, path: str, owner: int, count: int) -> float:
    """When its first event came. Heartbeats and the end carry no event. Raises RuntimeError when the stream ends too early."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token_of(owner)}\r\n\r\n"
    writer.write(head.encode())
    found, rest, first_s = 0, b"", 0.0
    while found < count:
        async with asyncio.timeout(SILENT_S_MAX):
            piece = await reader.read(1 << 18)
        if not piece:
            raise RuntimeError(f"{path} ended after {found} of {count} events: {rest[-200:]!r}")
        whole = rest + piece
        found += whole.count(_MARK)
        first_s = first_s or (time.monotonic() if found else 0.0)
        # What a chunk's edge has cut is found with the next one; what was counted is not again.
        rest = whole[-len(_MARK) + 1 :]
    writer.close()
    return first_s


def _produce(bootstrap: str, topic: str, rate: float) -> None:
    """Until it is ended. The id says when."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True, "linger.ms": 0}
    )
    headers = [("content-type", b"application/cloudevents+json")]
    began = time.perf_counter()
    for number, event in enumerate(events(10**9)):
        # A poll ends with the first report of a delivery, which is sooner than the next event is due.
        while (left_s := began + number / rate - time.perf_counter()) > 0:
            producer.poll(left_s)
        producer.poll(0)
        value = event.value.replace(b'"id":"e%d"' % number, b'"id":"live%d@%.4f"' % (number, time.time()))
        producer.produce(topic, value, event.key, headers=headers)


if __name__ == "__main__":
    main()
