"""A worker that is stopped longer than its session, and wakes up when another has its partitions."""

from typing import Any

import pytest

from engine.runner import HOLDER_S_MAX
from tests.engine import oracle, traffic
from tests.engine.workers import Worker

pytestmark = [pytest.mark.services, pytest.mark.slow]
FENCED = 'dujiang_faults_total{kind="fenced",step="projects"}'


@pytest.mark.parametrize("place", ["decided", "published"])
def test_a_worker_that_slept_over_its_session_is_refused(stage: Any, place: str) -> None:
    stage.publisher.publish(traffic.projects(11, 6_000).messages)
    zombie = Worker(stage, "projects", failpoint=f"{place}:4:pause", batch__records_max="300")
    stage.until(zombie.is_stopped)
    heir = Worker(stage, "projects", "history")
    stage.drained("projects", "history")
    zombie.resume()
    stage.until(lambda: zombie.metric(FENCED) == 1, describe=lambda: str(zombie.ready()))
    # It is a good worker again: with the heir gone, it goes on alone.
    heir.process.terminate()
    heir.process.wait(15)
    stage.publisher.publish(traffic.projects(12, 2_000, "Q").messages)
    stage.drained("projects")
    stage.start("history")
    stage.drained("projects", "history")
    oracle.assert_exact(stage)


@pytest.mark.parametrize(("failpoint", "records_max"), [("stored:4", 300), ("copying:1", 4_000)])  # COPY is for many rows
def test_a_worker_that_sleeps_in_its_transaction_does_not_hold_the_next_one_up(
    stage: Any, failpoint: str, records_max: int
) -> None:
    """In the middle of a COPY no limit of the server's ends its session: it waits for the client as long as there is one."""
    stage.publisher.publish(traffic.projects(13, 4_000).messages)
    zombie = Worker(stage, "projects", failpoint=f"{failpoint}:pause", batch__records_max=str(records_max))
    stage.until(zombie.is_stopped)
    Worker(stage, "projects", "history")
    stage.drained("projects", "history", seconds_max=HOLDER_S_MAX + 30)
    zombie.resume()
    # Its session with the database is gone, and so are its partitions: the batch was never stored.
    stage.until(zombie.is_ready, describe=lambda: str(zombie.ready()))
    oracle.assert_exact(stage)
