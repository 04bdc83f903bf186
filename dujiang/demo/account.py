"""The demo's last line: what became of everything published, and whether it balances.

Waits until nothing is left to do, then looks once: the log's ends first, the ledger after them in one snapshot, so that
a lag of 0 means that ledger and log stand at the same offsets.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection, IsolationLevel

from dujiang import topics
from dujiang.settings import Kafka
from dujiang.wiring import SINKS, STEPS, Services
from engine.errors import Fault
from engine.ledger import Account, accounts, unbalanced
from engine.records import Place
from schemas.topics import TOPICS

LOOK_EVERY_S = 0.3


@dataclass(frozen=True)
class Look:
    """The log's ends and the accounts at one moment. `lag` is of all steps and sinks, by partition; never begun counts too."""

    ends: Mapping[Place, int]
    accounts: Sequence[Account]
    lag: Mapping[tuple[str, str, int], int]

    @property
    def is_settled(self) -> bool:
        """A lag below 0 means that something was published and done between the two halves of the look."""
        return not any(self.lag.values())


@dataclass(frozen=True)
class Verdict:
    """The sum over the steps, and what speaks against it. `notes` are said in any case."""

    total: Account
    reasons: Sequence[str] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)
    is_settled: bool = True

    @property
    def is_balanced(self) -> bool:
        return not self.reasons

    def line(self) -> str:
        """The demo's last line."""
        names = ("published", "applied", "duplicate", "superseded", "rejected", "quarantined", "lag")
        figures = " ".join(f"{name}={getattr(self.total, name)}" for name in names)
        return f"{figures} balanced={'yes' if self.is_balanced else 'no'}"


def snapshot(services: Services) -> Connection[Any]:
    """A connection whose transaction sees one moment."""
    connection = psycopg.connect(services.dsn, application_name="dujiang demo", options="-c timezone=UTC")
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    return connection


def ends_now(services: Services, kafka: Kafka) -> dict[Place, int]:
    """The log's end of every partition."""
    with topics.connected(services.bootstrap, kafka) as broker:
        return broker.ends(TOPICS)


def settle(services: Services, kafka: Kafka, seconds_max: float, give_up: threading.Event) -> Look:
    """Look until nothing lags, `seconds_max` have passed or somebody gives up; the last look. Raises the engine's faults."""
    until = time.monotonic() + seconds_max
    with topics.connected(services.bootstrap, kafka) as broker:
        while True:
            found = _look(services, broker.ends(TOPICS))
            if found.is_settled or time.monotonic() > until or give_up.wait(LOOK_EVERY_S):
                return found


def judged(look: Look, reasons: Sequence[str] = (), notes: Sequence[str] = ()) -> Verdict:
    """The accounts' own verdict, beside what an audit found."""
    found = [
        f"{account.step} on {account.topic}: {account.unaccounted:+} records unaccounted for (+ lost, - counted twice)"
        for account in unbalanced(look.accounts)
    ]
    lag: Counter[tuple[str, str]] = Counter()
    for (step, topic, _), behind in look.lag.items():
        lag[step, topic] += behind
    late = [f"{step} is {behind} records behind on {topic}" for (step, topic), behind in lag.items() if behind]
    return Verdict(_total(look.accounts), (*found, *late, *reasons), tuple(notes), look.is_settled)


def _total(found: Sequence[Account]) -> Account:
    """Over the steps only: a sink reads the same records again."""
    mine = [account[2:] for account in found if account.step in STEPS]
    return Account("*", "*", *(sum(values) for values in zip(*mine, strict=True))) if mine else Account("*", "*", *[0] * 9)


def _look(services: Services, ends: dict[Place, int]) -> Look:
    try:
        with snapshot(services) as connection, connection.cursor() as cursor:
            found = accounts(cursor, ends)
            cursor.execute("SELECT step, topic, partition, next_offset FROM ledger")
            stands = {(step, topic, partition): following for step, topic, partition, following in cursor.fetchall()}
    except psycopg.Error as error:
        raise Fault(f"PostgreSQL: {error}") from error
    lag = {
        (name, topic, partition): end - stands.get((name, topic, partition), 0)
        for name, topic in _inputs()
        for (at, partition), end in ends.items()
        if at == topic
    }
    return Look(ends, found, lag)


def _inputs() -> list[tuple[str, str]]:
    """Every step and sink with each topic that it reads."""
    steps = [(name, step.topic) for name, step in STEPS.items()]
    return steps + [(name, topic) for name, sink in SINKS.items() for topic in sink.topics]
