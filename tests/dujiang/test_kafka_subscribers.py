"""Subscribers that read Kafka itself, on a broker that asks who somebody is and what he may.

The cast: agency-1 may receive all of calls; agency-2 only one type of theirs.
"""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from dujiang.kafka_access import Access, rights_of
from dujiang.kafka_subscribers import Given, KafkaSubscribers, SubscriberRefused, prefix_of
from dujiang.settings import Kafka
from dujiang.topics import Topics, admin_of
from engine.errors import EnvironmentFault
from engine.subscriptions import register
from gateway.identity import Partner
from gateway.limits import Allowance
from gateway.partners import put
from schemas.registry import Registry
from schemas.subscriptions import Basis, Order, Subscription, begun
from schemas.topics import CALL_EVENT, CALL_STATE
from tests.conftest import Stage, ended
from tests.dujiang.authorised import AuthorisedKafka, authorised_kafka

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
ANNOUNCED = "gov.stiib.research.call.announced.v1"
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "subscribe.md"
SECONDS_MAX = 20.0
REFUSED = {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"}
# Timers flow in the topic of the entity that they move.
WHOLE = ("subscribe:gov.stiib.research.call.*", "subscribe:gov.stiib.platform.timer.*", "clearance:restricted")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorisedKafka]:
    """With one event in each of two topics."""
    with authorised_kafka(tmp_path_factory.mktemp("authorised")) as server:
        with admin_of(server.bootstrap, Kafka()) as admin:
            Topics(admin).create([CALL_EVENT, CALL_STATE], 1)
        publish(server)
        yield server


def publish(kafka: AuthorisedKafka) -> None:
    """As the platform does."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for topic in (CALL_EVENT.name, CALL_STATE.name):
        producer.produce(topic, b"{}", key=b"C-1")
    assert producer.flush(SECONDS_MAX) == 0


class Bureau:
    """A register of its own, and its own prefix on the broker."""

    def __init__(self, cursor: psycopg.Cursor[Any], admin: KafkaAdminClient, registry: Registry) -> None:
        self.cursor = cursor
        self.group_prefix = f"t-{secrets.token_hex(4)}"
        self.prefix = prefix_of(self.group_prefix)
        self.admin = admin
        self.access = Access(admin, self.prefix)
        self.subscribers = KafkaSubscribers(cursor, self.access, registry, prefix=self.prefix, are_owners_asked=True)
        self.grant("agency-1", *WHOLE)
        self.grant("agency-2", f"subscribe:{ANNOUNCED}", "clearance:restricted")

    def grant(self, partner: str, *scopes: str) -> None:
        put(
            self.cursor,
            Partner(partner, scopes, (f"/partners/{partner}",), Allowance(100, 5_000, 1_000_000)),
            partner,
            "test",
            replace=True,
        )

    def subscribe(self, owner: str = "agency-1", **changes: Any) -> UUID:
        made = Subscription(
            uuid4(),
            owner,
            "KAFKA",
            begun("KAFKA", "partner", NOW),
            NOW,
            NOW,
            types=(ANNOUNCED,),
            basis=Basis("statistics", "Statistics Law, article 7", "Office of Plans"),
        )
        made = replace(made, **changes)
        register.add(self.cursor, made, {})
        return made.id

    def provisioned(self) -> tuple[UUID, Given]:
        subscription = self.subscribe()
        return subscription, self.subscribers.provision(subscription, NOW)

    def move(self, subscription: UUID, order: Order) -> None:
        register.move(self.cursor, subscription, order, NOW)

    def reconcile(self, now: datetime = NOW) -> list[str]:
        return [one.change for one in self.subscribers.reconcile(now)]

    def status(self, subscription: UUID) -> tuple[str, str]:
        found = register.find(self.cursor, subscription)
        assert found is not None
        return found.status.state, found.status.reason


@pytest.fixture
def bureau(kafka: AuthorisedKafka, database: str, registry: Registry) -> Iterator[Bureau]:
    """Every call is a transaction of its own; what it leaves on the broker is under its own prefix."""
    with (
        psycopg.connect(database, autocommit=True) as connection,
        connection.cursor() as cursor,
        admin_of(kafka.bootstrap, Kafka()) as admin,
    ):
        yield Bureau(cursor, admin, registry)


@contextmanager
def consumer(kafka: AuthorisedKafka, given: Given, topic: str, group: str) -> Iterator[Callable[[], str]]:
    """Gives what comes next: `read`, or the name of the broker's refusal."""
    errors: list[KafkaError] = []
    made = Consumer(
        _login(kafka, given) | {"group.id": group, "auto.offset.reset": "earliest", "error_cb": errors.append, "log_level": 0}
    )
    made.subscribe([topic])

    def outcome() -> str:
        end = time.monotonic() + SECONDS_MAX
        while time.monotonic() < end:
            message = made.poll(0.2)
            if message is not None:
                refused = message.error()
                return "read" if refused is None else str(refused.name())
            for error in errors:
                if error.code() == KafkaError._AUTHENTICATION:
                    return "_AUTHENTICATION"
        return "nothing"

    with closing(made):
        yield outcome


