"""`dujiang connector`: connectors that run until they are stopped."""

import signal
import threading
from typing import Annotated

import typer

from dujiang.cli.context import AsJson, services_of, settings_with_logging
from dujiang.cli.output import fail, line, speaks

app = typer.Typer(no_args_is_help=True, help="Connectors that go on until they are stopped.")


@app.command()
@speaks
def kafka(
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the end that the topic has now.")] = False,
    skip_lost: Annotated[
        bool, typer.Option("--skip-lost", help="Go on although records were deleted before they were read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take events from a partner's own Kafka topic (connectors.kafka_topic) with the gateway's checks and its rights."""
    from dujiang.partner_topic import run_partner_topic

    settings = settings_with_logging()
    missing = settings.connectors.kafka_topic.missing()
    if missing:
        fail(f"set {', '.join(f'connectors.kafka_topic.{name}' for name in missing)}", 2)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with services_of(settings) as services:
        done = run_partner_topic(
            settings,
            services,
            stop,
            until_end=until_end,
            skip_lost=skip_lost,
            on_listening=lambda url: typer.echo(f"connector  {url}/health/ready", err=True),
        )
    refused = dict(done.refused.most_common())
    if as_json:
        typer.echo(line({"read": done.read, "published": done.published, "refused": refused}))
        return
    typer.echo(f"read {done.read}: published {done.published}, refused {done.refused.total()}")
    for reason, count in refused.items():
        typer.echo(f"refused  {count:6} {reason}")
