"""One command, several worker processes."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dujiang.embedded.processes import children_of, identity_of
from engine.kafka import Message
from tests.engine import oracle, traffic

pytestmark = [pytest.mark.services, pytest.mark.slow]
SETTINGS = {"worker__processes": "2", "batch__records_max": "200"}


def _has_two_owners(stage: Any, events: Iterator[Sequence[Message]]) -> bool:
    """Whether two workers have stored something; a worker that was late for all so far gets more to do."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
    if int(stage.rows(query, "dujiang projects writer")[0][0]) == 2:
        return True
    stage.publisher.publish(next(events))
    return False


def _cores_of(pid: int) -> set[int]:
    """Where its threads may run; those that end meanwhile are left out."""
    cores: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            cores |= os.sched_getaffinity(int(task.name))
    return cores


def _have_cores_of_their_own(pids: Sequence[int]) -> bool:
    """With all their threads, where they are as many as our cores; else each may run on all of these."""
    ours = os.sched_getaffinity(0)
    cores = [_cores_of(pid) for pid in pids]
    if len(ours) == len(pids):
        return sorted(map(sorted, cores)) == [[core] for core in sorted(ours)]
    return all(core == ours for core in cores)


def test_processes_share_the_work_and_one_that_is_killed_is_replaced(stage: Any) -> None:
    events = traffic.projects(41, 60_000).portions(600)
    pool = stage.worker("projects", "history", **SETTINGS)
    stage.until(lambda: len(children_of(pool.pid)) == 2)
    stage.until(lambda: _has_two_owners(stage, events))
    assert _have_cores_of_their_own(children_of(pool.pid))
    killed, kept = children_of(pool.pid)
    os.kill(killed, signal.SIGKILL)
    stage.publisher.publish(next(events))
    stage.until(lambda: len(found := set(children_of(pool.pid)) - {killed}) == 2 and kept in found)
    stage.until(lambda: _has_two_owners(stage, events))
    assert _have_cores_of_their_own(children_of(pool.pid))
    stage.drained("projects", "history")
    oracle.assert_exact(stage)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_all_end_with_the_command(stage: Any, how: signal.Signals) -> None:
    """Gracefully when it is asked to stop; and they stop by themselves when it is killed."""
    (events,) = traffic.projects(42, 2_000).portions(1)
    stage.publisher.publish(events)
    pool = stage.worker("projects", "history", **SETTINGS)
    stage.until(lambda: len(children_of(pool.pid)) == 2)
    stage.drained("projects", "history")
    children = [identity_of(pid) for pid in children_of(pool.pid)]
    pool.send_signal(how)
    assert pool.wait(20) == (0 if how is signal.SIGTERM else -9)
    stage.until(lambda: not any(child is not None and child.is_alive() for child in children))
    oracle.assert_exact(stage)
