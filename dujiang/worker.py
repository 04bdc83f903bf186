"""A worker process: the runners of some steps and sinks under one Faust app."""

import os
from threading import Event, Thread

# Faust reads this when it is imported; the default loop is a quarter slower.
os.environ.setdefault("FAUST_LOOP", "uvloop")

import structlog
from prometheus_client import CollectorRegistry

from dujiang.embedded.ports import free_port
from dujiang.settings import Settings
from dujiang.wiring import STORES, Services, build_runners, check_parts, registry_of, spans_of
from engine import failpoints
from engine.clock import SystemClock
from engine.host import build_app, run_app
from engine.runner import Runner
from engine.servers import Watch
from monitoring.metrics import AlertMetrics, ReadingMetrics, ServerMetrics
from sinks.status.attention import keep_counted
from sinks.status.reading import keep_fresh

log = structlog.get_logger()


def run_worker(settings: Settings, services: Services) -> None:
    """Until SIGTERM or SIGINT; then at most ten seconds."""
    check_parts(settings.worker.steps)
    if "DUJIANG_FAILPOINT" in os.environ:
        failpoints.arm_from(os.environ["DUJIANG_FAILPOINT"])
    metrics = CollectorRegistry()
    clock = SystemClock()
    options = settings.engine_options(services.bootstrap, services.dsn)
    with spans_of(settings, "worker") as spans:
        runners = build_runners(settings.worker.steps, options, registry_of(settings), metrics, clock, spans=spans)
        _run(settings, services, runners, metrics, clock)


def _run(settings: Settings, services: Services, runners: list[Runner], metrics: CollectorRegistry, clock: SystemClock) -> None:
    port = settings.worker.http_port or free_port()
    app = build_app(
        runners,
        bootstrap=services.bootstrap,
        http_host=settings.worker.http_host,
        http_port=port,
        clock=clock,
        registry=metrics,
        data_dir=str(settings.data_dir / "faust"),
    )
    log.info("worker", steps=settings.worker.steps, health=f"http://{settings.worker.http_host}:{port}/health/ready")
    # These end with the process: what is cut off is rolled back, and the next process does it.
    if "projects" in settings.worker.steps:
        copying = services.dsn, Event(), ReadingMetrics(metrics)
        Thread(target=keep_fresh, args=copying, name="reading copy", daemon=True).start()
        kafka = settings.engine_options(services.bootstrap, services.dsn).kafka
        watch = Watch(services.dsn, kafka, [store.table for store in STORES.values()], ServerMetrics(metrics))
        Thread(target=watch.run, args=(Event(),), name="servers", daemon=True).start()
    if "alerts" in settings.worker.steps:
        counting = services.dsn, Event(), AlertMetrics(metrics)
        Thread(target=keep_counted, args=counting, name="alert counts", daemon=True).start()
    run_app(app)
