"""When everything is bad: the breaker pauses the partition before quarantine floods, until a person says go."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from engine.kafka import Message
from engine.options import BreakerOptions
from engine.status import Condition
from schemas.topics import PROJECT_EVENT
from tests.engine import oracle, traffic
from tests.engine.workers import command

pytestmark = pytest.mark.services
KEY = "FLOOD-1"
OPTIONS = BreakerOptions(run_max=50, ratio_max=0.5, window_records=100, probe_s=0.3)


def _bad(count: int) -> list[Message]:
    return [Message(PROJECT_EVENT.name, KEY.encode(), b"{}", traffic.HEADERS)] * count


def _good(count: int, prefix: str) -> list[Message]:
    return [traffic.event(KEY, f"{prefix}{number}") for number in range(count)]


def _quarantined(stage: Any) -> int:
    return int(stage.rows("SELECT count(*) FROM quarantine")[0][0])


def _paused(stage: Any, messages: Sequence[Message]) -> Any:
    """A runner that has met them and paused."""
    stage.publisher.publish(messages)
    (runner,) = stage.start("projects", breaker=OPTIONS)
    stage.until(lambda: bool(runner.status.paused), describe=lambda: str(runner.status))
    return runner


def test_nothing_of_a_flood_reaches_quarantine_until_an_operator_allows_it(stage: Any) -> None:
    runner = _paused(stage, [*_good(3, "a"), *_bad(120), *_good(4, "b")])
    assert not runner.status.is_ready(runner.status.looped_s)
    ((step, topic, partition, message),) = stage.rows("SELECT step, topic, partition, message FROM breaker")
    assert (step, topic) == ("projects", PROJECT_EVENT.name)
    assert runner.status.paused == {(topic, partition): message}
    assert "50 bad records in a row" in message
    looked_s = runner.status.looped_s
    stage.until(lambda: runner.status.looped_s > looked_s + 4 * OPTIONS.probe_s)  # it looks again, and again
    assert _quarantined(stage) == 0
    assert stage.account("projects").lag == 124  # what came before the flood is done
    assert runner.status.condition is Condition.RUNNING  # other partitions go on

    assert json.loads(command(stage, "breaker", "list", "--json").stdout)["message"] == message
    allowed = command(stage, "breaker", "allow", "projects", topic, str(partition))
    assert allowed.returncode == 0, allowed.stderr
    stage.drained("projects")
    assert _quarantined(stage) == 120
    assert stage.account("projects").unaccounted == 0
    stage.until(lambda: not runner.status.paused)
    assert stage.rows("SELECT count(*) FROM breaker") == [(0,)]
    oracle.assert_states(stage)


def test_other_partitions_go_on_beside_a_paused_one(stage: Any) -> None:
    _paused(stage, [*_bad(80), *(traffic.event(f"OTHER-{n}", "a") for n in range(40))])
    stage.until(lambda: stage.account("projects").applied >= 30)
    assert _quarantined(stage) == 0


def test_a_bad_run_that_ends_by_itself_is_quarantined_and_pauses_nothing(stage: Any) -> None:
    stage.publisher.publish([*_good(60, "a"), *_bad(40), *_good(5, "b")])
    (runner,) = stage.start("projects", breaker=OPTIONS)
    stage.drained("projects")
    assert _quarantined(stage) == 40
    assert not runner.status.paused
    assert stage.rows("SELECT count(*) FROM breaker") == [(0,)]


def test_too_large_a_share_of_bad_records_pauses_too(stage: Any) -> None:
    mixed = [message for n in range(60) for message in (*_bad(2), *_good(1, f"m{n}-"))]
    runner = _paused(stage, mixed)
    assert "over 50% of the last 100" in next(iter(runner.status.paused.values()))
    stage.until(lambda: stage.account("projects").quarantined > 0)
    assert _quarantined(stage) <= 2 * len(mixed) // 3 - 10


def test_a_flood_over_many_batches_lets_less_than_a_run_through(stage: Any) -> None:
    stage.publisher.publish(_bad(120))
    batch = stage.options.batch
    (runner,) = stage.start("projects", breaker=OPTIONS, batch=type(batch)(records_max=7, poll_s=batch.poll_s))
    stage.until(lambda: bool(runner.status.paused))
    looked_s = runner.status.looped_s
    stage.until(lambda: runner.status.looped_s > looked_s + 4 * OPTIONS.probe_s)
    assert _quarantined(stage) < OPTIONS.run_max
    assert stage.account("projects").unaccounted == 0


def test_the_next_worker_knows_what_was_paused_and_what_was_allowed(stage: Any) -> None:
    _paused(stage, _bad(120))
    stage.stop()
    (runner,) = stage.start("projects", breaker=OPTIONS)
    stage.until(lambda: bool(runner.status.paused))
    stage.stop()
    stage.rows("UPDATE breaker SET allowed_until = next_offset + 120, allowed_by = 'me' RETURNING 1")
    (runner,) = stage.start("projects", breaker=OPTIONS)
    stage.drained("projects")
    assert _quarantined(stage) == 120
    stage.until(lambda: not runner.status.paused)
    assert stage.rows("SELECT count(*) FROM breaker") == [(0,)]
