"""A seat of the pool, without services; tests/engine/test_pool.py has the whole."""

import subprocess
from typing import Any

import pytest
from structlog.testing import capture_logs

from dujiang import pool
from dujiang.pool import Seat


def test_a_worker_runs_on_where_it_may_not_be_kept_to_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def spawn(*_: Any, **__: Any) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "60"], start_new_session=True))
        return started[-1]

    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(pool, "spawn", spawn)
    monkeypatch.setattr(pool, "keep_to_core", refuse)
    seat = Seat(0, 2, {})
    try:
        with capture_logs() as logs:
            seat.attend(100.0)
            seat.attend(101.0)
        assert [process.poll() for process in started] == [None]
        assert [(line["event"], line.get("reason")) for line in logs] == [
            ("worker process is not kept to a core", "[Errno 1] Operation not permitted"),
            ("worker process", None),
        ]
    finally:
        seat.stop()
    assert started[0].poll() is not None
