"""The deliverer of `benchmarks.deliveries`: the real one on the benchmark's topic and schema; or, bare, an HTTP client."""

import argparse
import asyncio
import ipaddress
import signal
import time

import aiohttp
import uvloop
from prometheus_client import CollectorRegistry

from engine.clock import SystemClock
from engine.database import Database
from engine.host import tune_interpreter
from engine.options import KafkaOptions
from monitoring.metrics import DeliveryMetrics
from schemas.catalogue import default_registry
from schemas.subscriptions import Protocol
from sinks.webhooks.books import Books
from sinks.webhooks.deliverer import Deliverer
from sinks.webhooks.destinations import Rules
from sinks.webhooks.http import HttpTransport
from sinks.webhooks.log import KafkaLog
from sinks.webhooks.sender import Sender
from sinks.webhooks.transport import Transport

BARE_IN_FLIGHT = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--port", type=int, required=True, help="of the receiver")
    parser.add_argument("--bare", type=int, default=0, help="send so many requests and end")
    arguments = parser.parse_args()
    tune_interpreter()
    uvloop.run(_bare(arguments) if arguments.bare else _deliver(arguments))


async def _deliver(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = SystemClock()
    log = KafkaLog(KafkaOptions(arguments.bootstrap), {arguments.topic: "public"}, default_registry())
    await log.open()
    rules = Rules((ipaddress.ip_network("127.0.0.0/8"),), is_plain_allowed=True, ports=frozenset({arguments.port}))
    sender, books = Sender(rules, clock, origin="bench"), Books(arguments.dsn)
    place = Database(arguments.dsn, "bench deliverer's place")
    metrics = DeliveryMetrics(CollectorRegistry())
    transports: dict[Protocol, Transport] = {"HTTP": HttpTransport(sender, clock)}
    deliverer = Deliverer(
        log=log, books=books, transports=transports, place=place, clock=clock, metrics=metrics, are_owners_asked=False
    )
    await deliverer.run(stop)
    await books.close()
    await sender.close()
    await log.close()
    place.close()


async def _bare(arguments: argparse.Namespace) -> None:
    """As many at once as a subscription has in flight, and nothing but the requests."""
    left = arguments.bare
    body = b'{"specversion":"1.0","id":"e","source":"/bench","type":"t","data":{"text":"' + b"x" * 200 + b'"}}'

    async def send(session: aiohttp.ClientSession) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            async with session.post(f"http://127.0.0.1:{arguments.port}/bare", data=body) as answer:
                await answer.read()

    async with aiohttp.ClientSession() as session:
        started = time.monotonic()
        await asyncio.gather(*(send(session) for _ in range(BARE_IN_FLIGHT)))
    print(arguments.bare / (time.monotonic() - started), flush=True)


if __name__ == "__main__":
    main()
