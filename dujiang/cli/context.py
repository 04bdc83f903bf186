"""What commands stand on: settings, logging, and services that are set, found running, or started for the command.

Imports stand in the functions that need them: a command that needs no services answers three times as soon.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from typing import Any

    from psycopg import Cursor

    from dujiang.settings import Settings
    from dujiang.wiring import Services

AsJson = Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="INSTANT", help="RFC 3339, e.g. 2026-06-01T00:00:00Z; default: now.")
]


def instant_of(text: str | None) -> datetime:
    """A command's instant. Raises typer.BadParameter."""
    if text is None:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant; write 2026-06-01T00:00:00Z") from None
    if instant.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; append Z")
    return instant.astimezone(UTC)


def seconds_of(text: str, hours_max: int = 24) -> float:
    """Of `30s`, `10m`, `1h`, `2d`. Raises typer.BadParameter."""
    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no duration; write 30s, 10m, 1h or 2d") from None
    if not 0 < value <= hours_max * 3_600:
        raise typer.BadParameter(f"{text!r}: from a moment to {hours_max}h")
    return value


def settings_with_logging() -> "Settings":
    """Load settings and set logging up, to standard error."""
    import structlog

    from dujiang.settings import load

    settings = load()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return settings


def progress(text: str) -> None:
    """What is being waited for."""
    typer.echo(text, err=True)


def prepare(settings: "Settings", services: "Services") -> None:
    """Schema at the newest, topics there."""
    from dujiang import topics
    from dujiang.database import migrate
    from schemas.topics import TOPICS

    migrate(services.dsn)
    with topics.connected(services.bootstrap, settings.kafka) as broker:
        broker.create(TOPICS.values(), settings.kafka.replication)


@contextmanager
def services_of(settings: "Settings") -> Iterator["Services"]:
    """Kafka and PostgreSQL: as set; else those that run in `data_dir`; else started here and stopped at the end."""
    from dujiang.embedded.services import find_running, up
    from dujiang.wiring import Services

    bootstrap, dsn = settings.kafka.bootstrap, settings.database.dsn.get_secret_value()
    if bootstrap and dsn:
        yield Services(bootstrap, dsn)
        return
    running = find_running(settings.data_dir)
    if running is not None:
        yield Services(bootstrap or running.bootstrap, dsn or running.dsn)
        return
    progress(f"no services are set or running in {settings.data_dir}: starting the embedded ones for this command")
    with up(settings.data_dir, settings.cache_dir, progress=progress) as embedded:
        found = Services(bootstrap or embedded.addresses.bootstrap, dsn or embedded.addresses.dsn)
        prepare(settings, found)
        yield found


@contextmanager
def database() -> Iterator["Cursor[Any]"]:
    """A transaction in the platform's database, for commands that need nothing else."""
    with services_of(settings_with_logging()) as services, services.connection() as connection, connection.cursor() as cursor:
        yield cursor
