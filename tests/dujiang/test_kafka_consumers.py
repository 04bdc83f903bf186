"""How far Kafka's own consumers have come: what their groups committed against the log's ends, and what nobody can know."""

import secrets
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from dujiang import kafka_consumers
from dujiang.embedded.ports import free_port
from dujiang.kafka_access import groups_of
from dujiang.kafka_consumers import GROUPS_OF_SUBSCRIPTION_MAX, KafkaConsumers, owned
from dujiang.kafka_subscribers import prefix_of, user_for
from dujiang.settings import Kafka, Settings
from dujiang.wiring import Services
from engine.clock import FakeClock
from engine.database import Database
from engine.errors import TransientFault
from engine.subscriptions import deliveries, register
from gateway.identity import Partner
from gateway.limits import Allowance
from gateway.partners import put
from schemas.subscriptions import Basis, Order, Place, Subscription, begun
from tests.conftest import Stage

ANNOUNCED = "gov.stiib.research.call.announced.v1"
FIRST, SECOND = Place("research.call.event", 0), Place("research.call.event", 1)
ELSEWHERE = Place("research.project.event", 0)
WHOLE = ("subscribe:gov.stiib.research.call.*", "subscribe:gov.stiib.platform.timer.*", "clearance:restricted")
X, Y = UUID(int=1), UUID(int=2)


class TestOwned:
    """Which groups are whose."""

    PREFIX = "t.subscriber."
    USERS: Mapping[str, UUID] = {f"t.subscriber.agency.{X}": X, f"t.subscriber.other.{Y}": Y}

    def of(self, *groups: str) -> dict[str, UUID]:
        return owned(groups, self.USERS, self.PREFIX)

    def test_a_group_belongs_to_the_user_whose_name_begins_its_own(self) -> None:
        mine, others = f"t.subscriber.agency.{X}.board.v2", f"t.subscriber.other.{Y}.a"
        assert self.of(mine, others) == {mine: X, others: Y}

    @pytest.mark.parametrize(
        "group",
        [
            f"t.subscriber.agency.{X}",
            f"t.subscriber.agency.{X}board",
            f"t.subscriber.other.{X}.a",
            f"agency.{X}.a",
            f"u.subscriber.agency.{X}.a",
            "t.calls",
            "",
        ],
    )
    def test_any_other_group_is_nobodys(self, group: str) -> None:
        assert self.of(group) == {}

    def test_somebody_with_many_groups_takes_no_place_from_others(self) -> None:
        groups = [f"t.subscriber.agency.{X}.{number:03}" for number in range(50)]
        found = self.of(*reversed(groups), f"t.subscriber.other.{Y}.z")
        assert [group for group, owner in found.items() if owner == X] == groups[:GROUPS_OF_SUBSCRIPTION_MAX]
        assert list(found.values()).count(Y) == 1


class Agencies:
    """Subscriptions of KAFKA, their groups' commits, and looks at both."""

    def __init__(self, stage: Stage, clock: FakeClock) -> None:
        self.stage = stage
        self.clock = clock
        self.settings = Settings(kafka=Kafka(group_prefix=f"t-{secrets.token_hex(4)}"), gateway={"auth": "token"})
        self.services = Services(stage.bootstrap, stage.dsn)
        self.database = Database(stage.dsn, "tests")

    def subscribe(self, owner: str, *scopes: str) -> Subscription:
        now = self.clock.now()
        made = Subscription(
            uuid4(),
            owner,
            "KAFKA",
            begun("KAFKA", "partner", now),
            now,
            now,
            types=(ANNOUNCED,),
            basis=Basis("statistics", "Statistics Law, article 7", "Office of Plans"),
        )
        with psycopg.connect(self.stage.dsn) as connection, connection.cursor() as cursor:
            one = Partner(owner, scopes or WHOLE, (f"/partners/{owner}",), Allowance(100, 5_000, 1_000_000))
            put(cursor, one, owner, "test", replace=True)
            register.add(cursor, made, {FIRST: 2, SECOND: 2})
            register.move(cursor, made.id, Order("validate", "validated", "operator"), now)
        return made

    def note_ends(self, ends: Mapping[Place, int]) -> None:
        with psycopg.connect(self.stage.dsn) as connection, connection.cursor() as cursor:
            deliveries.note_ends(cursor, ends)

    def commit(self, subscription: Subscription, name: str, offsets: Mapping[Place, int]) -> None:
        self.stage.commit(groups_of(user_for(subscription, prefix_of(self.settings.kafka.group_prefix))) + name, offsets)

    def consumers(self, **changes: Any) -> KafkaConsumers:
        return KafkaConsumers(self.settings, self.services, self.clock, **changes)

    def look(self) -> None:
        self.consumers().look(self.database)

    def told(self, subscription: Subscription) -> tuple[Any, ...]:
        query = "SELECT unread, last_read_at IS NOT NULL, reading FROM v_subscription WHERE subscription_id = %s"
        return self.stage.rows(query, str(subscription.id))[0]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))  # what is too old to be known is so by the database's clock


