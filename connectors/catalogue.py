"""Every connector: what it is, how to open it, and one way to run it on a file or a folder."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any, Literal

import structlog

from connectors.alertmanager.source import CaptureConnector
from connectors.eu_calls.source import EuCallsConnector
from connectors.gtr.source import GtrConnector
from connectors.settings import DEFAULT_SETTINGS, ConnectorSettings
from engine.clock import Clock
from engine.filedrop import FileConnector, Options, Outbox, Report, run_file, settled, waiting
from engine.filedrop.books import Connect
from schemas.registry import Registry

log = structlog.get_logger()
Kind = Literal["file", "capture", "webhook"]
SETTLE_S = 2.0  # between two looks at a folder's files; one that grew is left for the next run


DEFAULT_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class Wish:
    """What one run may be told: the extract's day (registers), the monitor's name (captures)."""

    extracted_on: date | None = None
    monitor: str = "alertmanager"


@dataclass(frozen=True, slots=True)
class Connector:
    """A line of the catalogue. `hook` is the path of a webhook on the gateway."""

    name: str
    description: str
    kinds: tuple[Kind, ...]
    open: Callable[[ConnectorSettings, Wish], FileConnector]
    hook: str | None = None


def _gtr(settings: ConnectorSettings, wish: Wish) -> FileConnector:
    day = wish.extracted_on or settings.gtr.extracted_on
    return GtrConnector(settings.gtr.model_copy(update={"extracted_on": day}))


def _eu_calls(settings: ConnectorSettings, wish: Wish) -> FileConnector:
    day = wish.extracted_on or settings.eu_calls.extracted_on
    return EuCallsConnector(settings.eu_calls.model_copy(update={"extracted_on": day}))


def _capture(settings: ConnectorSettings, wish: Wish) -> FileConnector:
    return CaptureConnector(settings.alertmanager, wish.monitor)


CONNECTORS: dict[str, Connector] = {
    connector.name: connector
    for connector in (
        Connector(
            "alertmanager",
            "Alertmanager webhook v4, or a capture of it",
            ("webhook", "capture"),
            _capture,
            "/hooks/alertmanager/{name}",
        ),
        Connector("eu_calls", "EU funding calls (SEDIA), JSON lines", ("file",), _eu_calls),
        Connector("gtr", "UKRI Gateway to Research projects, CSV", ("file",), _gtr),
    )
}
# These follow a log instead of reading files; each has a command of its own (`dujiang connector`).
FOLLOWING: frozenset[str] = frozenset(("kafka_topic",))


def run(
    name: str,
    path: Path,
    *,
    publisher: Outbox,
    connect: Connect,
    registry: Registry,
    clock: Clock,
    settings: ConnectorSettings = DEFAULT_SETTINGS,
    wish: Wish = Wish(),
    options: Options = DEFAULT_OPTIONS,
    report_to: Path | None = None,
    settle_s: float = SETTLE_S,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Take a file, or all of a folder's files that have stopped growing, oldest first.

    `report_to` gets the refused rows as JSON lines: file, row, key, reason, pointer, message, record. Raises KeyError
    for a name that is not in the catalogue, ValueError for a monitor's name that is none, OSError, and what `run_file`
    raises.
    """
    connector = CONNECTORS[name].open(settings, wish)
    paths = settled(_found(name, connector, path), clock.sleep, settle_s) if path.is_dir() else [path]
    whole = Report()
    with _refused_rows(report_to) as refused_to:
        for each in paths:
            whole.add(
                run_file(
                    connector,
                    each,
                    publisher=publisher,
                    connect=connect,
                    registry=registry,
                    options=options,
                    progress=lambda report: progress(_beside(whole, report)),
                    refused_to=refused_to,
                )
            )
    return whole


def _beside(whole: Report, report: Report) -> Report:
    """The files before, and the one under way so far."""
    both = whole.copy()
    both.add(report)
    return both


def _found(name: str, connector: FileConnector, folder: Path) -> list[Path]:
    """A folder without any file is no fault of a drop that waits for its next one, yet often a wrong folder."""
    found = waiting(connector, folder)
    if not found:
        wanted = " or ".join(f"*{suffix}" for suffix in sorted(connector.suffixes))
        log.warning(
            "no file to take", connector=name, folder=str(folder), wanted=wanted, remedy="folders in it are not looked into"
        )
    return found


@contextmanager
def _refused_rows(report_to: Path | None) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    if report_to is None:
        yield None
        return
    with report_to.open("w", encoding="utf-8", errors="replace") as file:
        yield lambda line: _write_line(file, line)


def _write_line(file: IO[str], line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
