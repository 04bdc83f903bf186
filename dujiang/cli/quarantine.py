"""`dujiang quarantine`: list, show, replay, park."""

from pathlib import Path
from typing import Annotated, Any

import typer

from dujiang.cli.context import AsJson, database, services_of, settings_with_logging
from dujiang.cli.output import fail, show, speaks
from dujiang.user import user_name
from engine.database import named

app = typer.Typer(no_args_is_help=True, help="Records that can never work as they are: look, repair, replay.")

BATCH_RECORDS = 200
_GO_ON = "what was published again is settled; run the same command again to go on"

By = Annotated[str, typer.Option(help="Who does it; default: the user of this machine.")]
Why = Annotated[str, typer.Option(help="Why; kept on record.")]


@app.command("list")
@speaks
def list_rows(
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    state: Annotated[str, typer.Option(help="waiting, replayed, parked or all.")] = "waiting",
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 100,
    causes: Annotated[bool, typer.Option("--causes", help="Counts by cause and source instead of rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """The work queue, oldest first."""
    where = "WHERE (%(state)s = 'all' OR state = %(state)s) AND (%(reason)s::text IS NULL OR reason = %(reason)s)"
    if causes:
        query = f"SELECT reason, event_source, event_type, count(*) AS records, min(first_failed_at) AS first FROM quarantine {where} GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT %(limit)s"  # noqa: S608, E501
    else:
        query = f"SELECT id, state, reason, topic, partition, record_offset AS offset, pointer, event_source, event_type, message FROM quarantine {where} ORDER BY id LIMIT %(limit)s"  # noqa: S608, E501
    with database() as cursor:
        cursor.execute(query, {"state": state, "reason": reason, "limit": limit})
        rows = named(cursor)
    show(rows, as_json=as_json, empty="nothing in quarantine")


@app.command("show")
@speaks
def show_row(row_id: Annotated[int, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """One record: everything that is kept, its bytes as text where they are text."""
    with database() as cursor:
        cursor.execute("SELECT * FROM quarantine WHERE id = %s", (row_id,))
        kept = named(cursor)
    if not kept:
        fail(f"no record {row_id} in quarantine; `dujiang quarantine list --state all` shows all")
    found: dict[str, Any] = {name: _shown(value) for name, value in kept[0].items()}
    if as_json:
        show([found], as_json=True)
        return
    for name, value in found.items():
        typer.echo(f"{name:16} {'' if value is None else value}")


def _shown(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "hex:" + value.hex()


@app.command()
@speaks
def replay(
    row_id: Annotated[int, typer.Argument(metavar="ID")],
    file: Annotated[
        Path | None, typer.Option(help="The repaired event, structured JSON; default: the record as it is.")
    ] = None,
    by: By = "",
    why: Why = "",
) -> None:
    """Judge the record by today's contract and publish it again. The old row is settled with who and why."""
    from dujiang.wiring import registry_of
    from engine import quarantine
    from engine.kafka import BatchPublisher
    from engine.records import Refused

    settings = settings_with_logging()
    with services_of(settings) as services, services.connection() as connection, connection.cursor() as cursor:
        kept = quarantine.get(cursor, row_id)
        if kept is None:
            fail(f"no record {row_id} in quarantine; `dujiang quarantine list --state all` shows all")
        if kept.state == "replayed":
            fail(f"record {row_id} was replayed already; a second time would only be a duplicate")
        judged = quarantine.repaired(kept, file.read_bytes() if file else None, registry_of(settings))
        if isinstance(judged, Refused):
            fail(f"still refused: {judged.fault.reason} at {judged.fault.pointer or '/'}: {judged.fault.message}")
        BatchPublisher(settings.kafka_options(services.bootstrap)).publish([judged])
        quarantine.settle(cursor, row_id, "replayed", by or user_name(), why)
    typer.echo(f"record {row_id} published to {judged.topic}")


@app.command("replay-all")
@speaks
def replay_all(
    reason: Annotated[str, typer.Option(help="Only of this reason, as `dujiang quarantine list --causes` shows it.")],
    source: Annotated[str | None, typer.Option(help="Only from this source.")] = None,
    by: By = "",
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Judge all waiting records of a reason by today's contract, as they are, and publish again those that are good now.

    For after a contract was mended. Ctrl-C, `dujiang works cancel` or the console ends it after the batch under way; run it
    again to go on.
    """
    from dujiang.cli.progress import shown
    from dujiang.wiring import registry_of
    from engine import quarantine
    from engine.kafka import BatchPublisher

    settings = settings_with_logging()
    with services_of(settings) as services:
        with services.connection() as connection, connection.cursor() as cursor:
            wanted = quarantine.waiting(cursor, reason, source)
        publisher, registry = BatchPublisher(settings.kafka_options(services.bootstrap)), registry_of(settings)
        replayed, who = 0, by or user_name()
        with shown(services.dsn, "quarantine_replay", reason, len(wanted), _GO_ON) as work:
            for first in range(0, len(wanted), BATCH_RECORDS):
                batch = wanted[first : first + BATCH_RECORDS]
                with services.connection() as connection, connection.cursor() as cursor:
                    replayed += quarantine.replay(cursor, batch, registry, publisher.publish, who, why)
                work.reached(first + len(batch))
    counts = {"looked_at": len(wanted), "replayed": replayed, "still_refused": len(wanted) - replayed}
    show([counts], as_json=as_json)


@app.command()
@speaks
def park(row_id: Annotated[int, typer.Argument(metavar="ID")], why: Why = "", by: By = "") -> None:
    """Set a record aside: it is not going to be repaired. It stays on record."""
    from engine import quarantine

    with database() as cursor:
        if quarantine.get(cursor, row_id) is None:
            fail(f"no record {row_id} in quarantine; `dujiang quarantine list --state all` shows all")
        if not why:
            fail("say why with --why; it is kept on record", 2)
        quarantine.settle(cursor, row_id, "parked", by or user_name(), why)
    typer.echo(f"record {row_id} parked")
