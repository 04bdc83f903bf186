"""Processes on cores of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dujiang.embedded.processes import keep_to_core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to a core")


def _kept(monkeypatch: pytest.MonkeyPatch, cores: set[int], processes: int) -> dict[int, set[int]]:
    """By pid, from 100 on: what so many processes on these cores are kept to."""
    kept: dict[int, set[int]] = {}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    monkeypatch.setattr(os, "sched_setaffinity", kept.__setitem__)
    for number in range(processes):
        process: Any = SimpleNamespace(pid=100 + number)
        keep_to_core(process, number, processes)
    return kept


def test_as_many_as_cores_have_one_each_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, so that two pools on one machine load each core alike."""
    assert _kept(monkeypatch, {7, 3, 5}, 3) == {100: {3}, 101: {5}, 102: {7}}


@pytest.mark.parametrize(("cores", "processes"), [({0}, 1), ({0}, 2), ({0, 1}, 1), ({0, 1}, 3), ({0, 1, 2, 3}, 3)])
def test_others_are_left_to_the_system(monkeypatch: pytest.MonkeyPatch, cores: set[int], processes: int) -> None:
    assert _kept(monkeypatch, cores, processes) == {}


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(["sleep", "60"])
    yield started
    started.kill()
    started.wait()


def test_the_system_keeps_it_there(child: subprocess.Popen[bytes]) -> None:
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) == 1:
        pytest.skip("one core is all that this machine gives us: nothing to share out")
    keep_to_core(child, len(ours) - 1, len(ours))
    assert os.sched_getaffinity(child.pid) == {ours[-1]}
