"""The gateway of `benchmarks.outgoing`: the real one with subscribers that show tokens, on the benchmark's topics and schema.

Beside it, in the same process, `/types/bare/{events}`: an endpoint that streams frames made beforehand, under no guard.
"""

import argparse
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from starlette.responses import StreamingResponse

from benchmarks.harness import bench_registry
from engine.clock import SystemClock
from engine.kafka import Publisher
from engine.options import KafkaOptions
from gateway.app import create_app
from gateway.health import BrokerHealth
from gateway.identity import TOKEN_MARK, Identity, Partner, digest_of
from gateway.limits import Allowance
from gateway.publisher import AsyncPublisher, publishing_options
from gateway.server import run
from gateway.store import Store
from gateway.subscriptions.service import SubscriptionService
from gateway.subscriptions.store import Subscriptions
from gateway.subscriptions.stream import PAGE_EVENTS_MAX
from gateway.subscriptions.tail import SharedLog
from monitoring.metrics import GatewayMetrics, ReaderMetrics
from schemas.topics import TOPICS

OWNERS = 5  # a partner has at most twenty streams
_BARE = "/types/bare"  # below what the guard leaves open
_FRAME = b'id: 0000000000000000000000000000\ndata: {"specversion":"1.0","id":"e","data":"%s"}\n\n' % (b"x" * 350)


def token_of(owner: int) -> str:
    """Of one of OWNERS partners."""
    return f"{TOKEN_MARK}{owner:043}"


def owner_name(owner: int) -> str:
    return f"bench-{owner}"


def bare_path(events: int) -> str:
    return f"{_BARE}/{events}"


class _Directory:
    """OWNERS partners that may receive everything."""

    def __init__(self) -> None:
        until = datetime.now(UTC) + timedelta(days=1)
        self._known = {
            digest_of(token_of(owner)): Identity(
                Partner(owner_name(owner), ("subscribe:*", "clearance:restricted"), (), Allowance(1_000, 10_000, 1_000_000)),
                (),
                until,
            )
            for owner in range(OWNERS)
        }

    async def find(self, digest: bytes) -> Identity | None:
        return self._known.get(digest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--bootstrap", "--dsn", "--prefix"):
        parser.add_argument(name, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # The platform's table of topics, moved to the benchmark's own: what reads goes by it.
    moved = {f"{arguments.prefix}.{name}": topic for name, topic in TOPICS.items()}
    TOPICS.clear()
    TOPICS.update({name: replace(topic, name=name) for name, topic in moved.items()})

    def open_app() -> AbstractAsyncContextManager[FastAPI]:
        return _opened(arguments.bootstrap, arguments.dsn, arguments.prefix)

    run(open_app, port=arguments.port, has_identities=True)


@asynccontextmanager
async def _opened(bootstrap: str, dsn: str, prefix: str) -> AsyncIterator[FastAPI]:
    clock, prometheus, registry = SystemClock(), CollectorRegistry(), bench_registry(prefix)
    options = publishing_options(KafkaOptions(bootstrap))
    store = Store(dsn, "bench streams")
    with BrokerHealth(options, clock) as health:
        async with AsyncPublisher(Publisher(options)) as publisher, SharedLog(KafkaOptions(bootstrap), registry) as log:
            yield create_app(
                registry=registry,
                publisher=publisher,
                clock=clock,
                health=health,
                routers=[_bare()],
                metrics=GatewayMetrics(prometheus),
                prometheus=prometheus,
                directory=_Directory(),
                subscriptions=SubscriptionService(
                    log=log,
                    subscriptions=Subscriptions(store, clock),
                    registry=registry,
                    clock=clock,
                    metrics=ReaderMetrics(prometheus),
                ),
            )
    store.close()


def _bare() -> APIRouter:
    router = APIRouter()

    @router.get(_BARE + "/{events}")
    async def stream(events: int) -> StreamingResponse:
        async def pages() -> AsyncIterator[bytes]:
            for first in range(0, events, PAGE_EVENTS_MAX):
                yield _FRAME * min(PAGE_EVENTS_MAX, events - first)

        return StreamingResponse(pages(), media_type="text/event-stream")

    return router


if __name__ == "__main__":
    main()
