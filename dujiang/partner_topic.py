"""The connector of a partner's own Kafka topic, with the gateway's checks and the partner's rights."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from threading import Event
from typing import Final

import psycopg
from prometheus_client import CollectorRegistry

from connectors.kafka_topic.mapping import Judge
from connectors.kafka_topic.run import Done, Health, Parts, run
from connectors.kafka_topic.settings import KafkaTopicSettings
from dujiang import pages
from dujiang.settings import Settings
from dujiang.wiring import Services, registry_of
from engine import failpoints
from engine.clock import Clock, SystemClock
from engine.database import Database
from engine.errors import EnvironmentFault
from engine.filedrop import Refused
from engine.kafka import BatchPublisher, Message
from gateway import admission, hearing, identity
from gateway.attributes import DOCUMENTED
from gateway.directory import registered
from gateway.identity import Identity
from gateway.problems import Problem
from gateway.snapshot import FRESH_S
from monitoring.metrics import ConnectorMetrics
from schemas.cloudevents import CloudEvent
from schemas.contract import instant_text
from schemas.registry import Registry

_NO_END: Final = datetime.max.replace(tzinfo=UTC)


def run_partner_topic(
    settings: Settings,
    services: Services,
    stop: Event,
    *,
    until_end: bool = False,
    skip_lost: bool = False,
    on_listening: Callable[[str], None] = lambda _: None,
) -> Done:
    """Until `stop`, or the topic's end. Raises the engine's faults that waiting does not mend.

    While it goes on it has pages for health and metrics, and `on_listening` is told where; up to the end nobody would ask.
    """
    if "DUJIANG_FAILPOINT" in os.environ:
        failpoints.arm_from(os.environ["DUJIANG_FAILPOINT"])
    chosen = settings.connectors.kafka_topic
    prometheus = CollectorRegistry()
    registry, publisher = registry_of(settings), BatchPublisher(settings.kafka_options(services.bootstrap))
    clock = SystemClock()
    extensions = DOCUMENTED.union(settings.gateway.extensions)
    partner = _Registered(Database(services.dsn, "dujiang connector rights"), chosen.partner, registry, clock, extensions)
    parts = Parts(
        settings=chosen,
        registry=registry,
        publisher=publisher,
        connect=lambda: psycopg.connect(services.dsn, application_name="dujiang connector", options="-c timezone=UTC"),
        rights=partner.judge,
        heard=partner.heard,
        clock=clock,
        metrics=ConnectorMetrics(prometheus),
    )
    try:
        if until_end:
            return run(parts, stop, until_end=True, skip_lost=skip_lost)
        with _pages(chosen, parts.health, prometheus) as url:
            on_listening(url)
            return run(parts, stop, skip_lost=skip_lost)
    finally:
        publisher.close()
        partner.close()


def _pages(chosen: KafkaTopicSettings, health: Health, prometheus: CollectorRegistry) -> AbstractContextManager[str]:
    answers = {
        "/health/live": pages.live,
        "/health/ready": lambda: pages.ready(health.told()),
        "/metrics": lambda: pages.metrics(prometheus),
    }
    setting = "connectors.kafka_topic.http_port"
    return pages.served("connector", setting, chosen.http_host, chosen.http_port, answers)


class _Registered:
    """The partner as the register has it: its rights of now, at most FRESH_S old, and that it was heard of."""

    def __init__(
        self, database: Database, partner_id: str, registry: Registry, clock: Clock, extensions: frozenset[str]
    ) -> None:
        self._database, self._partner_id, self._registry, self._clock = database, partner_id, registry, clock
        self._extensions = extensions
        self._known: tuple[float, Identity] | None = None

    def judge(self) -> Judge:
        """Raises EnvironmentFault for a partner that is not registered, and the database's faults."""
        now_s = self._clock.monotonic_s()
        if self._known is None or now_s - self._known[0] >= FRESH_S:
            with self._database.transaction() as cursor:
                partner = registered(cursor).get(self._partner_id)
            if partner is None:
                raise EnvironmentFault(
                    f"no partner {self._partner_id!r} is registered, so nothing of its topic may be taken",
                    "set connectors.kafka_topic.partner to an id of `dujiang partners list`",
                )
            self._known = now_s, Identity(partner, (), _NO_END)
        return judge_for(self._known[1], self._registry, self._clock, self._extensions)

    def heard(self) -> None:
        """Something of its topic was taken just now. Raises the database's faults."""
        with self._database.transaction() as cursor:
            hearing.keep(cursor, {self._partner_id: self._clock.now()})

    def close(self) -> None:
        self._database.close()


def judge_for(who: Identity, registry: Registry, clock: Clock, extensions: frozenset[str]) -> Judge:
    """What POST /events would say to this event of this partner."""

    def judge(event: CloudEvent) -> Message | Refused:
        judged = admission.judge(registry, event, instant_text(clock.now()), extensions)
        if not isinstance(judged, Message):
            place = judged.places[0]
            return Refused(place.reason, place.detail.en, place.pointer)
        try:
            identity.refuse_ungranted(who, [event], is_batch=False)
        except Problem as problem:
            place = problem.places[0]
            return Refused(place.reason, place.detail.en, place.pointer)
        return judged

    return judge
