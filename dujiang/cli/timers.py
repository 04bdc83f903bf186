"""`dujiang timers`: what is due, and firing it for an instant of one's own."""

from typing import Annotated

import typer

from dujiang.cli.context import AsJson, database, instant_of, services_of, settings_with_logging
from dujiang.cli.output import fail, show, speaks

app = typer.Typer(no_args_is_help=True, help="Instants at which something moves by itself.")

_GO_ON = "what was fired stays so; run the same command again to go on"


@app.command("list")
@speaks
def list_due(
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The next timers, earliest first."""
    with database() as cursor:
        cursor.execute("SELECT step, key, due_at, published_at FROM timer ORDER BY due_at, step, key LIMIT %s", (limit,))
        rows = [dict(zip(("step", "key", "due_at", "published_at"), row, strict=True)) for row in cursor.fetchall()]
    show(rows, as_json=as_json, empty="no timers")


@app.command()
@speaks
def advance(
    as_of: Annotated[str, typer.Option("--as-of", metavar="INSTANT", help="Fire all timers due at or before this instant.")],
    step: Annotated[list[str] | None, typer.Option(help="Only of these steps (repeat it); default: all.")] = None,
) -> None:
    """Fire timers up to an instant, for replays and drills with `dujiang worker --no-timers`. Repeat it until it says 0.

    More than a batch is long work: Ctrl-C, `dujiang works cancel` or the console ends it after the batch under way.
    """
    from dujiang.cli.progress import shown_if_long
    from dujiang.wiring import STEPS, registry_of
    from engine import timers
    from engine.kafka import BatchPublisher

    instant = instant_of(as_of)
    unknown = set(step or ()) - set(STEPS)
    if unknown:
        fail(f"no step {', '.join(unknown)}; there are {', '.join(STEPS)}", 2)
    settings, names = settings_with_logging(), list(step or STEPS)
    fired = 0
    with services_of(settings) as services:
        with services.connection() as connection, connection.cursor() as cursor:
            total = timers.due(cursor, names, instant)
        publisher, title = BatchPublisher(settings.kafka_options(services.bootstrap)), f"{as_of} {', '.join(names)}"
        with shown_if_long(services.dsn, "timers_advance", title, total, timers.FIRED_AT_ONCE_MAX, _GO_ON) as reached:
            for chosen in (STEPS[name] for name in names):
                while True:
                    with services.connection() as connection, connection.cursor() as cursor:
                        now = instant_of(None)
                        due = timers.take_due(cursor, chosen.name, chosen.topic, None, instant, now, registry_of(settings))
                        publisher.publish(due)
                    if not due:
                        break
                    fired += len(due)
                    reached(fired)
    typer.echo(f"fired {fired} timers")