def tried(kafka: AuthorisedKafka, given: Given, topic: str = CALL_EVENT.name, group: str = "") -> str:
    with consumer(kafka, given, topic, group or f"{given.group_prefix}{secrets.token_hex(4)}") as outcome:
        return outcome()


def _login(kafka: AuthorisedKafka, given: Given) -> dict[str, Any]:
    return {
        "bootstrap.servers": kafka.partners,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": given.user,
        "sasl.password": given.password,
    }


class TestProvisioned:
    def test_it_reads_its_topic_in_its_groups_and_nothing_else(self, kafka: AuthorisedKafka, bureau: Bureau) -> None:
        subscription, given = bureau.provisioned()
        assert bureau.status(subscription) == ("enabled", "validated")
        assert (given.topics, given.user) == ((CALL_EVENT.name,), f"{bureau.prefix}agency-1.{subscription}")
        assert tried(kafka, given) == "read"
        assert tried(kafka, given, topic=CALL_STATE.name) == "TOPIC_AUTHORIZATION_FAILED"
        assert tried(kafka, given, group="other") == "GROUP_AUTHORIZATION_FAILED"
        assert tried(kafka, given, group=f"{bureau.group_prefix}.calls") == "GROUP_AUTHORIZATION_FAILED"

    def test_it_cannot_publish(self, kafka: AuthorisedKafka, bureau: Bureau) -> None:
        _, given = bureau.provisioned()
        outcomes: list[str] = []
        producer = Producer(_login(kafka, given) | {"log_level": 0})
        producer.produce(
            CALL_EVENT.name, b"{}", on_delivery=lambda error, _: outcomes.append(error.name() if error else "done")
        )
        producer.flush(SECONDS_MAX)
        assert outcomes == ["TOPIC_AUTHORIZATION_FAILED"]

    def test_types_that_come_with_the_topic_are_told(self, bureau: Bureau) -> None:
        _, given = bureau.provisioned()
        assert "gov.stiib.research.call.closed.v1" in given.not_selected
        assert ANNOUNCED not in given.not_selected

    def test_a_topic_that_it_may_not_see_whole_is_refused(self, bureau: Bureau) -> None:
        subscription = bureau.subscribe("agency-2")
        with pytest.raises(SubscriberRefused, match=r"gov\.stiib\.research\.call\.closed\.v1"):
            bureau.subscribers.provision(subscription, NOW)
        assert bureau.status(subscription) == ("pending_validation", "created")
        assert (bureau.access.users(), bureau.access.rights()) == (set(), set())

    def test_once_is_enough(self, bureau: Bureau) -> None:
        subscription, _ = bureau.provisioned()
        with pytest.raises(SubscriberRefused, match="has its user already"):
            bureau.subscribers.provision(subscription, NOW)

    def test_only_kafka_has_users(self, bureau: Bureau) -> None:
        subscription = bureau.subscribe(protocol="PULL")
        with pytest.raises(SubscriberRefused, match="protocol PULL"):
            bureau.subscribers.provision(subscription, NOW)

    def test_a_broker_that_asks_nobody_is_refused(self, stage: Stage, bureau: Bureau, registry: Registry) -> None:
        subscription = bureau.subscribe()
        with admin_of(stage.bootstrap, Kafka()) as admin:
            open_to_all = Access(admin, bureau.prefix)
            subscribers = KafkaSubscribers(bureau.cursor, open_to_all, registry, prefix=bureau.prefix, are_owners_asked=True)
            with pytest.raises(EnvironmentFault, match="no authorizer"):
                subscribers.provision(subscription, NOW)
            assert open_to_all.users() == set()


