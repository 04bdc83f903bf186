"""A process that keeps the broker as the register has it: `reconcile` every so often, until it is told to stop.

Kafka or PostgreSQL away ends nothing: the round is tried again, sooner than usual, and health says since when none succeeded.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import structlog

from dujiang import pages
from dujiang.kafka_access import Access
from dujiang.kafka_subscribers import Change, KafkaSubscribers, prefix_of
from dujiang.settings import Settings
from dujiang.topics import admin_of
from dujiang.wiring import Services, registry_of
from engine.clock import Clock, SystemClock
from engine.database import fault_of
from engine.errors import Fault

RETRY_S: Final = 5.0  # after a round that failed; `every_s` if that is sooner
LATE_ROUNDS: Final = 3  # without success: no longer ready

log = structlog.get_logger("reconciler")


class Rounds:
    """Runs rounds and knows how they went. `once` does one; it may raise faults and psycopg's errors."""

    def __init__(self, once: Callable[[], Sequence[Change]], clock: Clock, every_s: float) -> None:
        self._once = once
        self._clock = clock
        self._every_s = every_s
        self._good_s: float | None = None
        self.fault: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. Only bugs come out of here."""
        while not stop.is_set():
            stop.wait(self._every_s if self.round() else min(self._every_s, RETRY_S))

    def round(self) -> bool:
        """One; whether it succeeded."""
        try:
            changes = self._once()
        except (Fault, psycopg.Error) as error:
            fault = fault_of(error) if isinstance(error, psycopg.Error) else error
            if not isinstance(fault, Fault):
                raise
            if self.fault != str(fault):  # once, not at every round
                remedy = fault.remedy or "it goes on by itself"
                log.warning("the broker could not be compared with the register", fault=str(fault), remedy=remedy)
            self.fault = str(fault)
            return False
        for change in changes:
            log.info("reconciled", user=change.user, change=change.change, what=change.what)
        self._good_s, self.fault = self._clock.monotonic_s(), None
        return True

    def health(self) -> dict[str, Any]:
        """Ready: the last success is not older than LATE_ROUNDS rounds."""
        age_s = None if self._good_s is None else round(self._clock.monotonic_s() - self._good_s, 1)
        is_ready = age_s is not None and age_s <= LATE_ROUNDS * self._every_s
        return {"ready": is_ready, "succeeded_s_ago": age_s, "fault": self.fault}


def run_reconciler(
    settings: Settings, services: Services, every_s: float, stop: threading.Event, on_listening: Callable[[str], None]
) -> None:
    """Until `stop`. `on_listening` is told where health is. Raises EnvironmentFault when that address is taken."""
    rounds = Rounds(lambda: _reconciled(settings, services), SystemClock(), every_s)
    answers = {"/health/live": pages.live, "/health/ready": lambda: pages.ready(rounds.health())}
    chosen = settings.reconcile
    with pages.served("reconciler", "reconcile.http_port", chosen.http_host, chosen.http_port, answers) as url:
        on_listening(url)
        rounds.run(stop)


def _reconciled(settings: Settings, services: Services) -> list[Change]:
    """Connections of its own each time: none is left to go stale between two rounds."""
    prefix = prefix_of(settings.kafka.group_prefix)
    with (
        services.connection() as connection,
        connection.cursor() as cursor,
        admin_of(services.bootstrap, settings.kafka) as admin,
    ):
        subscribers = KafkaSubscribers(
            cursor,
            Access(admin, prefix),
            registry_of(settings),
            prefix=prefix,
            are_owners_asked=settings.gateway.auth == "token",
        )
        return subscribers.reconcile(datetime.now(UTC))
