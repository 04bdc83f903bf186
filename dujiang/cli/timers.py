"""`dujiang timers`: what is due, and firing it for an instant of one's own."""

from typing import Annotated

import typer

from dujiang.cli.context import AsJson, instant_of, services_of, settings_with_logging
from dujiang.cli.output import fail, show, speaks

app = typer.Typer(no_args_is_help=True, help="Instants at which something moves by itself.")


@app.command("list")
@speaks
def list_due(
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The next timers, earliest first."""
    settings = settings_with_logging()
    with services_of(settings) as services, services.connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT step, key, due_at, published_at FROM timer ORDER BY due_at, step, key LIMIT %s", (limit,))
        rows = [dict(zip(("step", "key", "due_at", "published_at"), row, strict=True)) for row in cursor.fetchall()]
    show(rows, as_json=as_json, empty="no timers")


@app.command()
@speaks
def advance(
    as_of: Annotated[str, typer.Option("--as-of", metavar="INSTANT", help="Fire all timers due at or before this instant.")],
    step: Annotated[list[str] | None, typer.Option(help="Only of these steps (repeat it); default: all.")] = None,
) -> None:
    """Fire timers up to an instant, for replays and drills with `dujiang worker --no-timers`. Repeat it until it says 0."""
    from dujiang.wiring import STEPS, registry_of
    from engine import timers
    from engine.kafka import BatchPublisher

    instant = instant_of(as_of)
    unknown = set(step or ()) - set(STEPS)
    if unknown:
        fail(f"no step {', '.join(unknown)}; there are {', '.join(STEPS)}", 2)
    settings = settings_with_logging()
    fired = 0
    with services_of(settings) as services:
        publisher = BatchPublisher(settings.kafka_options(services.bootstrap))
        for chosen in (STEPS[name] for name in step or STEPS):
            while True:
                with services.connection() as connection, connection.cursor() as cursor:
                    now = instant_of(None)
                    due = timers.take_due(cursor, chosen.name, chosen.topic, None, instant, now, registry_of(settings))
                    publisher.publish(due)
                fired += len(due)
                if not due:
                    break
    typer.echo(f"fired {fired} timers")
