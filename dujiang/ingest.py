"""Runs a connector over files, with this machine's Kafka and PostgreSQL; and says which topics each connector feeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from connectors.catalogue import CONNECTORS, Wish, run
from dujiang.settings import Settings
from dujiang.wiring import Services, registry_of
from engine.clock import SystemClock
from engine.filedrop import Report
from engine.kafka import BatchPublisher
from schemas.topics import ALERT_EVENT, CALL_EVENT, FINDING_EVENT, PROJECT_EVENT, Topic

MONITOR_DEFAULT = Wish().monitor
_FED: dict[str, Topic] = {"alertmanager": ALERT_EVENT, "eu_calls": CALL_EVENT, "gtr": PROJECT_EVENT}


class NoSuchConnector(ValueError):
    """A name that the catalogue does not have, or a wish that a connector cannot take; the message says what it can."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a run did, for programs and for people."""

    report: Report

    def as_json(self) -> dict[str, Any]:
        """read = published + unchanged + refused."""
        return self.report.as_json()

    def lines(self) -> Iterator[str]:
        """Counts, then refusals and findings by reason, then what a person should know."""
        report = self.report
        refused = sum(report.refused.values())
        yield f"read {report.read}: published {report.published}, unchanged {report.unchanged}, refused {refused}"
        yield from (f"refused  {count:6} {reason}" for reason, count in report.refused.most_common())
        yield from (f"finding  {count:6} {rule}" for rule, count in report.findings.most_common())
        yield from (f"note     {note}" for note in report.notes)


def run_ingest(
    settings: Settings,
    services: Services,
    connector: str,
    path: Path,
    *,
    name: str | None = None,
    as_of: datetime | None = None,
    report: Path | None = None,
    progress: Callable[[Report], None] = lambda _: None,
) -> Ingested:
    """Take a file or a folder. `name` is the monitor's, `as_of` the extract's day; both win over what the file tells.
    `progress` gets the account so far after each batch, which is booked by then: what it raises ends the run whole.

    Raises NoSuchConnector, OSError, and the engine's faults.
    """
    wish = wish_for(settings, connector, name, as_of)
    publisher = BatchPublisher(settings.kafka_options(services.bootstrap))
    try:
        done = run(
            connector,
            path,
            publisher=publisher,
            connect=lambda: psycopg.connect(services.dsn, application_name="dujiang ingest", options="-c timezone=UTC"),
            registry=registry_of(settings),
            clock=SystemClock(),
            settings=settings.connectors,
            wish=wish,
            report_to=report,
            progress=progress,
        )
    finally:
        publisher.close()
    return Ingested(done)


def fed_topics() -> list[tuple[str, tuple[str, ...]]]:
    """Every connector with the topics it feeds; what it finds odd in its source goes to the findings."""
    return [(name, (_FED[name].name, FINDING_EVENT.name)) for name in CONNECTORS]


def wish_for(settings: Settings, connector: str, name: str | None, as_of: datetime | None) -> Wish:
    """Before anything is opened: what the run is told. Raises NoSuchConnector; a constructor knows a wrong monitor's name."""
    wish = Wish(as_of.date() if as_of else None, name or MONITOR_DEFAULT)
    if connector not in CONNECTORS:
        raise NoSuchConnector(f"no connector {connector!r}; there are {', '.join(CONNECTORS)}")
    try:
        CONNECTORS[connector].open(settings.connectors, wish)
    except ValueError as error:
        raise NoSuchConnector(str(error)) from None
    return wish
