"""Subscriptions in the console: pages out of rows, and orders that the lifecycle decides and the record keeps."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import Cursor

from engine import audit
from engine.clock import FakeClock
from engine.subscriptions import deliveries, notices, readings, register
from engine.subscriptions.readings import Reading
from gateway.console import queries
from gateway.console.deeds import DeedRefused
from gateway.console.orders import Orders
from gateway.console.pages import subscriptions as pages
from gateway.console.queries import SubscriptionFilter
from gateway.console.queries.subscriptions import STATES
from gateway.console.rights import Role, User
from gateway.console.words import WORDS, Speech
from gateway.store import Store
from schemas.subscriptions import Place, Subscription, begun
from schemas.subscriptions.model import Actor, Reason, State
from tests.console.bureau import HOOK, READER, subscribed

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
SAY = Speech("en", ZoneInfo("Asia/Shanghai"), NOW)
OPERATOR = User("li", Role.OPERATOR)
OWNER = User("institute", Role.PARTNER, "institute")
STRANGER = User("other", Role.PARTNER, "other")
VIEWER = User("wang", Role.VIEWER)

Ask = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def ask(database: str) -> Iterator[Ask]:
    """The seeded bureau's rows."""
    with psycopg.connect(database, autocommit=True) as connection:
        with connection.cursor() as cursor:
            subscribed(cursor, NOW)
        yield lambda query, *values: connection.execute(query.encode(), values or None).fetchall()


@pytest.fixture
def cursor(ask: Ask, database: str) -> Iterator[Cursor[Any]]:
    with psycopg.connect(database) as connection, connection.cursor() as found:
        yield found


@pytest.mark.services
@pytest.mark.parametrize("words", [str(HOOK), "AUDIT of funds", "institut"])
def test_search_finds_a_subscription_by_id_purpose_and_partner(cursor: Cursor[Any], words: str) -> None:
    [found] = queries.kept_found(cursor, words)
    assert found == ("subscription", str(HOOK), "audit of funds", "institute", "enabled")


@pytest.mark.services
@pytest.mark.parametrize(
    ("source", "found"),
    [("/partners/a", ["a"]), ("/partners/a/lab", ["a"]), ("/partners/ab", []), ("/partners", [])],
)
def test_search_for_a_source_finds_whoever_speaks_as_it(cursor: Cursor[Any], source: str, found: list[str]) -> None:
    cursor.execute(
        "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
        " VALUES ('a', 'Works', '{publish:*}', '{/partners/a}', 1, 1, 1, 'tests')"
    )
    assert [item.key for item in queries.kept_found(cursor, source)] == found


@pytest.fixture
def order(ask: Ask, database: str) -> Iterator[Callable[..., Any]]:
    """`order("pause", OPERATOR, HOOK, "why")`."""
    store = Store(database, "tests")
    orders = Orders(store, FakeClock(NOW))

    def call(verb: str, *values: Any) -> Any:
        return asyncio.run(getattr(orders, verb)(*values))

    yield call
    store.close()


def _deeds(ask: Ask) -> list[tuple[Any, ...]]:
    return ask("SELECT done_by, action, subject, detail FROM console_deed WHERE kind = 'subscription' ORDER BY id")


@pytest.mark.parametrize(("family", "values"), [("sub_state", State), ("sub_reason", Reason), ("state_by", Actor)])
def test_every_value_of_the_lifecycle_has_words(family: str, values: Any) -> None:
    assert [value for value in get_args(values) if f"{family}.{value}" not in WORDS] == []
    assert sorted(STATES) == sorted(get_args(State))


# --- looking ----------------------------------------------------------------------------------------------------------------


@pytest.mark.services
def test_list_tells_what_waits_and_what_was_given_up(cursor: Cursor[Any]) -> None:
    page = queries.subscriptions(cursor, SubscriptionFilter())
    told = [(row.partner, row.types, row.state, row.waiting, row.dead_letters, row.last_number) for row in page.rows]
    assert told == [("institute", "*", "enabled", 1, 1, 3), ("other", "*", "enabled", 0, 0, 0)]
    drawn = pages.list_section(SAY, page, SubscriptionFilter())
    assert "audit of funds" in drawn
    assert "Audit Law 36" in drawn


@pytest.mark.services
def test_partner_finds_its_own_alone(cursor: Cursor[Any]) -> None:
    mine = queries.subscriptions(cursor, SubscriptionFilter(), "other")
    assert [row.subscription_id for row in mine.rows] == [str(READER)]
    assert queries.subscription(cursor, HOOK, "other") is None
    assert queries.subscription(cursor, HOOK, "institute") is not None


@pytest.mark.services
def test_pages_follow_each_other_without_gap_or_repeat(cursor: Cursor[Any]) -> None:
    for number in range(queries.LIST_MAX + 10):
        register.add(cursor, Subscription(uuid4(), f"p{number % 3}", "PULL", begun("PULL", "partner", NOW), NOW, NOW), {})
    seen: list[str] = []
    after = ""
    while True:
        page = queries.subscriptions(cursor, SubscriptionFilter(after=after))
        seen += [row.subscription_id for row in page.rows]
        if not page.has_more:
            break
        after = f"{page.rows[-1].partner} {page.rows[-1].subscription_id}"
    assert len(seen) == len(set(seen)) == queries.LIST_MAX + 12


