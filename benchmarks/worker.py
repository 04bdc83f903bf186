"""A Dujiang worker as the benchmark runs it: the same host, runners and rules, on the benchmark's topics."""

import os

os.environ.setdefault("FAUST_LOOP", "uvloop")

import argparse
import atexit
import json
import logging
import sys
from array import array
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from benchmarks.harness import bench_registry, bench_step
from dujiang.embedded.ports import free_port
from dujiang.wiring import PARTS, build_runners
from engine.clock import SystemClock
from engine.host import build_app, run_app
from engine.options import BatchOptions, EngineOptions, KafkaOptions
from engine.ports import Sink, Step
from engine.records import Work
from engine.runner import Runner


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--parts", nargs="+", default=["projects"])
    parser.add_argument("--topics", nargs="*", default=[], help="topics of the history sink")
    parser.add_argument("--records-max", type=int, default=BatchOptions().records_max)
    parser.add_argument("--delays", default="", help="file for (record time, delay to commit) of every record, in s")
    arguments = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    parts: dict[str, Step[Any] | Sink] = {}
    for name in arguments.parts:
        part = PARTS[name]
        if isinstance(part, Step):
            parts[name] = bench_step(part, arguments.prefix)
        else:
            part.topics = tuple(f"{arguments.prefix}.{topic}" for topic in arguments.topics)
            parts[name] = part
    options = EngineOptions(
        kafka=KafkaOptions(arguments.bootstrap, group_prefix=arguments.group),
        dsn=arguments.dsn,
        batch=replace(BatchOptions(), records_max=arguments.records_max),
        timers_enabled=False,  # the made-up events lie in the past: each would fire at once and add to the log
    )
    metrics = CollectorRegistry()
    if arguments.delays:
        _note_delays(arguments.delays)
    runners = build_runners(arguments.parts, options, bench_registry(arguments.prefix), metrics, parts=parts)
    with TemporaryDirectory(prefix="dujiang-bench-faust-") as data:
        app = build_app(
            runners,
            bootstrap=arguments.bootstrap,
            http_host="127.0.0.1",
            http_port=free_port(),
            clock=SystemClock(),
            registry=metrics,
            data_dir=data,
        )
        run_app(app)


def _note_delays(path: str) -> None:
    """Keep each record's time and delay exactly; the metric itself only has buckets."""
    # Bare numbers: objects would bring the worker's collector to life, which stands still for them.
    arrived, committed = array("d"), array("d")
    counted = Runner._count

    def count(self: Runner, work: Work) -> None:
        arrived.extend(work.arrivals)
        committed.extend(array("d", [work.committed_s]) * len(work.arrivals))
        counted(self, work)

    def write() -> None:
        delays = [(arrived_s, committed_s - arrived_s) for arrived_s, committed_s in zip(arrived, committed, strict=True)]
        Path(path).write_text(json.dumps(delays))

    Runner._count = count  # type: ignore[method-assign]
    atexit.register(write)


if __name__ == "__main__":
    main()
