"""Deliveries on a real Kafka and PostgreSQL, by a deliverer that is a process of its own: what a subscriber is promised."""

import json
import os
import signal
import threading
import time
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen
from uuid import UUID

import psycopg
import pytest

from dujiang.embedded.ports import free_port
from engine import works
from engine.subscriptions import deliveries
from schemas.subscriptions import Basis
from sinks.webhooks.books import APPLICATION
from sinks.webhooks.deliverer import HOLDER_S_MAX, PLACE_IDLE_S
from sinks.webhooks.signing import webhook_id
from tests.sinks.webhooks.conftest import ANNOUNCED, Post
from tests.sinks.webhooks.receiver import Arrival, Endpoint

pytestmark = pytest.mark.services


def _first_of_each(arrivals: list[Arrival]) -> list[Arrival]:
    first: dict[str, Arrival] = {}
    for arrival in arrivals:
        first.setdefault(arrival.event_id, arrival)
    return list(first.values())


def _by_key(arrivals: list[Arrival]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for arrival in arrivals:
        found[arrival.key].append(arrival.event_id)
    return dict(found)


def _state(post: Post, subscription: UUID) -> tuple[str, str]:
    [row] = post.stage.rows("SELECT state, state_reason FROM subscription WHERE subscription_id = %s", subscription)
    return row[0], row[1]


def test_a_killed_deliverer_loses_nothing_keeps_the_order_of_keys_and_every_id(post: Post) -> None:
    endpoint = post.endpoint(delay_s=0.005)
    subscription = post.subscribe(*endpoint.address)
    process = post.deliverer()
    ids = post.publish(1_000, keys=25)
    for share in (200, 500):
        post.until(lambda share=share: len(endpoint.arrivals) >= share)  # type: ignore[misc]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        process = post.deliverer()
    post.until(lambda: len({one.event_id for one in endpoint.acknowledged}) == 1_000, 60, lambda: str(len(endpoint.arrivals)))

    first = _first_of_each(endpoint.acknowledged)
    assert sorted(one.event_id for one in first) == ids
    assert all(found == sorted(found) for found in _by_key(first).values())
    assert {(one.event_id, one.id) for one in endpoint.arrivals} == {
        (event_id, webhook_id(str(subscription), "/partners/a", event_id)) for event_id in ids
    }
    assert len({(one.event_id, one.number) for one in endpoint.arrivals}) == 1_000
    assert sorted(one.number for one in first) == list(range(1, 1_001))
    assert endpoint.refused == []
    post.until(lambda: post.stage.rows("SELECT count(*) FROM subscription_delivery") == [(0,)])


def test_a_receiver_that_fails_for_long_delays_no_other(post: Post) -> None:
    good, bad = post.endpoint(), post.endpoint(lambda _: 500)
    post.subscribe(*bad.address)
    post.subscribe(*good.address)
    post.deliverer()
    ids = post.publish(300)
    post.until(lambda: len(bad.arrivals) >= 10)
    post.until(lambda: len(good.acknowledged) == 300, 20)
    sent_s = time.monotonic()
    post.publish(1)
    post.until(lambda: len(good.acknowledged) == 301, 10)
    assert good.acknowledged[-1].at_s - sent_s < 2
    assert [one.event_id for one in good.acknowledged][:300] != []
    assert sorted(one.event_id for one in good.acknowledged)[:300] == ids
    assert bad.acknowledged == []
    assert len(bad.arrivals) < 100  # its circuit broke


def test_a_receiver_that_hangs_delays_no_other(post: Post) -> None:
    good, slow = post.endpoint(), post.endpoint(delay_s=60)
    post.subscribe(*slow.address)
    post.subscribe(*good.address)
    post.deliverer()
    post.publish(200)
    post.until(lambda: len(good.acknowledged) == 200, 20)


def test_what_waited_for_a_receiver_comes_when_it_is_back_in_order(post: Post) -> None:
    away = threading.Event()
    away.set()
    endpoint = post.endpoint(lambda _: 503 if away.is_set() else 200)
    post.subscribe(*endpoint.address)
    post.deliverer()
    ids = post.publish(400, keys=7)
    post.until(lambda: len(endpoint.arrivals) >= 10)
    away.clear()
    post.until(lambda: len(_first_of_each(endpoint.acknowledged)) == 400, 60, lambda: str(len(endpoint.acknowledged)))
    first = _first_of_each(endpoint.acknowledged)
    assert sorted(one.event_id for one in first) == ids
    assert all(found == sorted(found) for found in _by_key(first).values())


def test_410_disables_and_what_waits_comes_after_a_resume(post: Post) -> None:
    gone = threading.Event()
    gone.set()
    endpoint = post.endpoint(lambda _: 410 if gone.is_set() else 200)
    subscription = post.subscribe(*endpoint.address)
    post.deliverer()
    post.publish(1)
    post.until(lambda: _state(post, subscription) == ("disabled", "endpoint_gone"))
    ids = post.publish(5)
    seen = len(endpoint.arrivals)
    time.sleep(1.5)
    assert len(endpoint.arrivals) == seen == 1
    gone.clear()
    post.move(subscription, "resume", "resumed")  # its endpoint is asked for consent again
    post.until(lambda: {one.event_id for one in endpoint.acknowledged} == {"e000000", *ids})
    assert _state(post, subscription) == ("enabled", "validated")


def test_a_dead_letter_is_kept_whole_and_driven_again_under_its_number(post: Post) -> None:
    refuses = threading.Event()
    refuses.set()
    endpoint = post.endpoint(lambda event: 415 if refuses.is_set() and event["id"] == "e000001" else 200)
    subscription = post.subscribe(*endpoint.address)
    post.deliverer()
    post.publish(3, keys=1)
    post.until(lambda: len(endpoint.acknowledged) == 2)
    assert [one.event_id for one in endpoint.acknowledged] == ["e000000", "e000002"]

    def letters() -> list[dict[str, object]]:
        return post.in_transaction(lambda cursor: deliveries.dead_letters(cursor, subscription))  # type: ignore[no-any-return]

    post.until(lambda: len(letters()) == 1)
    [letter] = letters()
    assert (letter["number"], letter["event_id"], letter["reason"], letter["status"], letter["attempts"]) == (
        2,
        "e000001",
        "unprocessable",
        415,
        1,
    )
    refuses.clear()
    now = datetime.now(UTC)
    assert post.in_transaction(lambda cursor: deliveries.redrive(cursor, subscription, None, "test", now)) == 1
    post.until(lambda: len(endpoint.acknowledged) == 3)
    last = endpoint.acknowledged[-1]
    assert (last.event_id, last.number, last.id) == ("e000001", 2, webhook_id(str(subscription), "/partners/a", "e000001"))
    assert letters() == []
    post.until(lambda: post.stage.rows("SELECT count(*) FROM subscription_delivery") == [(0,)])
    outcomes = post.stage.rows("SELECT outcome FROM subscription_attempt WHERE number = 2 ORDER BY id")
    assert outcomes == [("dead_lettered",), ("acknowledged",)]


def test_a_range_is_replayed_under_the_same_numbers_and_ids(post: Post) -> None:
    endpoint = post.endpoint()
    subscription = post.subscribe(*endpoint.address)
    post.deliverer()
    post.publish(20, keys=3)
    post.until(lambda: len(endpoint.acknowledged) == 20)
    post.until(lambda: post.stage.rows("SELECT count(*) FROM subscription_delivery") == [(0,)])
    before = {one.number: (one.event_id, one.id) for one in endpoint.acknowledged}
    assert post.in_transaction(lambda cursor: deliveries.replay(cursor, subscription, 5, 9, "li")) == 5
    post.until(lambda: len(endpoint.acknowledged) == 25)
    again = endpoint.acknowledged[20:]
    assert {one.number: (one.event_id, one.id) for one in again} == {number: before[number] for number in range(5, 10)}


def test_a_replay_is_seen_on_its_way_and_cancelled(post: Post) -> None:
    """The endpoint fails from the replay on, so all of it waits; once it works again, only what is new arrives."""
    fails = list[bool]()
    endpoint = post.endpoint(lambda _: 503 if fails else 200)
    subscription = post.subscribe(*endpoint.address)
    post.deliverer()
    post.publish(20, keys=3)
    post.until(lambda: len(endpoint.acknowledged) == 20)
    post.until(lambda: post.stage.rows("SELECT count(*) FROM subscription_delivery") == [(0,)])
    fails.append(True)
    post.in_transaction(lambda cursor: deliveries.replay(cursor, subscription, 1, 20, "li"))
    tried = "SELECT count(*) > 0 FROM subscription_attempt WHERE outcome = 'failed'"
    post.until(lambda: post.stage.rows(tried) == [(True,)])
    [(work_id, state)] = post.stage.rows("SELECT id, state FROM v_work")
    assert state == "running"
    post.in_transaction(lambda cursor: works.ask_cancel(cursor, work_id, "wang", datetime.now(UTC)))
    post.until(lambda: post.stage.rows("SELECT state, done, total FROM v_work") == [("cancelled", 0, 20)])
    assert post.stage.rows("SELECT count(*) FROM subscription_delivery") == [(0,)]
    fails.clear()
    new = post.publish(5, keys=3)
    post.until(lambda: post.stage.rows("SELECT count(*) FROM subscription_attempt WHERE number > 20") == [(5,)])
    assert sorted(one.event_id for one in endpoint.acknowledged[20:]) == new


def test_a_pause_loses_nothing(post: Post) -> None:
    endpoint = post.endpoint()
    subscription = post.subscribe(*endpoint.address)
    post.deliverer()
    post.publish(50)
    post.until(lambda: len(endpoint.acknowledged) == 50)
    post.move(subscription, "pause", "paused")
    time.sleep(1.5)
    post.publish(50)
    time.sleep(1.5)
    assert len(endpoint.acknowledged) == 50
    post.move(subscription, "resume", "resumed")
    post.until(lambda: len(endpoint.acknowledged) == 100)
    assert sorted(one.number for one in endpoint.acknowledged) == list(range(1, 101))


def test_what_a_paused_subscription_has_not_read_is_known_though_nothing_of_it_is_numbered(post: Post) -> None:
    endpoint = post.endpoint()
    subscription, reader = post.subscribe(*endpoint.address), post.subscribe(*endpoint.address, protocol="PULL")
    post.move(subscription, "pause", "paused")
    post.deliverer()
    post.publish(30)
    post.until(lambda: _unread(post, subscription) == (30, 0), describe=lambda: f"unread: {_unread(post, subscription)}")
    assert _unread(post, reader) == (30, 0)  # it has never come, so it stands where it began


def test_how_far_those_are_that_keep_their_own_place_is_known_too(post: Post) -> None:
    """A gateway tells of a reader with a cursor, a deliverer of a group on Kafka itself."""
    endpoint, port = post.endpoint(), free_port()
    reader, consumer = (post.subscribe(*endpoint.address, protocol=protocol) for protocol in ("PULL", "KAFKA"))
    post.publish(30)
    places = {place: end for place, end in post.stage.ends().items() if place[0] == "research.call.event"}
    post.stage.commit(
        f"{post.stage.group_prefix}.subscriber.-.{consumer}.board", {place: end - 1 for place, end in places.items()}
    )
    post.gateway(port)
    post.deliverer()
    post.until(lambda: _pulled(port, reader, 12) == 12)
    post.until(lambda: _unread(post, reader) == (18, 0), describe=lambda: f"unread: {_unread(post, reader)}")
    post.until(lambda: _unread(post, consumer) == (len(places), 0), describe=lambda: f"unread: {_unread(post, consumer)}")


def _pulled(port: int, subscription: UUID, limit: int) -> int:
    """How many events came; 0 while the gateway is not open yet."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/subscriptions/{subscription}/events?limit={limit}&wait=5", timeout=10) as answer:
            return len(json.load(answer)["events"])
    except URLError:
        return 0


def _unread(post: Post, subscription: UUID) -> Any:
    """What is not read, and what is numbered and waits."""
    query = "SELECT unread, waiting FROM v_subscription WHERE subscription_id = %s"
    return post.in_transaction(lambda cursor: cursor.execute(query, (str(subscription),)).fetchone())


def test_an_endpoint_is_asked_for_its_consent_first(post: Post) -> None:
    willing, unwilling = post.endpoint(), post.endpoint()
    unwilling.consents = False
    first, second = post.subscribe(*willing.address, is_validated=False), post.subscribe(*unwilling.address, is_validated=False)
    post.deliverer()
    post.until(lambda: _state(post, first) == ("enabled", "validated"))
    post.publish(3)
    post.until(lambda: len(willing.acknowledged) == 3)
    assert _state(post, second) == ("pending_validation", "created")
    assert unwilling.arrivals == []
    assert willing.refused == ["missing_header"]  # the probe


def test_rights_and_classification_are_asked_at_each_delivery(post: Post) -> None:
    """Three agencies: one subscribed, one that gives no purpose, one whose right is taken away while it is subscribed."""
    cast = {name: post.endpoint() for name in ("whole", "partly", "nothing")}
    for name in cast:
        post.stage.rows(
            "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
            " VALUES (%s, %s, ARRAY['subscribe:gov.stiib.research.*', 'clearance:internal'], ARRAY['/p'], 1, 1000, 1, 't')"
            " RETURNING 1",
            name,
            name,
        )
    post.subscribe(*cast["whole"].address, owner="whole")
    post.subscribe(*cast["partly"].address, owner="partly", basis=None)
    types = (ANNOUNCED, "gov.stiib.research.project.settled.v1")
    revoked = post.subscribe(*cast["nothing"].address, owner="nothing", types=types)
    post.deliverer(gateway__auth="token")
    post.publish(2)  # of a public topic
    post.until(lambda: all(len(endpoint.acknowledged) == 2 for endpoint in cast.values()))
    post.stage.rows("UPDATE partner SET scopes = '{publish:x}' WHERE partner_id = 'nothing' RETURNING 1")
    time.sleep(1.2)
    internal = b"""{"specversion":"1.0","id":"i1","source":"/p","type":"gov.stiib.research.project.settled.v1","subject":"P-1",
        "time":"2026-03-02T08:00:00Z","data":{}}"""
    post.stage.send([internal])
    post.publish(1)
    post.until(lambda: len(cast["whole"].acknowledged) == 4 and len(cast["partly"].acknowledged) == 3)
    assert {one.event_id for one in cast["whole"].acknowledged} == {"e000000", "e000001", "e000002", "i1"}
    assert {one.event_id for one in cast["partly"].acknowledged} == {"e000000", "e000001", "e000002"}
    assert {one.event_id for one in cast["nothing"].arrivals} == {"e000000", "e000001"}
    withheld = "SELECT withheld_right, withheld_classification, last_number FROM subscription_progress"
    post.until(lambda: post.stage.rows(f"{withheld} WHERE subscription_id = %s", revoked) == [(2, 0, 2)])


def test_what_the_ordering_token_was_not_granted_does_not_go_out_either(post: Post) -> None:
    """One partner, three tokens: all of its rights, one type of event, single rows."""
    post.stage.rows(
        "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
        " VALUES ('a', 'a', ARRAY['subscribe:gov.stiib.research.*', 'clearance:internal'], ARRAY['/p'], 1, 1000, 1, 't')"
        " RETURNING 1"
    )
    all_of_it, one_type, rows = post.endpoint(), post.endpoint(), post.endpoint()
    post.subscribe(*all_of_it.address, owner="a")
    post.subscribe(*one_type.address, owner="a", granted=(f"subscribe:{ANNOUNCED}", "clearance:internal"))
    post.subscribe(*rows.address, owner="a", granted=("subscribe:*", "clearance:internal", "only:subject=P-*"))
    post.deliverer(gateway__auth="token")
    settled = b"""{"specversion":"1.0","id":"i1","source":"/p","type":"gov.stiib.research.project.settled.v1","subject":"P-1",
        "time":"2026-03-02T08:00:00Z","data":{}}"""
    post.stage.send([settled])
    post.publish(3)
    announced = {"e000000", "e000001", "e000002"}
    expected = [(all_of_it, announced | {"i1"}), (one_type, announced), (rows, {"i1"})]
    post.until(lambda: all(len(endpoint.acknowledged) >= len(ids) for endpoint, ids in expected))
    post.stage.send([settled.replace(b"i1", b"i2")])  # behind it everything before has been judged
    post.until(lambda: len(all_of_it.acknowledged) == 5 and len(rows.acknowledged) == 2)
    assert {one.event_id for one in one_type.arrivals} == announced
    assert {one.event_id for one in rows.arrivals} == {"i1", "i2"}


def test_filters_select_and_numbers_have_no_gaps(post: Post) -> None:
    endpoint = post.endpoint()
    post.subscribe(*endpoint.address, filters=[{"sql": "subject = 'C-3' OR subject = 'C-4'"}])
    post.deliverer()
    post.publish(100)
    post.until(lambda: len(endpoint.acknowledged) == 20)
    assert {one.key for one in endpoint.acknowledged} == {"C-3", "C-4"}
    assert sorted(one.number for one in endpoint.acknowledged) == list(range(1, 21))


def test_a_filter_on_data_selects(post: Post) -> None:
    wanted, other = post.endpoint(), post.endpoint()
    post.subscribe(*wanted.address, filters=[{"data": {"/title": {"suffix": "技术"}}}])
    post.subscribe(*other.address, filters=[{"not": {"data": {"/closes_at": {"at_least": "2026-06"}}}}])
    post.deliverer()
    post.publish(20)
    post.until(lambda: len(wanted.acknowledged) == 20)
    assert other.arrivals == []


@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_a_second_deliverer_waits_and_takes_over(post: Post, end: signal.Signals) -> None:
    endpoint = post.endpoint()
    post.subscribe(*endpoint.address)
    first = post.deliverer()
    post.publish(10)
    post.until(lambda: len(endpoint.acknowledged) == 10)
    post.deliverer()
    post.publish(10)
    post.until(lambda: len(endpoint.arrivals) == 20)
    os.kill(first.pid, end)
    post.publish(10)
    # Some of what the first had sent and not settled comes again, so numbers are counted, not arrivals.
    post.until(lambda: {one.number for one in endpoint.acknowledged} == set(range(1, 31)), PLACE_IDLE_S + 20)
    if end is signal.SIGSTOP:  # it wakes up in another's place
        first.send_signal(signal.SIGCONT)
        post.publish(10)
        post.until(lambda: {one.number for one in endpoint.acknowledged} == set(range(1, 41)))
        assert len({one.event_id for one in endpoint.acknowledged}) == 40


def test_who_takes_over_ends_a_turn_that_stands_still(post: Post) -> None:
    endpoint = post.endpoint()
    subscription = post.subscribe(*endpoint.address)
    with closing(psycopg.connect(post.stage.dsn, application_name=APPLICATION)) as frozen:
        frozen.execute("SELECT 1 FROM subscription_progress WHERE subscription_id = %s FOR UPDATE", (subscription,))
        frozen.pgconn.exec_(b"COPY subscription_delivery FROM STDIN")
        time.sleep(HOLDER_S_MAX + 1)
        post.deliverer()
        post.publish(10)
        post.until(lambda: {one.number for one in endpoint.acknowledged} == set(range(1, 11)))
        assert post.stage.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s", frozen.info.backend_pid) == []


def test_a_name_of_an_inner_address_gets_nothing(post: Post) -> None:
    """Loopback is not among the allowed networks here."""
    endpoint: Endpoint = post.endpoint()
    subscription = post.subscribe(*endpoint.address)
    post.deliverer(deliver__networks="[]")
    post.publish(1)
    trace = "SELECT outcome, reason, status FROM subscription_attempt WHERE subscription_id = %s ORDER BY id LIMIT 1"
    post.until(lambda: post.stage.rows(trace, subscription) == [("failed", "destination", None)])
    assert endpoint.arrivals == []


def test_a_subscription_without_a_stated_purpose_is_not_sent_internal_events(post: Post) -> None:
    stated, bare = post.endpoint(), post.endpoint()
    post.subscribe(*stated.address, basis=Basis("supervision", "norm 1", "office 2"))
    post.subscribe(*bare.address, basis=None)
    post.deliverer()
    post.stage.send(
        [
            b'{"specversion":"1.0","id":"i1","source":"/p","type":"gov.stiib.research.call.extended.v1","subject":"C-1",'
            b'"time":"2026-03-02T08:00:00Z","dataclassification":"internal","data":{"closes_at":"2026-06-01T08:00:00Z"}}'
        ]
    )
    post.publish(1)
    post.until(lambda: len(stated.acknowledged) == 2 and len(bare.acknowledged) == 1)
    assert [one.event_id for one in bare.acknowledged] == ["e000000"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "how"), [("postgres", "stop"), ("kafka", "kill")])
def test_a_service_that_is_away_for_a_while_costs_nothing_but_time(post: Post, name: str, how: str) -> None:
    server = getattr(post.stage.services, name)
    endpoint = post.endpoint(delay_s=0.02)
    post.subscribe(*endpoint.address)
    post.deliverer()
    ids = post.publish(600, keys=20)
    post.until(lambda: len(endpoint.acknowledged) >= 100)
    getattr(server, how)()
    time.sleep(8)
    server.start()
    ids += post.publish(100, keys=20)
    post.until(lambda: len(_first_of_each(endpoint.acknowledged)) == 700, 60, lambda: str(len(endpoint.acknowledged)))
    first = _first_of_each(endpoint.acknowledged)
    assert sorted(one.event_id for one in first) == ids
    assert all(found == sorted(found) for found in _by_key(first).values())
    assert sorted({one.number for one in first}) == list(range(1, 701))
