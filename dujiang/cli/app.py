"""All commands in one place, in the order in which a new user needs them."""

from importlib.metadata import version
from typing import Annotated

import typer

from dujiang.cli import events, look, run
from dujiang.cli.breaker import app as breaker
from dujiang.cli.connector import app as connector
from dujiang.cli.contracts import app as contracts
from dujiang.cli.deliveries import app as deliveries
from dujiang.cli.filter import filter_event
from dujiang.cli.lab import app as lab
from dujiang.cli.partners import app as partners
from dujiang.cli.quarantine import app as quarantine
from dujiang.cli.subscriptions import app as subscriptions
from dujiang.cli.timers import app as timers
from dujiang.cli.topics import app as topics
from dujiang.cli.users import app as users
from dujiang.cli.works import app as works

app = typer.Typer(
    name="dujiang",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Event-driven integration for a Bureau of Science, Technology and Industrial Informatization.",
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"dujiang {version('dujiang')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """What may stand before a command."""


_RUN, _EVENTS, _LOOK, _OPERATE = "Run", "Events in", "Look", "Operate"
app.command(rich_help_panel=_RUN)(run.demo)
app.command(rich_help_panel=_RUN)(run.up)
app.command(rich_help_panel=_RUN)(run.migrate)
app.command(rich_help_panel=_RUN)(run.worker)
app.command(rich_help_panel=_RUN)(run.gateway)
app.command(rich_help_panel=_RUN)(run.deliver)
app.add_typer(connector, name="connector", rich_help_panel=_RUN)
app.command(rich_help_panel=_RUN)(run.console)
app.command(rich_help_panel=_EVENTS)(events.publish)
app.command(rich_help_panel=_EVENTS)(events.ingest)
app.command(rich_help_panel=_EVENTS)(events.replay)
app.command("check-id", rich_help_panel=_EVENTS)(events.check_id)
app.command("filter", rich_help_panel=_EVENTS)(filter_event)
app.command(rich_help_panel=_LOOK)(look.projects)
app.command(rich_help_panel=_LOOK)(look.calls)
app.command(rich_help_panel=_LOOK)(look.alerts)
app.command(rich_help_panel=_LOOK)(look.ledger)
app.command(rich_help_panel=_LOOK)(look.audit)
app.command(rich_help_panel=_LOOK)(look.topology)
app.command(rich_help_panel=_LOOK)(look.settings)
app.add_typer(contracts, name="contracts", rich_help_panel=_LOOK)
app.add_typer(partners, name="partners", rich_help_panel=_OPERATE)
app.add_typer(subscriptions, name="subscriptions", rich_help_panel=_OPERATE)
app.add_typer(deliveries, name="deliveries", rich_help_panel=_OPERATE)
app.add_typer(lab, name="lab", rich_help_panel=_EVENTS)
app.add_typer(users, name="users", rich_help_panel=_OPERATE)
app.add_typer(topics, name="topics", rich_help_panel=_OPERATE)
app.add_typer(quarantine, name="quarantine", rich_help_panel=_OPERATE)
app.add_typer(breaker, name="breaker", rich_help_panel=_OPERATE)
app.add_typer(timers, name="timers", rich_help_panel=_OPERATE)
app.add_typer(works, name="works", rich_help_panel=_OPERATE)


def main() -> None:
    """The entry point."""
    app()
