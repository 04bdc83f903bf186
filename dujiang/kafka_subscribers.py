"""The way out "Kafka itself": a user and its rights for every subscription of protocol KAFKA, as the register has it.

The register decides and the broker follows: `reconcile` makes it equal, however often it runs. One at a time, each in
the caller's transaction; what a crash leaves half done the next `reconcile` settles.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Cursor

from dujiang.kafka_access import Access, groups_of, rights_of, said, user_of
from engine.locks import Number
from engine.subscriptions import register
from schemas.registry import Registry
from schemas.subscriptions import Order, Subscription, state_at
from schemas.subscriptions.model import Reason
from schemas.subscriptions.whole_topics import Verdict, types_on, whole_topics

PASSWORD_BYTES: Final = 32
PAGE: Final = 500


class SubscriberRefused(Exception):
    """What was asked for cannot be; the message says why and what to do, in both languages."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a subscriber logs in with. The password is in no other place."""

    user: str
    password: str = field(repr=False)
    group_prefix: str
    topics: tuple[str, ...]
    not_selected: tuple[str, ...]  # types that come with the topics


class Change(NamedTuple):
    """One thing that was done or, as `password_missing`, that a person has to do."""

    user: str
    change: str
    what: str


def prefix_of(group_prefix: str) -> str:
    """What the names of all our subscribers' users begin with. Each installation on a cluster has a group prefix of its own."""
    return f"{group_prefix}.subscriber."


def user_for(subscription: Subscription, prefix: str) -> str:
    """The name of its user on the broker."""
    return f"{prefix}{subscription.owner}.{subscription.id}"


class KafkaSubscribers:
    """`cursor`: of a transaction that ends after the call. `access`: of the same prefix."""

    def __init__(self, cursor: Cursor[Any], access: Access, registry: Registry, *, prefix: str, are_owners_asked: bool) -> None:
        self._cursor = cursor
        self._access = access
        self._registry = registry
        self._prefix = prefix
        self._are_owners_asked = are_owners_asked

    def provision(self, subscription_id: UUID, now: datetime) -> Given:
        """Make the user, give it its rights, and mark the subscription validated. Raises SubscriberRefused."""
        self._lock()
        found = self._found(subscription_id)
        state = state_at(found.status, found.expires_at, now)
        if state != "pending_validation":
            raise SubscriberRefused(_not_pending(found, state))
        verdict = self._verdict(found)
        if verdict.obstacles:
            raise SubscriberRefused("\n".join(f"{found.id}: {obstacle}" for obstacle in verdict.obstacles))
        given = self._given(found, verdict)
        present = {right for right in self._access.rights() if user_of(right) == given.user}
        wanted = rights_of(given.user, verdict.topics)
        self._access.take(present - wanted)
        self._access.allow(wanted - present)
        self._access.put_user(given.user, given.password)
        register.move(self._cursor, found.id, Order("validate", "validated", "operator"), now)
        return given

    def rotate(self, subscription_id: UUID, now: datetime) -> Given:
        """Another password; the former lets nobody in any more. Raises SubscriberRefused."""
        self._lock()
        found = self._found(subscription_id)
        if not self._has_user(found, now):
            raise SubscriberRefused(
                f"{found.id} is {state_at(found.status, found.expires_at, now)} and has no user in Kafka;"
                f" once it is pending_validation: `dujiang subscriptions provision {found.id}`"
                f" / 订阅在 Kafka 中没有用户；状态为 pending_validation 时请执行 provision"
            )
        given = self._given(found, self._verdict(found))
        self._access.put_user(given.user, given.password)
        return given

    def reconcile(self, now: datetime) -> list[Change]:
        """Make the broker equal to the register; returns what had to be done. What lost its rights is no longer validated."""
        self._lock()
        register.expire_due(self._cursor, now)
        present, known = self._access.rights(), self._access.users()
        changes: list[Change] = []
        wanted, users = set(), set()
        for one in self._subscriptions():
            if not self._has_user(one, now):
                continue
            user = self._user(one)
            verdict = self._verdict(one)
            if one.status.state == "enabled" and verdict.obstacles:
                is_right_lost = any(obstacle.is_right_lost for obstacle in verdict.obstacles)
                reason: Reason = "right_lost" if is_right_lost else "validation_failed"
                register.move(self._cursor, one.id, Order("revalidate", reason, "platform"), now)
                changes += [Change(user, reason, str(obstacle)) for obstacle in verdict.obstacles]
                continue
            users.add(user)
            if one.status.state == "enabled":
                wanted |= rights_of(user, verdict.topics)
        # Away before anew, so that no moment has more than before and after.
        self._access.take(present - wanted)
        self._access.remove_users(known - users)
        self._access.allow(wanted - present)
        changes += [Change(user_of(right), "right_taken", said(right)) for right in present - wanted]
        changes += [Change(user, "user_removed", "") for user in known - users]
        changes += [Change(user_of(right), "right_given", said(right)) for right in wanted - present]
        changes += [Change(user, "password_missing", "`dujiang subscriptions rotate` gives one") for user in users - known]
        return sorted(changes)

    def _lock(self) -> None:
        """A reconciliation must not see a user whose subscription is about to be validated."""
        self._cursor.execute("SELECT pg_advisory_xact_lock(%s)", (Number.KAFKA_SUBSCRIBERS,))

    def _found(self, subscription_id: UUID) -> Subscription:
        found = register.find(self._cursor, subscription_id, for_update=True)
        if found is None:
            raise SubscriberRefused(f"no subscription {subscription_id}; `dujiang subscriptions list` shows all / 没有该订阅")
        if found.protocol != "KAFKA":
            raise SubscriberRefused(
                f"{subscription_id} has the protocol {found.protocol}; only KAFKA has a user on the broker"
                f" / 该订阅的协议为 {found.protocol}，只有 KAFKA 订阅才有 broker 用户"
            )
        return found

    def _subscriptions(self) -> Iterator[Subscription]:
        after = None
        while page := register.listed(self._cursor, None, after, PAGE):
            yield from (one for one in page if one.protocol == "KAFKA")
            after = page[-1].id

    def _has_user(self, subscription: Subscription, now: datetime) -> bool:
        """Whoever is paused keeps his user, without rights, and needs no new password to go on."""
        status = subscription.status
        is_alive = state_at(status, subscription.expires_at, now) in {"enabled", "paused"}
        return is_alive and status.validated_at is not None

    def _verdict(self, subscription: Subscription) -> Verdict:
        scopes = register.scopes_of(self._cursor, [subscription.owner])
        return whole_topics(subscription, self._registry, subscription.reader(scopes, are_owners_asked=self._are_owners_asked))

    def _given(self, subscription: Subscription, verdict: Verdict) -> Given:
        user = self._user(subscription)
        carried = {wire for topic in verdict.topics for wire in types_on(topic, self._registry)}
        return Given(
            user,
            secrets.token_urlsafe(PASSWORD_BYTES),
            groups_of(user),
            verdict.topics,
            tuple(sorted(carried - set(subscription.types))) if subscription.types else (),
        )

    def _user(self, subscription: Subscription) -> str:
        return user_for(subscription, self._prefix)


def _not_pending(found: Subscription, state: str) -> str:
    if state == "enabled":
        return (
            f"{found.id} has its user already; another password: `dujiang subscriptions rotate {found.id}`"
            f" / 该订阅已有用户；如需新口令，请执行 rotate"
        )
    return (
        f"{found.id} is {state}, and only one that is pending_validation can be provisioned;"
        f" `dujiang subscriptions show {found.id}` says why / 订阅状态为 {state}，只有 pending_validation 的订阅才能开通"
    )