@pytest.mark.services
def test_one_subscription_is_told_whole_and_its_path_is_kept_back(cursor: Cursor[Any]) -> None:
    row = queries.subscription(cursor, HOOK)
    endpoint = queries.kept_endpoint(cursor, HOOK)
    assert row is not None
    assert endpoint is not None
    sheet = pages.sheet(SAY, row, endpoint, queries.kept_positions(cursor, HOOK))
    assert "https://hooks.example.org" in sheet
    assert "secret-path" not in sheet
    assert "research.call.event" in sheet
    letters = pages.letters_section(SAY, queries.kept_letters(cursor, HOOK))
    assert "&lt;b&gt;they&lt;/b&gt; answered 500" in letters
    attempts = queries.kept_attempts(cursor, HOOK)
    assert [(one.number, one.outcome) for one in attempts] == [(2, "dead_lettered"), (1, "acknowledged")]
    assert "given up" in pages.attempts_section(SAY, attempts)


@pytest.mark.parametrize(
    ("failures", "said"), [(0, "closed"), (3, "3 failures in a row"), (pages.CIRCUIT_FAILURES, "open after 10")]
)
def test_circuit_is_told_by_failures_in_a_row(failures: int, said: str) -> None:
    assert said in pages.circuit(SAY, failures)


# --- orders -----------------------------------------------------------------------------------------------------------------


@pytest.mark.services
def test_operators_hold_is_on_record_and_only_an_operator_lifts_it(order: Callable[..., Any], ask: Ask) -> None:
    order("pause", OPERATOR, HOOK, "  endpoint \n under  attack ")
    assert ask("SELECT state, state_by, state_note FROM subscription WHERE owner = 'institute'") == [
        ("paused", "operator", "endpoint under attack")
    ]
    with pytest.raises(DeedRefused) as refused:
        order("resume", OWNER, HOOK)
    assert refused.value.word == "order_held"
    order("resume", OPERATOR, HOOK)
    assert ask("SELECT state FROM subscription WHERE owner = 'institute'") == [("enabled",)]
    assert _deeds(ask) == [
        ("li", "pause", str(HOOK), {"text": "endpoint under attack"}),
        ("li", "resume", str(HOOK), {}),
    ]


@pytest.mark.services
def test_partner_pauses_its_own_and_cannot_touch_anothers(order: Callable[..., Any], ask: Ask) -> None:
    order("pause", OWNER, HOOK, "")
    assert ask("SELECT state, state_by FROM subscription WHERE owner = 'institute'") == [("paused", "partner")]
    order("resume", OWNER, HOOK)
    for verb, values in (("pause", ("",)), ("resume", ()), ("redrive", ()), ("replay", ("1", "2"))):
        with pytest.raises(DeedRefused) as refused:
            order(verb, STRANGER, HOOK, *values)
        assert (verb, refused.value.word) == (verb, "missing_why")
    assert {deed[0] for deed in _deeds(ask)} == {"institute"}


@pytest.mark.services
def test_log_of_changes_names_who_ordered_and_the_owner_is_told_of_others_orders_alone(
    order: Callable[..., Any], ask: Ask, cursor: Cursor[Any]
) -> None:
    colleague = User("zhou", Role.PARTNER, "institute")
    order("pause", colleague, HOOK, "")
    order("resume", colleague, HOOK)
    order("pause", OPERATOR, HOOK, "endpoint under attack")
    entries = audit.entries(cursor, "institute", "subscription", 3)
    assert [(one["actor"], one["after"]["state"]) for one in entries] == [
        ("operator:li", "paused"),
        ("partner:institute", "enabled"),
        ("partner:institute", "paused"),
    ]
    (notice,) = notices.after(cursor, "institute", notices.BEGINNING, 100)
    assert (notice.state, notice.by, notice.note) == ("paused", "operator", "endpoint under attack")


@pytest.mark.services
@pytest.mark.parametrize(
    ("verb", "user", "values", "word"),
    [
        ("pause", OPERATOR, ("",), "reason_missing"),
        ("pause", VIEWER, ("why",), "refused_why"),
        ("disable", OWNER, ("why",), "refused_why"),
        ("redrive", VIEWER, (), "refused_why"),
        ("resume", User("x", Role.PARTNER, None), (), "refused_why"),
        ("replay", OPERATOR, ("2", "1"), "numbers_wrong"),
        ("replay", OPERATOR, ("one", "2"), "numbers_wrong"),
    ],
)
def test_order_that_cannot_be_leaves_no_trace(
    order: Callable[..., Any], ask: Ask, verb: str, user: User, values: tuple[str, ...], word: str
) -> None:
    with pytest.raises(DeedRefused) as refused:
        order(verb, user, HOOK, *values)
    assert refused.value.word == word
    assert _deeds(ask) == []
    assert ask("SELECT revision FROM subscription WHERE owner = 'institute'") == [(1,)]