@pytest.fixture
def agencies(stage: Stage, clock: FakeClock) -> Iterator[Agencies]:
    made = Agencies(stage, clock)
    made.note_ends({FIRST: 10, SECOND: 10, ELSEWHERE: 100})
    yield made
    made.database.close()


@pytest.mark.services
class TestLooks:
    def test_what_is_behind_the_commits_is_unread_and_each_agency_has_its_own(self, agencies: Agencies) -> None:
        one, other = agencies.subscribe("agency-1"), agencies.subscribe("agency-2")
        agencies.commit(one, "board", {FIRST: 7, SECOND: 10})
        agencies.commit(other, "board", {FIRST: 1, SECOND: 1})
        agencies.look()
        assert agencies.told(one) == (3, True, "committed")
        assert agencies.told(other) == (18, True, "committed")

    def test_of_several_groups_the_one_furthest_behind_counts(self, agencies: Agencies) -> None:
        agency = agencies.subscribe("agency-1")
        agencies.commit(agency, "board", {FIRST: 10, SECOND: 10})
        agencies.commit(agency, "archive", {FIRST: 4, SECOND: 10})
        agencies.look()
        assert agencies.told(agency) == (6, True, "committed")

    def test_who_commits_nothing_has_no_lag_made_up(self, agencies: Agencies) -> None:
        agency = agencies.subscribe("agency-1")
        assert agencies.told(agency) == (None, False, "not_known")
        agencies.look()
        assert agencies.told(agency) == (None, False, "nothing_committed")

    def test_only_partitions_that_were_committed_count(self, agencies: Agencies) -> None:
        agency = agencies.subscribe("agency-1")
        agencies.commit(agency, "board", {SECOND: 8})
        agencies.look()
        assert agencies.told(agency) == (2, True, "committed")

    def test_commits_of_topics_that_it_may_not_read_do_not_count(self, agencies: Agencies) -> None:
        agency = agencies.subscribe("agency-1")
        agencies.commit(agency, "board", {FIRST: 9, ELSEWHERE: 1})
        agencies.look()
        assert agencies.told(agency) == (1, True, "committed")

    def test_commits_that_are_gone_are_forgotten_and_what_stands_is_not_written_again(
        self, agencies: Agencies, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agency = agencies.subscribe("agency-1")
        agencies.commit(agency, "board", {FIRST: 9})
        agencies.look()
        before = stage.rows("SELECT ctid::text, moved_at FROM subscription_reading")
        agencies.look()
        assert stage.rows("SELECT ctid::text, moved_at FROM subscription_reading") == before
        monkeypatch.setattr(kafka_consumers, "committed", lambda *_: {})  # what retention of offsets would come to in days
        agencies.look()
        assert agencies.told(agency) == (None, False, "nothing_committed")

    def test_what_nobody_looked_at_lately_is_not_known(self, agencies: Agencies, clock: FakeClock) -> None:
        """Old commits beside new ends would be a lag that nobody has."""
        agency = agencies.subscribe("agency-1")
        agencies.commit(agency, "board", {FIRST: 9})
        clock.advance(-timedelta(minutes=6).total_seconds())
        agencies.look()
        assert agencies.told(agency) == (None, True, "not_known")

    def test_without_such_subscriptions_kafka_is_not_asked(self, agencies: Agencies) -> None:
        agencies.services = Services(f"127.0.0.1:{free_port()}", agencies.stage.dsn)
        agencies.look()
        agencies.subscribe("agency-1")
        with pytest.raises(TransientFault):
            agencies.look()


@pytest.mark.services
def test_a_kafka_that_is_away_ends_nothing_and_only_the_one_that_works_looks(
    agencies: Agencies, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumers, "RETRY_S", 0.05)
    agency = agencies.subscribe("agency-1")
    agencies.commit(agency, "board", {FIRST: 9, SECOND: 9})
    stop, is_due = threading.Event(), threading.Event()
    consumers, looks = agencies.consumers(is_due=is_due.is_set), []
    look = consumers.look

    def once_away(database: Database) -> None:
        looks.append(database)
        if len(looks) == 1:
            raise TransientFault("Kafka: no broker")
        look(database)

    monkeypatch.setattr(consumers, "look", once_away)
    thread = threading.Thread(target=consumers.run, args=(stop,))
    thread.start()
    try:
        assert not stop.wait(0.3)
        assert looks == []
        is_due.set()
        stage.until(lambda: agencies.told(agency) == (2, True, "committed"))
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert len(looks) == 2
