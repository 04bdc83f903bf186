"""A worker with several copies of the projects step, each under a name and on a topic of its own."""

import os

os.environ.setdefault("FAUST_LOOP", "uvloop")

import argparse
import logging
import sys
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from benchmarks.harness import bench_registry
from dujiang.embedded.ports import free_port
from dujiang.wiring import STEPS, STORES, build_runners
from engine.clock import SystemClock
from engine.host import build_app, run_app
from engine.options import BatchOptions, EngineOptions, KafkaOptions
from engine.ports import Step
from schemas.contract import Contract
from schemas.registry import Registry
from schemas.topics import PROJECT_EVENT


def step_topic(number: int) -> str:
    """The topic of the copy with this number."""
    return f"{PROJECT_EVENT.name}.{number}"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "dsn", "prefix", "group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--records-max", type=int, required=True)
    arguments = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    parts: dict[str, Step[Any]] = {}
    for number in range(arguments.steps):
        name = f"projects-{number}"
        parts[name] = replace(STEPS["projects"], name=name, topic=f"{arguments.prefix}.{step_topic(number)}")
        STORES[name] = STORES["projects"]
    options = EngineOptions(
        kafka=KafkaOptions(arguments.bootstrap, group_prefix=arguments.group),
        dsn=arguments.dsn,
        batch=replace(BatchOptions(), records_max=arguments.records_max),
        timers_enabled=False,
    )
    metrics = CollectorRegistry()
    runners = build_runners(list(parts), options, _registry(arguments.prefix, arguments.steps), metrics, parts=parts)
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


def _registry(prefix: str, count: int) -> Registry:
    """Contracts of project events hold on every copy's topic as well."""
    return Registry([_on_copies(contract, prefix, count) for contract in bench_registry(prefix).contracts.values()])


def _on_copies(contract: Contract, prefix: str, count: int) -> Contract:
    if f"{prefix}.{PROJECT_EVENT.name}" not in contract.topic_names:
        return contract
    copies = tuple(replace(PROJECT_EVENT, name=f"{prefix}.{step_topic(number)}") for number in range(count))
    return replace(contract, topics=(*contract.topics, *copies))


if __name__ == "__main__":
    main()
