"""Numbers and outcomes in PostgreSQL: given once, kept until settled, and nothing of a subscription that is gone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from engine import works
from engine.subscriptions import deliveries, register, secrets
from engine.subscriptions.deliveries import EndpointHealth, Plan, Planned, Settlement
from schemas.subscriptions import Place, Subscription, begun

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PLACE = Place("research.call.event", 1)


@pytest.fixture
def cursor(database: str) -> Iterator[psycopg.Cursor[Any]]:
    with psycopg.connect(database, options="-c timezone=UTC") as connection, connection.cursor() as made:
        yield made
        connection.rollback()


@pytest.fixture
def subscription(cursor: psycopg.Cursor[Any]) -> UUID:
    made = Subscription(uuid4(), "a", "HTTP", begun("HTTP", "partner", NOW), NOW, NOW, sink="https://a.example.org/")
    register.add(cursor, made, {PLACE: 10})
    return made.id


def _plan(subscription: UUID, known: int, count: int) -> Plan:
    planned = [Planned(known + 1 + index, PLACE, 10 + known + index) for index in range(count)]
    return Plan(subscription, known, known + count, {PLACE: 10 + known + count}, planned)


def _settlement(subscription: UUID, number: int, **changes: Any) -> Settlement:
    made = Settlement(
        subscription_id=subscription,
        number=number,
        place=PLACE,
        offset=9 + number,
        event_id=f"e\t{number}",
        event_source="/a\\b",
        event_type="t",
        attempt=1,
        failures=1,
        started_at=NOW,
        first_at=NOW,
        duration_ms=7,
        outcome="acknowledged",
        reason=None,
        status=200,
    )
    return replace(made, **changes)


def _numbers(cursor: psycopg.Cursor[Any], subscription: UUID) -> list[int]:
    return [one.planned.number for one in deliveries.outstanding(cursor, subscription, [], 100)]


def test_a_plan_holds_once(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    assert deliveries.plan(cursor, [_plan(subscription, 0, 3)]) == {subscription}
    assert deliveries.plan(cursor, [_plan(subscription, 0, 3)]) == set()
    progress = deliveries.progress(cursor, subscription)
    assert progress is not None
    assert (progress.last_number, progress.positions) == (3, {PLACE: 13})
    assert _numbers(cursor, subscription) == [1, 2, 3]


def test_of_two_plans_the_one_that_does_not_hold_leaves_the_other_whole(
    cursor: psycopg.Cursor[Any], subscription: UUID
) -> None:
    gone = uuid4()
    assert deliveries.plan(cursor, [_plan(gone, 0, 1), _plan(subscription, 0, 1)]) == {subscription}
    assert _numbers(cursor, subscription) == [1]


def test_what_failed_stays_with_its_next_time(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    deliveries.plan(cursor, [_plan(subscription, 0, 2)])
    due = NOW + timedelta(seconds=30)
    deliveries.settle(
        cursor,
        [
            _settlement(subscription, 1),
            _settlement(subscription, 2, outcome="failed", reason="timeout", status=None, retry_at=due, attempt=2, failures=1),
        ],
    )
    [left] = deliveries.outstanding(cursor, subscription, [], 100)
    assert (left.planned, left.attempts, left.failures, left.first_at, left.retry_at) == (
        Planned(2, PLACE, 11),
        2,
        1,
        NOW,
        due,
    )
    assert deliveries.outstanding(cursor, subscription, [2], 100) == []
    trace = deliveries.attempts_of(cursor, subscription)
    assert [
        (row["number"], row["event_id"], row["event_source"], row["outcome"], row["reason"], row["retry_at"]) for row in trace
    ] == [
        (1, "e\t1", "/a\\b", "acknowledged", None, None),
        (2, "e\t2", "/a\\b", "failed", "timeout", due),
    ]
    assert [row["number"] for row in deliveries.attempts_of(cursor, subscription, event_id="e\t2")] == [2]


def test_of_a_subscription_that_is_gone_nothing_is_stored(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    deliveries.plan(cursor, [_plan(subscription, 0, 1)])
    register.remove(cursor, subscription, "a")
    deliveries.settle(cursor, [_settlement(subscription, 1), _settlement(subscription, 1, outcome="dead_lettered", body=b"{}")])
    cursor.execute("SELECT (SELECT count(*) FROM subscription_attempt), (SELECT count(*) FROM subscription_dead_letter)")
    assert cursor.fetchall() == [(0, 0)]
    assert deliveries.progress(cursor, subscription) is None


def test_a_letter_that_dies_again_is_the_same_letter(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    dead = _settlement(
        subscription, 1, outcome="dead_lettered", reason="unprocessable", status=415, body=b'{"id":"1"}', message="m"
    )
    deliveries.plan(cursor, [_plan(subscription, 0, 1)])
    deliveries.settle(cursor, [dead])
    [letter] = deliveries.dead_letters(cursor, subscription)
    assert _numbers(cursor, subscription) == []
    assert deliveries.redrive(cursor, subscription, [letter["id"]], "x", NOW) == 1
    assert deliveries.redrive(cursor, subscription, [letter["id"]], "x", NOW) == 0
    [again] = deliveries.outstanding(cursor, subscription, [], 100)
    assert (again.planned.number, again.body) == (1, b'{"id":"1"}')
    assert deliveries.dead_letters(cursor, subscription) == []
    deliveries.settle(cursor, [dead])
    [second] = deliveries.dead_letters(cursor, subscription)
    assert (second["id"], second["attempts"]) == (letter["id"], 2)
    assert deliveries.discard(cursor, subscription, [letter["id"]], "x", NOW) == 1
    assert deliveries.redrive(cursor, subscription, None, "x", NOW) == 0


def test_letters_of_others_are_not_driven(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    deliveries.plan(cursor, [_plan(subscription, 0, 1)])
    deliveries.settle(cursor, [_settlement(subscription, 1, outcome="dead_lettered", body=b"{}", reason="exhausted")])
    [letter] = deliveries.dead_letters(cursor, subscription)
    assert deliveries.redrive(cursor, uuid4(), [letter["id"]], "x", NOW) == 0
    assert len(deliveries.dead_letters(cursor, subscription)) == 1


def test_a_replay_takes_what_was_acknowledged_once(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    deliveries.plan(cursor, [_plan(subscription, 0, 4)])
    deliveries.settle(cursor, [_settlement(subscription, number) for number in (1, 2, 2, 3)])
    assert deliveries.replay(cursor, subscription, 2, 9, "li") == 2
    assert _numbers(cursor, subscription) == [2, 3, 4]
    assert deliveries.replay(cursor, subscription, 2, 9, "li") == 0
    assert _works(cursor) == [(f"{subscription} 2-9", "li", 0, 2, "running")]


def _works(cursor: psycopg.Cursor[Any]) -> list[tuple[Any, ...]]:
    cursor.execute("SELECT title, started_by, done, total, state FROM work WHERE kind = 'delivery_replay' ORDER BY id")
    return cursor.fetchall()


def test_a_replay_is_done_once_all_is_settled_whatever_else_is(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    deliveries.plan(cursor, [_plan(subscription, 0, 4)])
    deliveries.settle(cursor, [_settlement(subscription, number) for number in (1, 2, 3)])
    deliveries.replay(cursor, subscription, 1, 2, "li")
    deliveries.settle(cursor, [_settlement(subscription, number) for number in (1, 4)])
    deliveries.follow_replays(cursor)
    assert _works(cursor) == [(f"{subscription} 1-2", "li", 1, 2, "running")]
    deliveries.settle(cursor, [_settlement(subscription, 2)])
    deliveries.follow_replays(cursor)
    assert _works(cursor) == [(f"{subscription} 1-2", "li", 2, 2, "done")]


def test_a_cancelled_replay_drops_what_is_not_sent_again_and_nothing_else(
    cursor: psycopg.Cursor[Any], subscription: UUID
) -> None:
    deliveries.plan(cursor, [_plan(subscription, 0, 5)])
    deliveries.settle(cursor, [_settlement(subscription, number) for number in (1, 2, 3, 4)])
    deliveries.replay(cursor, subscription, 1, 2, "li")
    deliveries.replay(cursor, subscription, 1, 4, "wang")  # 3 and 4 are its own
    deliveries.settle(cursor, [_settlement(subscription, 3)])
    cursor.execute("SELECT max(id) FROM work")
    [(work_id,)] = cursor.fetchall()
    assert works.ask_cancel(cursor, work_id, "zhao", NOW)
    assert deliveries.follow_replays(cursor) == {subscription: [4]}
    assert deliveries.follow_replays(cursor) == {}
    assert _works(cursor) == [
        (f"{subscription} 1-2", "li", 0, 2, "running"),
        (f"{subscription} 1-4", "wang", 1, 2, "cancelled"),
    ]
    assert _numbers(cursor, subscription) == [1, 2, 5]
    assert not deliveries.is_outstanding(cursor, subscription, 4)


def test_a_replay_ends_with_its_subscription(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    deliveries.plan(cursor, [_plan(subscription, 0, 2)])
    deliveries.settle(cursor, [_settlement(subscription, 1)])
    deliveries.replay(cursor, subscription, 1, 1, "li")
    cursor.execute("DELETE FROM subscription WHERE subscription_id = %s", (subscription,))
    deliveries.follow_replays(cursor)
    assert _works(cursor) == [(f"{subscription} 1-1", "li", 0, 1, "cancelled")]


def test_an_endpoint_s_health_and_grant_outlive_a_restart(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    health = EndpointHealth(subscription, 12, NOW, NOW + timedelta(seconds=10))
    deliveries.note_health(cursor, [health])
    progress = deliveries.progress(cursor, subscription)
    assert progress is not None
    assert (progress.health, progress.granted_per_min) == (health, None)
    deliveries.grant(cursor, subscription, 600)
    progress = deliveries.progress(cursor, subscription)
    assert progress is not None
    assert (progress.health, progress.granted_per_min) == (EndpointHealth(subscription, 0, None, None), 600)


def test_the_trace_is_kept_for_a_while(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    deliveries.settle(cursor, [_settlement(subscription, 1), _settlement(subscription, 2, started_at=NOW + timedelta(days=1))])
    assert deliveries.forget_attempts(cursor, NOW + timedelta(hours=1)) == 1
    assert [row["number"] for row in deliveries.attempts_of(cursor, subscription)] == [2]


# --- secrets ---


def test_a_new_secret_signs_beside_the_old_until_the_overlap_ends(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    hour = timedelta(hours=1)
    assert secrets.add(cursor, subscription, "v1", b"one", None, NOW, None) == 1
    assert secrets.add(cursor, subscription, "v1a", b"key", b"public", NOW, NOW + hour) == 2
    assert secrets.add(cursor, subscription, "v1", b"two", None, NOW, NOW + hour) == 3

    def held(at: datetime) -> list[tuple[int, str, bytes]]:
        return [tuple(one) for one in secrets.in_force(cursor, [subscription], at)[subscription]]  # type: ignore[misc]

    assert held(NOW) == [(3, "v1", b"two"), (2, "v1a", b"key"), (1, "v1", b"one")]
    assert held(NOW + hour) == [(3, "v1", b"two"), (2, "v1a", b"key")]
    described = secrets.described(cursor, subscription)
    assert [(row["version"], row["kind"], row["public_key"]) for row in described] == [
        (1, "v1", None),
        (2, "v1a", b"public"),
        (3, "v1", None),
    ]
    assert all("secret" not in row for row in described)


def test_a_new_secret_is_a_change_that_deliverers_see(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    before = register.revisions(cursor)[subscription]
    secrets.add(cursor, subscription, "v1", b"one", None, NOW, None)
    assert register.revisions(cursor)[subscription] == before + 1


def test_no_more_than_eight_secrets_are_in_force(cursor: psycopg.Cursor[Any], subscription: UUID) -> None:
    for _ in range(secrets.SECRETS_MAX):
        secrets.add(cursor, subscription, "v1", b"one", None, NOW, None)
    with pytest.raises(secrets.SecretsFull):
        secrets.add(cursor, subscription, "v1", b"one", None, NOW, None)