@pytest.mark.services
def test_expired_subscription_is_not_resumed_though_nobody_wrote_it_down(order: Callable[..., Any], ask: Ask) -> None:
    ask("UPDATE subscription SET expires_at = %s, state = 'paused' RETURNING 1", NOW - timedelta(hours=1))
    with pytest.raises(DeedRefused) as refused:
        order("resume", OPERATOR, HOOK)
    assert refused.value.values == {"sub_state": "expired"}


@pytest.mark.services
def test_dead_letters_and_a_range_are_sent_again_under_their_numbers(
    order: Callable[..., Any], ask: Ask, cursor: Cursor[Any]
) -> None:
    assert order("redrive", OWNER, HOOK) == 1
    assert order("redrive", OWNER, HOOK) == 0
    assert order("replay", OPERATOR, HOOK, "1", "3") == 1  # 2 was given up, 3 is not settled
    waiting = deliveries.outstanding(cursor, HOOK, [], 10)
    assert [(one.planned.number, one.is_repeat) for one in waiting] == [(1, True), (2, True), (3, False)]
    assert _deeds(ask) == [
        ("institute", "redrive", str(HOOK), {"count": 1}),
        ("li", "replay_range", str(HOOK), {"count": 1, "first": 1, "last": 3}),
    ]


@pytest.mark.services
def test_unknown_subscription_is_told(order: Callable[..., Any]) -> None:
    with pytest.raises(DeedRefused) as refused:
        order("pause", OPERATOR, UUID(int=99), "why")
    assert refused.value.word == "missing_why"


def _own(protocol: str, reading: str, unread: int | None = None, last: datetime | None = None) -> queries.SubscriptionRow:
    """A subscription of those that keep their own place."""
    return queries.SubscriptionRow(
        subscription_id=str(READER),
        partner="other",
        protocol=protocol,
        types="*",
        state="enabled",
        reason="created",
        purpose=None,
        legal_basis=None,
        approver=None,
        created_at=NOW,
        changed_at=NOW,
        expires_at=None,
        last_number=0,
        waiting=0,
        behind_s=0.0,
        dead_letters=0,
        withheld=0,
        unread=unread,
        last_read_at=last,
        reading=reading,
    )


def test_place_of_a_reader_is_not_told_as_a_delivery() -> None:
    row = _own("PULL", "read", 7, NOW - timedelta(hours=3))
    endpoint = queries.Endpoint(None, "partner", None, NOW, None, 0, None, None, 0, 0)
    sheet = pages.sheet(SAY, row, endpoint, [queries.Position("", *Place("t", 0), 5, 5, 7, NOW)])
    assert "Circuit" not in sheet
    assert "readers come for their events" in sheet
    assert "3 h ago" in sheet


@pytest.mark.parametrize(
    ("protocol", "reading", "said"),
    [
        ("PULL", "never_read", "never read"),
        ("KAFKA", "nothing_committed", "nothing committed"),
        ("KAFKA", "not_known", "not known"),
    ],
)
def test_why_nobody_knows_when_it_read_last_is_said(protocol: str, reading: str, said: str) -> None:
    page = queries.Page([_own(protocol, reading)], has_more=False)
    assert said in pages.list_section(SAY, page, SubscriptionFilter())


@pytest.mark.services
def test_where_readers_and_groups_stand_is_told_beside_where_they_began(cursor: Cursor[Any]) -> None:
    place, added = Place("research.call.event", 0), Place("research.project.event", 1)
    deliveries.note_ends(cursor, {place: 20, added: 5})
    assert queries.kept_positions(cursor, READER)[0][:6] == ("", *place, 0, 0, 20)
    readings.note_readings(cursor, {READER: Reading({place: 12, added: 1}, NOW)})
    told = [one[:6] for one in queries.kept_positions(cursor, READER)]
    assert told == [("", *place, 0, 12, 8), ("", *added, None, 1, 4)]
    [row] = queries.subscriptions(cursor, SubscriptionFilter(), "other").rows
    assert (row.unread, row.last_read_at, row.reading) == (12, NOW, "read")


@pytest.mark.services
def test_of_a_consumer_that_commits_nothing_no_place_is_made_up(cursor: Cursor[Any]) -> None:
    place = Place("research.call.event", 0)
    agency = Subscription(uuid4(), "agency", "KAFKA", begun("KAFKA", "partner", NOW), NOW, NOW)
    register.add(cursor, agency, {place: 3})
    deliveries.note_ends(cursor, {place: 20})
    assert [one[:6] for one in queries.kept_positions(cursor, agency.id)] == [("", *place, 3, None, None)]
    readings.note_commits(cursor, [agency.id], {(agency.id, "g.app"): {place: 18}, (agency.id, "g.test"): {place: 9}}, NOW)
    told = [one[:6] for one in queries.kept_positions(cursor, agency.id)]
    assert told == [("g.app", *place, 3, 18, 2), ("g.test", *place, 3, 9, 11)]
