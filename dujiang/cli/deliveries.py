"""`dujiang deliveries`: what subscriptions that are delivered to got and did not get, for operators."""

from datetime import UTC, datetime, timedelta
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import typer

from dujiang.cli.context import AsJson, database
from dujiang.cli.output import fail, line, show, speaks, stderr

if TYPE_CHECKING:
    from psycopg import Cursor

app = typer.Typer(no_args_is_help=True, help="What is delivered: how subscriptions fare, dead letters, replays, secrets.")

Id = Annotated[UUID, typer.Argument(metavar="SUBSCRIPTION", help="As `dujiang deliveries list` shows it.")]
Kind = Annotated[
    str, typer.Option(help="v1: a shared secret (HMAC-SHA256); v1a: a key of ours, whose public half you get (Ed25519).")
]


def _known(cursor: "Cursor[Any]", subscription: UUID) -> None:
    from engine.subscriptions import register

    if register.find(cursor, subscription) is None:
        fail(f"no subscription {subscription}; `dujiang deliveries list` shows all")


@app.command("list")
@speaks
def list_all(as_json: AsJson = False) -> None:
    """Every subscription that is delivered to: its state, its last number, what waits, and since when its endpoint fails."""
    from engine.subscriptions.deliveries import fares

    with database() as cursor:
        rows = fares(cursor)
    show(rows, as_json=as_json, empty="nothing is delivered to anybody")


@app.command()
@speaks
def trace(
    subscription: Id,
    event: Annotated[str | None, typer.Option(help="Only of the event with this id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many, the oldest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Every attempt: when, with what outcome, and when the next is due."""
    from engine.subscriptions.deliveries import attempts_of

    with database() as cursor:
        _known(cursor, subscription)
        rows = attempts_of(cursor, subscription, event_id=event, limit=limit)
    show(rows, as_json=as_json, empty="no attempts")


@app.command()
@speaks
def letters(subscription: Id, as_json: AsJson = False) -> None:
    """Dead letters that wait for a decision."""
    from engine.subscriptions.deliveries import TRACE_ROWS_MAX, dead_letters

    with database() as cursor:
        _known(cursor, subscription)
        rows = dead_letters(cursor, subscription, limit=TRACE_ROWS_MAX)
    show(rows, as_json=as_json, empty="no dead letters")


@app.command()
@speaks
def redrive(
    subscription: Id,
    letter: Annotated[
        list[int] | None, typer.Option(help="Only these, by the id of `letters` (repeat it); default: all.")
    ] = None,
) -> None:
    """Send dead letters again, under their old numbers and ids."""
    from engine.subscriptions import deliveries

    with database() as cursor:
        _known(cursor, subscription)
        count = deliveries.redrive(cursor, subscription, letter, getuser(), datetime.now(UTC))
    typer.echo(f"{count} sent again")


@app.command()
@speaks
def discard(subscription: Id, letter: Annotated[list[int], typer.Option(help="By the id of `letters` (repeat it).")]) -> None:
    """Give dead letters up for good; they stay in the table."""
    from engine.subscriptions import deliveries

    with database() as cursor:
        _known(cursor, subscription)
        count = deliveries.discard(cursor, subscription, letter, getuser(), datetime.now(UTC))
    typer.echo(f"{count} discarded")


@app.command()
@speaks
def replay(
    subscription: Id,
    first: Annotated[int, typer.Argument(min=1, help="Number of the first delivery.")],
    last: Annotated[int, typer.Argument(min=1, help="Number of the last.")],
) -> None:
    """Send again what was acknowledged, under the same numbers and ids, as far as the trace goes back.

    It is long work: `dujiang works` shows how far it is; cancelled, it drops what is not sent again yet.
    """
    from engine.subscriptions import deliveries

    with database() as cursor:
        _known(cursor, subscription)
        count = deliveries.replay(cursor, subscription, first, last, getuser())
    wanted = max(last - first + 1, 0)
    rest = "" if count == wanted else f"; the other {wanted - count} wait already, were not acknowledged, or are too old"
    typer.echo(f"{count} sent again{rest}")


@app.command()
@speaks
def secret(
    subscription: Id,
    kind: Kind = "v1",
    overlap: Annotated[int, typer.Option(min=0, max=720, help="Hours in which the secrets before it still sign.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Make a new secret. Shown is what the receiver needs, now and never again; older ones sign beside it for a while."""
    from engine.subscriptions import secrets

    if kind not in ("v1", "v1a"):
        fail(f"--kind {kind}: write v1 or v1a", 2)
    chosen: Literal["v1", "v1a"] = "v1a" if kind == "v1a" else "v1"
    from sinks.webhooks.signing import made_key

    key = made_key(chosen)
    now = datetime.now(UTC)
    with database() as cursor:
        _known(cursor, subscription)
        try:
            version = secrets.add(cursor, subscription, chosen, key.secret, key.public, now, now + timedelta(hours=overlap))
        except secrets.SecretsFull as full:
            fail(str(full))
    if as_json:
        typer.echo(line({"subscription": subscription, "version": version, "kind": chosen, "key": key.shown}))
        return
    typer.echo(key.shown)
    stderr.print(f"version {version} of {subscription}; it is shown only now", soft_wrap=True)