class TestRotated:
    def test_the_former_password_is_refused(self, kafka: AuthorisedKafka, bureau: Bureau) -> None:
        subscription, former = bureau.provisioned()
        given = bureau.subscribers.rotate(subscription, NOW)
        assert tried(kafka, former) == "_AUTHENTICATION"
        assert tried(kafka, given) == "read"

    def test_whoever_is_not_let_in_has_no_password(self, bureau: Bureau) -> None:
        subscription = bureau.subscribe()
        with pytest.raises(SubscriberRefused, match="has no user"):
            bureau.subscribers.rotate(subscription, NOW)


class TestReconciled:
    def test_what_is_as_it_should_be_stays(self, bureau: Bureau) -> None:
        bureau.provisioned()
        before = (bureau.access.users(), bureau.access.rights())
        assert (bureau.reconcile(), bureau.reconcile()) == ([], [])
        assert (bureau.access.users(), bureau.access.rights()) == before

    def test_a_pause_stops_one_who_is_reading_and_resume_needs_no_new_password(
        self, kafka: AuthorisedKafka, bureau: Bureau
    ) -> None:
        subscription, given = bureau.provisioned()
        with consumer(kafka, given, CALL_EVENT.name, f"{given.group_prefix}a") as outcome:
            assert outcome() == "read"
            bureau.move(subscription, Order("pause", "paused", "partner"))
            assert bureau.reconcile() == ["right_taken"] * 3
            assert outcome() in REFUSED
        assert tried(kafka, given) in REFUSED
        bureau.move(subscription, Order("resume", "resumed", "partner"))
        assert bureau.reconcile() == ["right_given"] * 3
        assert tried(kafka, given) == "read"

    @pytest.mark.parametrize("end", ["disable", "expire", "delete"])
    def test_what_has_ended_leaves_nothing_behind(self, kafka: AuthorisedKafka, bureau: Bureau, end: str) -> None:
        subscription, given = bureau.provisioned()
        now = NOW
        if end == "disable":
            bureau.move(subscription, Order("disable", "disabled", "operator"))
        elif end == "expire":
            bureau.cursor.execute("UPDATE subscription SET expires_at = %s", (NOW + timedelta(days=1),))
            now = NOW + timedelta(days=1)
        else:
            register.remove(bureau.cursor, subscription, "agency-1")
        assert bureau.reconcile(now) == ["right_taken"] * 3 + ["user_removed"]
        assert (bureau.access.users(), bureau.access.rights()) == (set(), set())
        assert tried(kafka, given) == "_AUTHENTICATION"
        assert bureau.reconcile(now) == []

    def test_whoever_was_disabled_is_let_in_anew(self, bureau: Bureau) -> None:
        subscription, _ = bureau.provisioned()
        bureau.move(subscription, Order("disable", "disabled", "operator"))
        bureau.move(subscription, Order("resume", "resumed", "operator"))
        assert bureau.status(subscription)[0] == "pending_validation"
        assert bureau.reconcile() == ["right_taken"] * 3 + ["user_removed"]
        bureau.subscribers.provision(subscription, NOW)
        assert bureau.reconcile() == []

    def test_a_right_that_is_withdrawn_ends_it(self, kafka: AuthorisedKafka, bureau: Bureau) -> None:
        subscription, given = bureau.provisioned()
        bureau.grant("agency-1", f"subscribe:{ANNOUNCED}", "clearance:restricted")
        assert sorted(bureau.reconcile()) == ["right_lost", *["right_taken"] * 3, "user_removed"]
        assert bureau.status(subscription) == ("pending_validation", "right_lost")
        assert tried(kafka, given) == "_AUTHENTICATION"
        assert bureau.reconcile() == []

    def test_what_a_crash_left_half_done_is_taken_away(self, bureau: Bureau) -> None:
        subscription = bureau.subscribe()
        with bureau.cursor.connection.transaction(force_rollback=True):
            given = bureau.subscribers.provision(subscription, NOW)
        assert (bureau.access.users(), bureau.status(subscription)[0]) == ({given.user}, "pending_validation")
        assert bureau.reconcile() == ["right_taken"] * 3 + ["user_removed"]

    def test_filters_that_are_added_end_it(self, bureau: Bureau) -> None:
        subscription, _ = bureau.provisioned()
        bureau.cursor.execute("UPDATE subscription SET source = '/partners/test'")
        assert "validation_failed" in bureau.reconcile()
        assert bureau.status(subscription) == ("pending_validation", "validation_failed")

    def test_other_types_are_followed(self, bureau: Bureau) -> None:
        _, given = bureau.provisioned()
        bureau.cursor.execute("UPDATE subscription SET types = '{gov.stiib.research.call.phasechanged.v1}'")
        assert bureau.reconcile() == ["right_given"] * 2 + ["right_taken"] * 2
        assert bureau.access.rights() == rights_of(given.user, [CALL_STATE.name])

    def test_a_right_given_by_hand_is_taken_and_a_lost_user_is_reported(self, bureau: Bureau) -> None:
        subscription, given = bureau.provisioned()
        topic = ResourcePattern(ResourceType.TOPIC, CALL_STATE.name)
        by_hand = ACL(f"User:{given.user}", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, topic)
        bureau.access.allow([by_hand])
        bureau.access.remove_users([given.user])
        assert bureau.reconcile() == ["password_missing", "right_taken"]
        bureau.subscribers.rotate(subscription, NOW)
        assert bureau.reconcile() == []

    def test_what_is_not_ours_is_not_touched(self, bureau: Bureau) -> None:
        """Not even where a name begins almost as ours do."""
        stranger = bureau.prefix.replace(".subscriber.", ".subscribers.") + "x"
        others = Access(bureau.admin, stranger)
        others.put_user(stranger, "secret")
        others.allow(rights_of(stranger, [CALL_EVENT.name]))
        assert bureau.reconcile() == []
        assert (others.users(), others.rights()) == ({stranger}, rights_of(stranger, [CALL_EVENT.name]))


