"""The Faust app that hosts the runners: start, stop, signals, web. The unit of work is a batch; no agent is on the hot path.

`producer_only`: Faust's own consumer group is not joined, so a restart waits for no session of Faust's (docs/adr/0002).
"""

import asyncio
import ctypes
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import faust
from faust.web import Request, Response, View
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from engine.clock import Clock
from engine.runner import Runner
from engine.status import Condition

STOP_S_MAX = 10.0
WATCH_EVERY_S = 0.2
_M_MMAP_THRESHOLD = -3  # mallopt(3)
_LARGE_BYTES = 262_144


def tune_interpreter() -> None:
    """The collector's default halves the path through pydantic (40 to 22 microseconds an event, see docs/adr/0002)."""
    _return_large_blocks()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1_000)
    # A decoding and a writing thread hand the lock over several times a batch; the default of 5 ms is an age.
    sys.setswitchinterval(0.0002)


def _return_large_blocks() -> None:
    """What is large (a fetched answer, the text of a COPY) gets pages of its own, which go back when it is freed.

    By itself glibc lets such blocks into its heaps after the first, where smaller ones soon keep them from going back.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have no such thing
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def build_app(
    runners: Sequence[Runner],
    *,
    bootstrap: str,
    http_host: str,
    http_port: int,
    clock: Clock,
    registry: CollectorRegistry,
    data_dir: str,
) -> faust.App:
    """An app with one service a runner and the pages /health/live, /health/ready and /metrics."""
    Path(data_dir).mkdir(parents=True, exist_ok=True)  # Faust makes the last folder only
    app = faust.App(
        "dujiang-worker",
        broker=[f"kafka://{server}" for server in bootstrap.split(",")],
        datadir=data_dir,
        web_bind=http_host,
        web_port=http_port,
        web_host=http_host,
        topic_disable_leader=True,
        table_cleanup_interval=3600,
    )
    app.producer_only = True
    app.conf.web_tables_enabled = False
    stopping = Event()
    for runner in runners:
        app.service(_service(runner, stopping))
    _add_pages(app, runners, clock, registry)
    return app


def _service(runner: Runner, stopping: Event) -> type[faust.Service]:
    """`stopping` is shared: services are stopped one after another, and the last should not wait for the first."""

    class RunnerService(faust.Service):  # type: ignore[misc]
        """A runner in its thread. A runner that fails takes the worker down: a supervisor starts it anew."""

        thread: Thread | None = None
        error: BaseException | None = None

        @property
        def label(self) -> str:
            return f"runner {runner.status.name}"

        async def on_start(self) -> None:
            self.thread = Thread(target=self._run, name=runner.status.name, daemon=True)
            self.thread.start()

        def _run(self) -> None:
            try:
                runner.run(stopping)
            except BaseException as error:
                self.error = error
                raise

        @faust.Service.task  # type: ignore[untyped-decorator]
        async def watch(self) -> None:
            while not self.should_stop:
                if runner.status.condition is Condition.FAILED:
                    await self.crash(self.error or RuntimeError(runner.status.message))
                    return
                await asyncio.sleep(WATCH_EVERY_S)

        async def on_stop(self) -> None:
            stopping.set()
            if self.thread is not None:
                await asyncio.to_thread(self.thread.join, STOP_S_MAX)

    return RunnerService


def _add_pages(app: faust.App, runners: Sequence[Runner], clock: Clock, registry: CollectorRegistry) -> None:
    @app.page("/health/live")  # type: ignore[untyped-decorator]
    async def live(self: View, _: Request) -> Response:
        now_s = clock.monotonic_s()
        dead = [runner.status.name for runner in runners if not runner.status.is_live(now_s)]
        return self.json({"live": not dead, "silent": dead}, status=503 if dead else 200)

    @app.page("/health/ready")  # type: ignore[untyped-decorator]
    async def ready(self: View, _: Request) -> Response:
        now_s = clock.monotonic_s()
        is_ready = all(runner.status.is_ready(now_s) for runner in runners)
        body = {"ready": is_ready, "runners": [runner.status.describe() for runner in runners]}
        return self.json(body, status=200 if is_ready else 503)

    @app.page("/metrics")  # type: ignore[untyped-decorator]
    async def metrics(self: View, _: Request) -> Response:
        return self.bytes(generate_latest(registry), content_type=CONTENT_TYPE_LATEST.split(";")[0])


def run_app(app: faust.App, loglevel: str = "WARNING") -> Any:
    """Until SIGTERM or SIGINT. Exits the process with Faust's status: 1 when a runner failed."""
    tune_interpreter()
    worker = faust.Worker(app, loglevel=loglevel, redirect_stdouts=False, quiet=True)
    worker.spinner = None  # it writes terminal codes into the log
    return worker.execute_from_commandline()
