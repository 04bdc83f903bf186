"""`dujiang works`: long work, how far it is, and asking it to stop; the same as the console's page."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from dujiang.cli.context import AsJson, database
from dujiang.cli.output import fail, show, speaks
from dujiang.cli.progress import so_far
from dujiang.user import user_name
from engine.database import named

app = typer.Typer(
    no_args_is_help=True, help="Long work, such as imports, replays and backfills: how far it is, and cancelling it."
)

COLUMNS = ("id", "kind", "title", "state", "progress", "started_by", "started_at", "took_s", "cancel_asked_by")
ID_MAX = 2**63 - 1


@app.command("list")
@speaks
def list_works(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    """All long work, the latest first.

    `lost` has given no sign of life for two minutes; `waiting` is a backfill whose subscription is not enabled.
    """
    with database() as cursor:
        cursor.execute(
            "SELECT id, kind, title, state, done, total, started_by, started_at,"
            " extract(epoch FROM coalesce(ended_at, beat_at) - started_at)::float8 AS took_s, cancel_asked_by"
            " FROM v_work ORDER BY id DESC LIMIT %s",
            (limit,),
        )
        rows = named(cursor)
    if not as_json:
        rows = [_told(row) for row in rows]
    show(rows, as_json=as_json, columns=COLUMNS, empty="no long work yet; `dujiang ingest` begins one")


@app.command()
@speaks
def cancel(work_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=ID_MAX, help="As `works list` shows it.")]) -> None:
    """Ask a work to stop after the step under way. What it booked stays. Who asked is on record, as in the console.

    A backfill stops by pausing its subscription; `dujiang subscriptions resume` lets it go on from there.
    """
    from engine.subscriptions import backfills
    from engine.subscriptions.snapshots import BACKFILL
    from gateway.console.users import record

    with database() as cursor:
        is_asked = backfills.cancel(cursor, work_id, user_name(), datetime.now(UTC))
        if is_asked:
            record(cursor, user_name(), "cancel", "work", str(work_id))
        cursor.execute("SELECT kind, title, state, ended_at FROM v_work WHERE id = %s", (work_id,))
        row = cursor.fetchone()
    if row is None:
        fail(f"no work {work_id}; `dujiang works list` shows all")
    kind, title, state, ended_at = row
    if not is_asked:
        fail(f"work {work_id} is over: {state} since {ended_at:%Y-%m-%dT%H:%M:%SZ}")
    if kind == BACKFILL:
        typer.echo(f"work {work_id} ({kind} {title}) is cancelled; its subscription is paused")
        return
    when = "it has given no sign of life lately, and stops if it gives one" if state == "lost" else "it stops after its step"
    typer.echo(f"work {work_id} ({kind} {title}) is asked to stop; {when}")


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """For a table. What is done is full, whatever it was estimated at."""
    total = row["done"] if row["state"] == "done" and row["total"] else row["total"]
    return row | {"progress": so_far(row["done"], total), "took_s": f"{row['took_s']:,.1f}"}