@pytest.mark.slow
def test_an_operator_does_it_all_by_command(
    dujiang: Callable[..., Any], kafka: AuthorisedKafka, bureau: Bureau, database: str
) -> None:
    def run(*arguments: str) -> Any:
        return dujiang(
            "subscriptions",
            *arguments,
            kafka__bootstrap=kafka.bootstrap,
            database__dsn=database,
            kafka__group_prefix=bureau.group_prefix,
        )

    def given_by(said: Any) -> Given:
        (row,) = said.rows
        return Given(row["username"], row["password"], row["group_prefix"], tuple(row["topics"]), ())

    refused = run("provision", str(bureau.subscribe("agency-2")))
    assert (refused.status, "无法扣留" in refused.err, "call.closed.v1" in refused.err) == (1, True, True)
    subscription = str(bureau.subscribe())
    first = run("provision", subscription)
    password = first.out.strip()
    assert (first.status, len(password) > 40, password in first.err) == (0, True, False)
    user = f"{bureau.prefix}agency-1.{subscription}"
    assert f"the password of {user} (SCRAM-SHA-512); it is shown only now" in first.err
    assert tried(kafka, Given(user, password, f"{user}.", (), ())) == "read"
    assert tried(kafka, given_by(run("rotate", subscription, "--json"))) == "read"
    paused = run("pause", subscription, "--note", "核查中")
    assert "the broker follows" in paused.err
    assert [row["change"] for row in run("reconcile", "--json").rows] == ["right_taken"] * 3
    assert run("reconcile").err.strip() == "the broker is as the register has it"


def test_a_process_takes_rights_away_soon_after_they_end(kafka: AuthorisedKafka, bureau: Bureau, database: str) -> None:
    subscription, given = bureau.provisioned()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")} | {
        "DUJIANG_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "DUJIANG_KAFKA__GROUP_PREFIX": bureau.group_prefix,
        "DUJIANG_DATABASE__DSN": database,
        "DUJIANG_GATEWAY__AUTH": "token",
        "DUJIANG_RECONCILE__HTTP_PORT": "0",
    }
    command = [sys.executable, "-m", "dujiang", "subscriptions", "reconcile", "--every", "1s"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process, ended(process):
        bureau.move(subscription, Order("pause", "paused", "partner"))
        Stage.until(lambda: not bureau.access.rights())
        bureau.move(subscription, Order("resume", "resumed", "partner"))
        Stage.until(lambda: bureau.access.rights() == rights_of(given.user, [CALL_EVENT.name]))
        process.terminate()
        assert process.wait(20) == 0


def test_the_example_of_the_page_reads(kafka: AuthorisedKafka, bureau: Bureau) -> None:
    """But for encryption, which this broker has not."""
    _, given = bureau.provisioned()
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    environment = {"KAFKA_USER": given.user, "KAFKA_PASSWORD": given.password, "KAFKA_BOOTSTRAP": kafka.partners}
    ran = subprocess.run(
        [sys.executable, "-c", block.replace("SASL_SSL", "SASL_PLAINTEXT").replace("10_000", "4_000")],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "b'C-1' b'{}'\n"), ran.stderr
