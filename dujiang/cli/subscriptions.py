"""`dujiang subscriptions`: who receives what, and an operator's hold on it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from dujiang.cli.context import AsJson, database, seconds_of, services_of, settings_with_logging
from dujiang.cli.output import fail, line, show, speaks, stderr

if TYPE_CHECKING:
    from psycopg import Cursor

    from dujiang.kafka_subscribers import Given, KafkaSubscribers
    from schemas.subscriptions import Order, Subscription

app = typer.Typer(
    no_args_is_help=True, help="Subscriptions: who receives what. Gateways and workers follow a change within a second."
)

Id = Annotated[UUID, typer.Argument(metavar="ID", help="As `dujiang subscriptions list` shows it.")]
Note = Annotated[str, typer.Option(help="Why; the partner reads it.")]
NOTE_CHARS_MAX = 500
PAGE = 500


@app.command("list")
@speaks
def list_subscriptions(
    owner: Annotated[str | None, typer.Option(help="Only this partner's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every subscription, its owner, and where it stands."""
    with database() as cursor:
        rows = [_row(one) for one in _all(cursor, owner)]
    show(rows, as_json=as_json, empty="no subscriptions; partners make them: POST /subscriptions")


@app.command("show")
@speaks
def show_subscription(subscription: Id) -> None:
    """One subscription whole, with where it began and how far it is read, as JSON.

    `places`: where deliveries, readers with a cursor, or Kafka's own consumers (`consumer` is their group) stand, and how many
    records each has not read; `reading` says whose word that is.
    """
    from engine.subscriptions import register
    from gateway.console import queries
    from gateway.subscriptions.answers import members

    with database() as cursor:
        found = register.find(cursor, subscription)
        if found is None:
            fail(_unknown(subscription))
        cursor.execute(
            "SELECT topic, partition, start_offset, next_offset FROM subscription_position"
            " WHERE subscription_id = %s ORDER BY 1, 2",
            (subscription,),
        )
        names = ("topic", "partition", "start_offset", "next_offset")
        more: dict[str, Any] = {"positions": [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]}
        row = queries.subscription(cursor, subscription)
        if row is not None:  # else it was deleted this moment
            more |= {"reading": row.reading, "unread": row.unread, "last_read_at": row.last_read_at}
        more["places"] = [place._asdict() for place in queries.kept_positions(cursor, subscription)]
    typer.echo(line(members(found, _now()) | more))


@app.command()
@speaks
def pause(subscription: Id, note: Note) -> None:
    """Hold it; its partner cannot resume it. What comes meanwhile waits, within retention."""
    from schemas.subscriptions import Order

    _move(subscription, Order("pause", "paused", "operator", _checked(note)))


@app.command()
@speaks
def resume(subscription: Id) -> None:
    """Let it go on, also one that was disabled, which is validated anew if it is delivered to."""
    from schemas.subscriptions import Order

    _move(subscription, Order("resume", "resumed", "operator"))


@app.command()
@speaks
def disable(subscription: Id, note: Note) -> None:
    """End deliveries until an operator resumes it."""
    from schemas.subscriptions import Order

    _move(subscription, Order("disable", "disabled", "operator", _checked(note)))


@app.command()
@speaks
def provision(subscription: Id, as_json: AsJson = False) -> None:
    """Let a KAFKA subscription in: a user on the broker, and rights to its topics. The password is shown only now."""
    with _kafka_subscribers() as subscribers:
        given = subscribers.provision(subscription, _now())
    _show_given(given, as_json=as_json)


@app.command()
@speaks
def rotate(subscription: Id, as_json: AsJson = False) -> None:
    """Give a KAFKA subscription's user another password, shown only now. The former one lets nobody in any more."""
    with _kafka_subscribers() as subscribers:
        given = subscribers.rotate(subscription, _now())
    _show_given(given, as_json=as_json)


@app.command()
@speaks
def reconcile(
    every: Annotated[
        str | None, typer.Option(metavar="30s", help="Go on until Ctrl-C or SIGTERM, so often: 30s, 5m; default: once.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make users and rights on the broker equal to the KAFKA subscriptions, by partners' rights of now.

    With --every it goes on though Kafka or PostgreSQL is away; /health/ready says whether it succeeds.
    """
    if every is not None:
        _reconcile_every(seconds_of(every))
        return
    with _kafka_subscribers() as subscribers:
        changes = subscribers.reconcile(_now())
    show((change._asdict() for change in changes), as_json=as_json, empty="the broker is as the register has it")


def _reconcile_every(every_s: float) -> None:
    from dujiang.reconciler import run_reconciler

    settings = settings_with_logging()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with services_of(settings) as services:
        run_reconciler(
            settings, services, every_s, stop, on_listening=lambda url: typer.echo(f"reconciler  {url}/health/ready")
        )


@contextmanager
def _kafka_subscribers() -> Iterator["KafkaSubscribers"]:
    """Register and broker together; what is refused ends the command."""
    from dujiang.kafka_access import Access
    from dujiang.kafka_subscribers import KafkaSubscribers, SubscriberRefused, prefix_of
    from dujiang.topics import admin_of
    from dujiang.wiring import registry_of

    settings = settings_with_logging()
    prefix = prefix_of(settings.kafka.group_prefix)
    try:
        with (
            services_of(settings) as services,
            services.connection() as connection,
            connection.cursor() as cursor,
            admin_of(services.bootstrap, settings.kafka) as admin,
        ):
            yield KafkaSubscribers(
                cursor,
                Access(admin, prefix),
                registry_of(settings),
                prefix=prefix,
                are_owners_asked=settings.gateway.auth == "token",
            )
    except SubscriberRefused as refusal:
        fail(str(refusal))


def _show_given(given: "Given", *, as_json: bool) -> None:
    """The password to standard output, what it is for to standard error."""
    if as_json:
        typer.echo(
            line(
                {
                    "username": given.user,
                    "password": given.password,
                    "sasl_mechanism": "SCRAM-SHA-512",
                    "group_prefix": given.group_prefix,
                    "topics": list(given.topics),
                    "not_selected": list(given.not_selected),
                }
            )
        )
        return
    typer.echo(given.password)
    stderr.print(f"the password of {given.user} (SCRAM-SHA-512); it is shown only now", soft_wrap=True)
    stderr.print(f"topics: {', '.join(given.topics)}; groups: {given.group_prefix}*", soft_wrap=True)
    if given.not_selected:
        stderr.print(f"they also carry types that it did not select: {', '.join(given.not_selected)}", soft_wrap=True)


def _move(subscription: UUID, order: "Order") -> None:
    from engine.subscriptions import register
    from schemas.subscriptions import NotAllowed

    with database() as cursor:
        found = register.move(cursor, subscription, order, _now())
    if found is None:
        fail(_unknown(subscription))
    if isinstance(found, NotAllowed):
        fail(
            f"{subscription} is {found.state}, so it cannot {order.verb}; `dujiang subscriptions show {subscription}` says why"
        )
    typer.echo(f"{subscription}: {found.status.state}, revision {found.revision}")
    if found.protocol == "KAFKA":
        stderr.print("the broker follows with the next `dujiang subscriptions reconcile`")


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
