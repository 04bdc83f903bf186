"""Several worker processes under one command: Python computes on one core a process, and partitions are shared among all.

Each process is a whole worker of its own; this one only starts them, each on a core of its own where there are as many, starts
anew the one that ended, and passes on the stop.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from dujiang.embedded.processes import end, keep_to_core, spawn
from dujiang.settings import Settings, variable_of
from dujiang.wiring import Services, check_parts

STOP_S_MAX = 15.0  # a worker's own limit is ten
WATCH_EVERY_S = 0.2
RESTART_FIRST_S = 1.0
RESTART_LAST_S = 30.0
LIVED_S = 60.0  # a process that ran this long had no trouble with its start

log = structlog.get_logger()


class Seat:
    """One of the processes: its number among how many, its port, and how often it failed in a row."""

    def __init__(self, number: int, processes: int, environment: Mapping[str, str]) -> None:
        self.number = number
        self._processes = processes
        self._environment = environment
        self._failures = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = self._start_at_s = 0.0

    def attend(self, now_s: float) -> None:
        """Start it when its time has come; when it has ended, settle when to start it anew."""
        if self._process is None:
            if now_s >= self._start_at_s:
                self._start(now_s)
            return
        status = self._process.poll()
        if status is None:
            return
        self._process = None
        self._failures = 1 if now_s - self._started_s > LIVED_S else self._failures + 1
        wait_s = min(RESTART_LAST_S, RESTART_FIRST_S * 2 ** min(self._failures - 1, 10))
        self._start_at_s = now_s + wait_s
        log.warning("worker process ended", number=self.number, status=status, started_again_in_s=wait_s)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after STOP_S_MAX."""
        if self._process is not None:
            end(self._process, signal.SIGTERM, wait_s=STOP_S_MAX)

    def _start(self, now_s: float) -> None:
        self._started_s = now_s
        self._process = spawn(
            [sys.executable, "-m", "dujiang", "worker"],
            log=None,
            cwd=Path.cwd(),
            env={**os.environ, **self._environment},
            death_signal=signal.SIGTERM,
        )
        try:
            keep_to_core(self._process, self.number, self._processes)
        except OSError as error:  # a sandbox that forbids it; the worker runs as well, only less evenly
            log.info("worker process is not kept to a core", number=self.number, reason=str(error))
        log.info("worker process", number=self.number, pid=self._process.pid)


def run_pool(settings: Settings, services: Services) -> None:
    """Until SIGTERM or SIGINT; then all stop at once, each within its own limit. Raises SettingsError for an unknown step."""
    check_parts(settings.worker.steps)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    processes = settings.worker.processes
    seats = [Seat(number, processes, _environment(settings, services, number)) for number in range(processes)]
    try:
        while not stop.is_set():
            for seat in seats:
                seat.attend(time.monotonic())
            stop.wait(WATCH_EVERY_S)
    finally:
        threads = [threading.Thread(target=seat.stop) for seat in seats]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _environment(settings: Settings, services: Services, number: int) -> dict[str, str]:
    """What differs from our own: the chosen settings, the services as found, a port of its own from the set one on."""
    worker = settings.worker
    values = {
        "kafka.bootstrap": services.bootstrap,
        "database.dsn": services.dsn,
        "data_dir": str(settings.data_dir),
        "cache_dir": str(settings.cache_dir),
        "worker.processes": "1",
        "worker.steps": json.dumps(worker.steps),
        "worker.timers": json.dumps(worker.timers),
        "worker.http_port": str(worker.http_port + number if worker.http_port else 0),
    }
    return {variable_of(path): value for path, value in values.items()}
