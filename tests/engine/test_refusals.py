"""When the store says no: to us (a person must act), or to one value (its record is isolated)."""

from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from engine.options import BatchOptions, BreakerOptions
from engine.status import Condition
from tests.engine import oracle, traffic
from tests.engine.markers import has_all_markers

pytestmark = pytest.mark.services


def _as_admin(stage: Any, statement: str) -> None:
    name = stage.dsn.rpartition("/")[2]
    dsn = stage.services.postgres.admin_dsn.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_a_revoked_privilege_blocks_with_a_remedy_and_work_resumes_when_it_is_back(stage: Any) -> None:
    runner, history = stage.start("projects", "history")
    first, second = traffic.projects(61, 2_000).portions(2)
    stage.publisher.publish(first)
    stage.drained("projects", "history")
    _as_admin(stage, "REVOKE ALL ON project_status FROM dujiang")
    stage.publisher.publish(second)
    stage.until(lambda: runner.status.condition is Condition.BLOCKED, describe=lambda: str(runner.status))
    assert "permission denied for table project_status" in runner.status.message
    assert "grant" in runner.status.remedy
    assert not runner.status.is_ready(runner.status.looped_s)
    stage.drained("history")  # the step beside it goes on
    assert history.status.condition is Condition.RUNNING
    assert stage.rows("SELECT count(*) FROM quarantine") == [(0,)]
    _as_admin(stage, "GRANT ALL ON project_status TO dujiang")
    stage.drained("projects", "history")
    stage.until(lambda: runner.status.condition is Condition.RUNNING)
    assert stage.rows("SELECT count(*) FROM quarantine") == [(0,)]
    oracle.assert_exact(stage)


def _forbid_a_title(stage: Any) -> None:
    with psycopg.connect(stage.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE project_status ADD CONSTRAINT forbidden CHECK (title <> '禁')")


def _titled(key: str, title: str) -> Any:
    return _event_titled(key, f"{key}-a", title)


def _event_titled(key: str, event_id: str, title: str) -> Any:
    return traffic.event(key, event_id, data=f'{{"call_id":"C","title":"{title}","lead":"L","budget":1}}')


def test_a_value_that_the_store_refuses_is_isolated_and_the_rest_applied(stage: Any) -> None:
    _forbid_a_title(stage)
    events = [_titled(f"S-{number:04d}", "禁" if number in (137, 801) else "T") for number in range(1_000)]
    stage.publisher.publish(events)
    (runner,) = stage.start("projects", batch=BatchOptions(records_max=1_000, poll_s=0.05))
    stage.drained("projects")
    rows = stage.rows("SELECT reason, message, value FROM quarantine ORDER BY value")
    assert [(reason, value) for reason, _, value in rows] == [("store_refused", events[at].value) for at in (137, 801)]
    assert all('violates check constraint "forbidden"' in message for _, message, _ in rows)
    account = stage.account("projects")
    assert (account.applied, account.quarantined, account.unaccounted) == (998, 2, 0)
    assert len(oracle.stored(stage, "projects")) == 998
    assert runner.status.condition is Condition.RUNNING


def test_a_value_refused_behind_holes_in_the_log_is_isolated_too(stage: Any) -> None:
    _forbid_a_title(stage)
    producer = Producer(
        {"bootstrap.servers": stage.bootstrap, "transactional.id": stage.group_prefix, "partitioner": "murmur2_random"}
    )
    producer.init_transactions()
    for number in range(40):
        producer.begin_transaction()
        message = _titled(f"H-{number}", "禁" if number == 20 else "T")
        producer.produce(message.topic, message.value, message.key, headers=message.headers)
        producer.commit_transaction()
    stage.until(lambda: has_all_markers(stage))
    stage.publisher.publish([_titled(f"I-{number}", "T") for number in range(60)])  # behind the last markers
    (runner,) = stage.start("projects")
    stage.drained("projects")
    account = stage.account("projects")
    assert (account.applied, account.quarantined, account.gap, account.unaccounted) == (99, 1, 40, 0)
    assert runner.status.condition is Condition.RUNNING


def test_a_store_that_refuses_everything_is_the_breakers_case_not_quarantines(stage: Any) -> None:
    _forbid_a_title(stage)
    stage.publisher.publish([_event_titled("ONE", f"x{number}", "禁") for number in range(30)])
    options = BreakerOptions(run_max=8, probe_s=0.3)
    (runner,) = stage.start("projects", breaker=options, batch=BatchOptions(records_max=16, poll_s=0.05))
    stage.until(lambda: bool(runner.status.paused), describe=lambda: str(runner.status))
    assert stage.rows("SELECT count(*) FROM quarantine") == [(7,)]
    assert stage.account("projects").unaccounted == 0
