"""How far Kafka's own consumers have come: what the groups of KAFKA subscriptions committed, written down for people.

The deliverer that works asks, since it writes down the log's ends, too. Groups are found by the names that their users may give
them (kafka_access.groups_of). A consumer that commits nothing leaves nothing here, so nothing is said of how far it is.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any, Final
from uuid import UUID

import structlog
from kafka import KafkaAdminClient

from dujiang.kafka_access import groups_of
from dujiang.kafka_subscribers import prefix_of, user_for
from dujiang.settings import Settings
from dujiang.topics import admin_of
from dujiang.wiring import Services, registry_of
from engine.clock import Clock
from engine.database import Database, StoreRefused
from engine.errors import Fault
from engine.subscriptions import readings, register
from schemas.registry import Registry
from schemas.subscriptions import Place, Protocol, Subscription
from schemas.subscriptions.whole_topics import whole_topics

KAFKA: Final[tuple[Protocol]] = ("KAFKA",)
LOOK_EVERY_S: Final = 30.0  # far less than what was found is good for (v_subscription)
RETRY_S: Final = 2.0
GROUPS_OF_SUBSCRIPTION_MAX: Final = 10
GROUPS_AT_ONCE_MAX: Final = 100  # a request to their coordinators

log = structlog.get_logger("consumers")


class KafkaConsumers:
    """Looks every LOOK_EVERY_S. `is_due`: whether it is this process that has to."""

    def __init__(self, settings: Settings, services: Services, clock: Clock, is_due: Callable[[], bool] = lambda: True) -> None:
        self._settings = settings
        self._services = services
        self._clock = clock
        self._is_due = is_due
        self._registry = registry_of(settings)
        self._prefix = prefix_of(settings.kafka.group_prefix)
        self._told = ""

    def run(self, stop: threading.Event) -> None:
        """Until `stop`, whatever is away meanwhile. Only bugs come out of here, and are told."""
        try:
            with closing(Database(self._services.dsn, "dujiang deliverer's consumers")) as database:
                while not stop.is_set():
                    stop.wait(LOOK_EVERY_S if self._has_looked(database) else RETRY_S)
        except Exception:
            log.exception("nobody looks any more how far Kafka's own consumers are")
            raise

    def _has_looked(self, database: Database) -> bool:
        if not self._is_due():
            return False
        try:
            self.look(database)
        except (Fault, StoreRefused) as fault:
            if str(fault) != self._told:  # once, not at every look
                log.warning("how far Kafka's own consumers are is not known", fault=str(fault), remedy=fault.remedy)
            self._told = str(fault)
            return False
        self._told = ""
        return True

    def look(self, database: Database) -> None:
        """Once. Raises a fault or StoreRefused. Without a subscription Kafka is not asked, and no transaction waits for it."""
        now = self._clock.now()
        with database.transaction() as cursor:
            enabled = [one for one in register.in_force(cursor, KAFKA, now) if one.status.state == "enabled"]
            scopes = register.scopes_of(cursor, {one.owner for one in enabled})
        if not enabled:
            return
        are_asked = self._settings.gateway.auth == "token"
        topics = {one.id: _topics(one, self._registry, scopes, are_owners_asked=are_asked) for one in enabled}
        users = {user_for(one, self._prefix): one.id for one in enabled}
        with admin_of(self._services.bootstrap, self._settings.kafka) as admin:
            groups = owned((found["group_id"] for found in admin.list_groups()), users, self._prefix)
            commits = {
                (groups[group], group): {
                    place: offset for place, offset in places.items() if place.topic in topics[groups[group]]
                }
                for group, places in committed(admin, list(groups)).items()
            }
        with database.transaction() as cursor:
            readings.note_commits(cursor, topics, commits, now)


def owned(groups: Iterable[str], users: Mapping[str, UUID], prefix: str) -> dict[str, UUID]:
    """Whose each group is, of those that a user may join (kafka_access.groups_of); of each user's the first few by name."""
    found: dict[str, UUID] = {}
    counts: Counter[UUID] = Counter()
    for group in sorted(groups):
        user = prefix + ".".join(group.removeprefix(prefix).split(".")[:2])  # neither a partner's id nor ours has a dot
        if user not in users or not group.startswith(groups_of(user)):
            continue
        subscription = users[user]
        counts[subscription] += 1
        if counts[subscription] <= GROUPS_OF_SUBSCRIPTION_MAX:
            found[group] = subscription
    for subscription, count in counts.items():
        if count > GROUPS_OF_SUBSCRIPTION_MAX:
            log.info("too many groups to follow them all", subscription=str(subscription), groups=count)
    return found


def committed(admin: KafkaAdminClient, groups: list[str]) -> dict[str, dict[Place, int]]:
    """What each group has committed, by partition. Raises KafkaError."""
    found: dict[str, dict[Place, int]] = {}
    for first in range(0, len(groups), GROUPS_AT_ONCE_MAX):
        answer: Mapping[str, Mapping[Any, Any]] = admin.list_group_offsets(groups[first : first + GROUPS_AT_ONCE_MAX])
        for group, offsets in answer.items():
            places = {Place(at.topic, at.partition): commit.offset for at, commit in offsets.items()}
            found[group] = {place: offset for place, offset in places.items() if offset >= 0}  # below: none
    return found


def _topics(
    subscription: Subscription, registry: Registry, scopes: Mapping[str, tuple[str, ...]], *, are_owners_asked: bool
) -> frozenset[str]:
    """What it may read whole. Commits of what it read once, and may no longer, say nothing of how far it is."""
    return frozenset(
        whole_topics(subscription, registry, subscription.reader(scopes, are_owners_asked=are_owners_asked)).topics
    )
