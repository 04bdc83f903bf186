"""`dujiang breaker`: partitions paused since a flood of bad records looks like our fault."""

from typing import Annotated

import typer

from dujiang.cli.context import AsJson, database, services_of, settings_with_logging
from dujiang.cli.output import fail, show, speaks
from dujiang.user import user_name
from engine.database import named

app = typer.Typer(no_args_is_help=True, help="Partitions paused by a flood of bad records.")


@app.command("list")
@speaks
def list_open(as_json: AsJson = False) -> None:
    """Paused partitions, and why."""
    with database() as cursor:
        cursor.execute(
            "SELECT step, topic, partition, opened_at, next_offset, allowed_until, message FROM breaker ORDER BY 1, 2, 3"
        )
        rows = named(cursor)
    show(rows, as_json=as_json, empty="no partition is paused")


@app.command()
@speaks
def allow(
    step: str,
    topic: str,
    partition: int,
    until: Annotated[
        int | None, typer.Option(help="Offset before which bad records go to quarantine; default: the log's end now.")
    ] = None,
) -> None:
    """Let the bad records of a paused partition go to quarantine: they are bad indeed."""
    from dujiang import topics

    settings = settings_with_logging()
    with services_of(settings) as services:
        with topics.connected(services.bootstrap, settings.kafka) as broker:
            end = broker.ends([topic]).get((topic, partition))
        if end is None:
            fail(f"no partition {partition} of {topic!r}")
        with services.connection() as connection, connection.cursor() as cursor:
            cursor.execute(
                "UPDATE breaker SET allowed_until = %s, allowed_by = %s WHERE step = %s AND topic = %s AND partition = %s",
                (end if until is None else until, user_name(), step, topic, partition),
            )
            if not cursor.rowcount:
                fail(f"{step} is not paused on {topic} p{partition}; `dujiang breaker list` shows what is")
    typer.echo(f"{step}: bad records of {topic} p{partition} before {end if until is None else until} go to quarantine")
