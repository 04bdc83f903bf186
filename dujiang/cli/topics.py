"""`dujiang topics`: list, create, describe, lag."""

from typing import Annotated, Any

import typer

from dujiang.cli.context import AsJson, services_of, settings_with_logging
from dujiang.cli.output import fail, show, speaks

app = typer.Typer(no_args_is_help=True, help="Topics on the broker.")


@app.command("list")
@speaks
def list_topics(
    as_json: AsJson = False,
    types: Annotated[bool, typer.Option("--types", help="The event types and their topics; needs no broker.")] = False,
) -> None:
    """The table of topics beside what the broker has."""
    from dujiang import topics

    settings = settings_with_logging()
    if types:
        from dujiang.wiring import registry_of

        known = registry_of(settings).contracts.items()
        rows = [{"type": wire, "topics": list(c.topic_names), "internal": c.is_internal} for wire, c in known]
        show(rows, as_json=as_json)
        return
    with services_of(settings) as services, topics.connected(services.bootstrap, settings.kafka) as broker:
        show(broker.describe(), as_json=as_json)


@app.command()
@speaks
def create() -> None:
    """Create the topics that are missing; existing ones stay as they are."""
    from dujiang import topics
    from schemas.topics import TOPICS

    settings = settings_with_logging()
    with services_of(settings) as services, topics.connected(services.bootstrap, settings.kafka) as broker:
        created = broker.create(TOPICS.values(), settings.kafka.replication)
    typer.echo(f"created: {', '.join(created)}" if created else "all topics exist")


@app.command()
@speaks
def describe(topic: str, as_json: AsJson = False) -> None:
    """One topic: its row of the table, its settings, its partitions' ends."""
    from dujiang import topics
    from schemas.topics import TOPICS

    settings = settings_with_logging()
    with services_of(settings) as services, topics.connected(services.bootstrap, settings.kafka) as broker:
        rows = [row for row in broker.describe() if row["topic"] == topic]
        if not rows:
            fail(f"no topic {topic!r}; `dujiang topics list` shows all")
        ends = {str(partition): end for (_, partition), end in sorted(broker.ends([topic]).items())}
    declared = TOPICS.get(topic)
    found: dict[str, Any] = rows[0] | {"ends": ends, "config": declared.config() if declared else {}}
    if as_json:
        show([found], as_json=True)
        return
    for name, value in found.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for part, told in inner:
            typer.echo(f"{name:16}{f'{part:24}' if part else ''}{told}")


@app.command()
@speaks
def lag(as_json: AsJson = False) -> None:
    """How far each step is behind, by partition: the ledger against the log's end."""
    from dujiang import topics
    from schemas.topics import TOPICS

    settings = settings_with_logging()
    with services_of(settings) as services:
        with topics.connected(services.bootstrap, settings.kafka) as broker:
            ends = broker.ends(TOPICS)
        with services.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT step, topic, partition, next_offset FROM ledger ORDER BY 1, 2, 3")
            rows = [
                {
                    "step": step,
                    "topic": at,
                    "partition": part,
                    "next": following,
                    "end": ends.get((at, part), following),
                }
                for step, at, part, following in cursor.fetchall()
            ]
    show(
        [row | {"lag": row["end"] - row["next"]} for row in rows],
        as_json=as_json,
        empty="no step has begun yet; run `dujiang worker`",
    )
