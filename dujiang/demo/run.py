"""Starts the services, plays, stops them, and says how it ended."""

import asyncio
import sys
from pathlib import Path

import structlog

from dujiang import topics
from dujiang.database import migrate
from dujiang.demo.account import Verdict
from dujiang.demo.children import ChildDied
from dujiang.demo.console import let_in
from dujiang.demo.interrupts import STATUS_INTERRUPTED, Interrupts
from dujiang.demo.play import Ending, Play, Wishes
from dujiang.embedded.kafka import KafkaServer
from dujiang.embedded.postgres import PostgresServer
from dujiang.embedded.services import up
from dujiang.settings import Settings
from dujiang.wiring import Services
from schemas.topics import TOPICS

RUNS_FILE = "runs"


def run_demo(
    settings: Settings,
    *,
    duration_s: float | None = None,
    has_screen: bool = True,
    workers: int = 1,
    rate: int = 40,
    seed: int = 7,
) -> int:
    """Play for `duration_s`, or until Ctrl-C. Returns the exit status.

    0: balanced. 1: not, or a child died twice. 130: stopped before it could be told.
    """
    interrupts = Interrupts()
    interrupts.install()
    _quieten()
    wishes = Wishes(duration_s, has_screen and _has_terminal(), workers, rate, seed, has_console=has_screen)
    own = _embedded_only(settings)
    try:
        ending = _played(own, wishes, interrupts)
    except KeyboardInterrupt:
        _say("stopped before the partners began; the data is left")
        return STATUS_INTERRUPTED
    except ChildDied as death:
        _say(str(death))
        return 1
    return _concluded(ending, own.data_dir)


def _played(settings: Settings, wishes: Wishes, interrupts: Interrupts) -> Ending:
    """Both servers up, the play, both down."""
    with up(settings.data_dir, settings.cache_dir, progress=_say) as running:
        servers: dict[str, KafkaServer | PostgresServer] = {"Kafka": running.kafka, "PostgreSQL": running.postgres}
        for server in servers.values():
            interrupts.at_last(server.kill)
        services = Services(running.addresses.bootstrap, running.addresses.dsn)
        _prepare(settings, services)
        run = _next_run(settings.data_dir)
        password = let_in(services) if wishes.has_console else ""
        play = Play(settings, services, wishes, run=run, interrupts=interrupts, servers=servers, password=password)
        try:
            return asyncio.run(play.run())
        finally:
            interrupts.on_first(lambda: None)  # what is left to do is stopping
            _say("stopping / 正在停止")


def _concluded(ending: Ending, data_dir: Path) -> int:
    """Reasons and notes first, the account as the last line."""
    verdict = ending.verdict
    if verdict is None:
        _say(f"stopped; the data is left in {data_dir}")
        return STATUS_INTERRUPTED
    for note in verdict.notes:
        _say(note)
    for reason in verdict.reasons:
        _say(f"not balanced: {reason}")
    _say(f"the data is left in {data_dir}; the next start goes on from it")
    sys.stdout.write(verdict.line() + "\n")
    sys.stdout.flush()
    return _status(verdict, ending)


def _status(verdict: Verdict, ending: Ending) -> int:
    if verdict.is_balanced:
        return 0
    return STATUS_INTERRUPTED if ending.was_hurried and not verdict.is_settled else 1


def _embedded_only(settings: Settings) -> Settings:
    """The demo has its own Kafka and PostgreSQL, whatever is set for production."""
    plain = {"bootstrap": "", "security_protocol": "PLAINTEXT", "sasl_mechanism": "", "ssl_ca_location": "", "replication": 1}
    kafka = settings.kafka.model_copy(update=plain)
    return settings.model_copy(update={"kafka": kafka, "data_dir": settings.data_dir.absolute()})


def _prepare(settings: Settings, services: Services) -> None:
    _say("migrating the database, creating topics")
    migrate(services.dsn)
    with topics.connected(services.bootstrap, settings.kafka) as broker:
        broker.create(TOPICS.values(), settings.kafka.replication)


def _next_run(data_dir: Path) -> str:
    """Counts the demo's starts on this data, so that ids of a later run are others. Taken under the lock of `up`."""
    file = data_dir / RUNS_FILE
    number = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(f"{number}\n")
    return f"{number:03d}"


def _has_terminal() -> bool:
    from rich.console import Console

    console = Console()
    return console.is_terminal and not console.is_dumb_terminal


def _quieten() -> None:
    """Log lines of this process would tear the view; the children write to their own files."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
