"""`dujiang subscriptions`: who receives what, and an operator's hold on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from dujiang.cli.context import AsJson, services_of, settings_with_logging
from dujiang.cli.output import fail, line, show, speaks

if TYPE_CHECKING:
    from psycopg import Cursor

    from schemas.subscriptions import Order, Subscription

app = typer.Typer(
    no_args_is_help=True, help="Subscriptions: who receives what. Gateways and workers follow a change within a second."
)

Id = Annotated[UUID, typer.Argument(metavar="ID", help="As `dujiang subscriptions list` shows it.")]
Note = Annotated[str, typer.Option(help="Why; the partner reads it.")]
NOTE_CHARS_MAX = 500
PAGE = 500


@contextmanager
def _register() -> Iterator["Cursor[Any]"]:
    """A transaction on the register."""
    settings = settings_with_logging()
    with services_of(settings) as services, services.connection() as connection, connection.cursor() as cursor:
        yield cursor


@app.command("list")
@speaks
def list_subscriptions(
    owner: Annotated[str | None, typer.Option(help="Only this partner's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every subscription, its owner, and where it stands."""
    with _register() as cursor:
        rows = [_row(one) for one in _all(cursor, owner)]
    show(rows, as_json=as_json, empty="no subscriptions; partners make them: POST /subscriptions")


@app.command("show")
@speaks
def show_subscription(subscription: Id) -> None:
    """One subscription whole, with where it began and how far deliveries have come, as JSON."""
    from engine.subscriptions import register
    from gateway.subscriptions.answers import members

    with _register() as cursor:
        found = register.find(cursor, subscription)
        if found is None:
            fail(_unknown(subscription))
        cursor.execute(
            "SELECT topic, partition, start_offset, next_offset FROM subscription_position"
            " WHERE subscription_id = %s ORDER BY 1, 2",
            (subscription,),
        )
        names = ("topic", "partition", "start_offset", "next_offset")
        positions = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    typer.echo(line(members(found, _now()) | {"positions": positions}))


@app.command()
@speaks
def pause(subscription: Id, note: Note) -> None:
    """Hold it; its partner cannot resume it. What comes meanwhile waits, within retention."""
    from schemas.subscriptions import Order

    _move(subscription, Order("pause", "paused", "operator", _checked(note)))


@app.command()
@speaks
def resume(subscription: Id) -> None:
    """Let it go on, also one that was disabled. A webhook that was disabled is validated anew."""
    from schemas.subscriptions import Order

    _move(subscription, Order("resume", "resumed", "operator"))


@app.command()
@speaks
def disable(subscription: Id, note: Note) -> None:
    """End deliveries until an operator resumes it."""
    from schemas.subscriptions import Order

    _move(subscription, Order("disable", "disabled", "operator", _checked(note)))


def _move(subscription: UUID, order: "Order") -> None:
    from engine.subscriptions import register
    from schemas.subscriptions import NotAllowed

    with _register() as cursor:
        found = register.move(cursor, subscription, order, _now())
    if found is None:
        fail(_unknown(subscription))
    if isinstance(found, NotAllowed):
        fail(
            f"{subscription} is {found.state}, so it cannot {order.verb}; `dujiang subscriptions show {subscription}` says why"
        )
    typer.echo(f"{subscription}: {found.status.state}, revision {found.revision}")


def _all(cursor: "Cursor[Any]", owner: str | None) -> Iterator["Subscription"]:
    from engine.subscriptions import register

    after = None
    while page := register.listed(cursor, owner, after, PAGE):
        yield from page
        after = page[-1].id


def _row(subscription: "Subscription") -> dict[str, Any]:
    from schemas.subscriptions import state_at

    status = subscription.status
    return {
        "subscription": str(subscription.id),
        "owner": subscription.owner,
        "protocol": subscription.protocol,
        "state": state_at(status, subscription.expires_at, _now()),
        "reason": status.reason,
        "by": status.by,
        "since": status.since,
        "types": list(subscription.types),
        "expires_at": subscription.expires_at,
        "revision": subscription.revision,
    }


def _checked(note: str) -> str:
    if not 0 < len(note) <= NOTE_CHARS_MAX or not note.isprintable():
        raise typer.BadParameter(f"a note has 1 to {NOTE_CHARS_MAX} characters that can be printed")
    return note


def _unknown(subscription: UUID) -> str:
    return f"no subscription {subscription}; `dujiang subscriptions list` shows all"


def _now() -> datetime:
    return datetime.now(UTC)
