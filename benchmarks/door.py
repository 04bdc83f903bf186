"""A gateway process as the benchmark runs it, or a bare endpoint beside it: same server, same producer, no checks.

Both write to the benchmark's own topics.
"""

import argparse
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry

from benchmarks.harness import bench_registry
from engine.clock import SystemClock
from engine.kafka import Message, Publisher
from engine.options import KafkaOptions
from gateway.app import NO_TELEMETRY, create_app
from gateway.health import BrokerHealth
from gateway.publisher import AsyncPublisher, publishing_options
from gateway.server import run
from monitoring.metrics import GatewayMetrics
from schemas.topics import PROJECT_EVENT

_HEADERS = [("content-type", b"application/cloudevents+json")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--subject", required=True, choices=("dujiang", "bare"))
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    options = publishing_options(KafkaOptions(arguments.bootstrap))
    opened = _dujiang if arguments.subject == "dujiang" else _bare

    def open_app() -> AbstractAsyncContextManager[FastAPI]:
        return opened(options, arguments.prefix)

    run(open_app, port=arguments.port)


@asynccontextmanager
async def _dujiang(options: KafkaOptions, prefix: str) -> AsyncIterator[FastAPI]:
    clock, prometheus = SystemClock(), CollectorRegistry()
    with BrokerHealth(options, clock) as health:
        async with AsyncPublisher(Publisher(options)) as publisher:
            yield create_app(
                registry=bench_registry(prefix),
                publisher=publisher,
                clock=clock,
                health=health,
                metrics=GatewayMetrics(prometheus),
                prometheus=prometheus,
            )


@asynccontextmanager
async def _bare(options: KafkaOptions, prefix: str) -> AsyncIterator[FastAPI]:
    topic = f"{prefix}.{PROJECT_EVENT.name}"
    async with AsyncPublisher(Publisher(options)) as publisher:
        app = FastAPI(telemetry=NO_TELEMETRY)

        @app.post("/events", status_code=202)
        async def publish(request: Request) -> dict[str, int]:
            body = json.loads(await request.body())
            outcomes = await publisher.publish([_message(topic, event) for event in (body if type(body) is list else [body])])
            return {"accepted": len(outcomes)}

        yield app


def _message(topic: str, event: dict[str, Any]) -> Message:
    return Message(topic, event["subject"].encode(), json.dumps(event).encode(), _HEADERS)


if __name__ == "__main__":
    main()
