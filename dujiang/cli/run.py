"""Commands that run until they are stopped: demo, up, worker, gateway; and migrate."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dujiang.cli.context import prepare, progress, seconds_of, services_of, settings_with_logging
from dujiang.cli.output import fail, speaks

if TYPE_CHECKING:
    from dujiang.settings import Settings
    from dujiang.wiring import Services


def _wait_for_signal() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


@contextmanager
def _chosen(group: str, **given: Any) -> "Iterator[tuple[Settings, Services]]":
    """The settings, in which what the command line gave for a group wins, and the services."""
    settings = settings_with_logging()
    update = {name: value for name, value in given.items() if value is not None}
    chosen = getattr(settings, group).model_copy(update=update)
    with services_of(settings) as services:
        yield settings.model_copy(update={group: chosen}), services


@speaks
def up() -> None:
    """Start the embedded Kafka and PostgreSQL, print their addresses, stop on Ctrl-C."""
    from dujiang.embedded.services import up as start
    from dujiang.wiring import Services

    settings = settings_with_logging()
    with start(settings.data_dir, settings.cache_dir, progress=progress) as services:
        found = Services(services.addresses.bootstrap, services.addresses.dsn)
        prepare(settings, found)
        typer.echo(f"kafka       {found.bootstrap}")
        typer.echo(f"postgresql  {found.dsn}")
        typer.echo("ready; Ctrl-C stops both and leaves the data", err=True)
        _wait_for_signal()


@speaks
def migrate() -> None:
    """Bring the database's schema to the newest revision and create missing topics."""
    settings = settings_with_logging()
    with services_of(settings) as services:
        prepare(settings, services)
    typer.echo("schema and topics are current")


@speaks
def worker(
    step: Annotated[list[str] | None, typer.Option(help="Only these steps or sinks (repeat it); default: as set.")] = None,
    http_port: Annotated[int | None, typer.Option(help="TCP port of health and metrics; 0: a free one.")] = None,
    timers: Annotated[bool | None, typer.Option("--timers/--no-timers", help="Publish due timers; default: as set.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="Processes, one a core; default: as set.")] = None,
) -> None:
    """Run the stream processors until Ctrl-C or SIGTERM."""
    from dujiang.pool import run_pool
    from dujiang.worker import run_worker

    with _chosen("worker", steps=step, http_port=http_port, timers=timers, processes=processes) as (settings, services):
        run = run_worker if settings.worker.processes == 1 else run_pool
        run(settings, services)


@speaks
def gateway(
    port: Annotated[int | None, typer.Option(help="TCP port; 0: a free one; default: as set.")] = None,
) -> None:
    """Run the HTTP gateway until Ctrl-C or SIGTERM. It listens on loopback only while `gateway.auth` is none."""
    from dujiang.gateway import run_gateway

    with _chosen("gateway", port=port) as (settings, services):
        run_gateway(settings, services, on_listening=lambda url: typer.echo(f"gateway  {url}"))


@speaks
def deliver(
    http_port: Annotated[int | None, typer.Option(help="TCP port of health and metrics; 0: a free one.")] = None,
) -> None:
    """Deliver to webhooks, brokers and stores until Ctrl-C or SIGTERM. One process works at a time, others wait."""
    from dujiang.deliverer import run_deliverer

    with _chosen("deliver", http_port=http_port) as (settings, services):
        run_deliverer(settings, services, on_listening=lambda url: typer.echo(f"deliverer  {url}/health/ready"))


@speaks
def console(
    port: Annotated[int | None, typer.Option(help="TCP port; 0: a free one; default: as set.")] = None,
) -> None:
    """Run the operators' web console until Ctrl-C or SIGTERM. `dujiang users add` lets the first person in."""
    from dujiang.console import run_console

    with _chosen("console", port=port) as (settings, services):
        run_console(settings, services, on_listening=lambda url: typer.echo(f"console  {url}/console/"))


@speaks
def demo(
    seconds: Annotated[str | None, typer.Option("--for", metavar="30s", help="Stop by itself after so long: 45s, 10m.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="No screen; end with the account, status 1 if it does not balance.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Worker processes.")] = 1,
    rate: Annotated[int, typer.Option(min=1, max=5_000, help="Events a second from the simulated partners.")] = 40,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the demo's data; default: the data_dir with -demo at its end.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The partners draw by it: same seed, same events.")] = 7,
) -> None:
    """Everything at once on this machine, with simulated partners and a live view."""
    from dujiang.demo import run_demo

    duration_s = seconds_of(seconds) if seconds else None
    if check and duration_s is None:
        fail("--check needs an end: add --for 30s", 2)
    settings = settings_with_logging()
    data_dir = data or settings.data_dir.parent / f"{settings.data_dir.name}-demo"
    raise typer.Exit(
        run_demo(
            settings.model_copy(update={"data_dir": data_dir}),
            duration_s=duration_s,
            has_screen=not check,
            workers=workers,
            rate=rate,
            seed=seed,
        )
    )
