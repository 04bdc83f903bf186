"""`dujiang users`: who may use the console, and as what."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dujiang.cli.context import AsJson, database
from dujiang.cli.output import fail, show, speaks, stderr
from dujiang.user import user_name

if TYPE_CHECKING:
    from psycopg import Cursor

    from gateway.console.rights import Role

app = typer.Typer(no_args_is_help=True, help="People who may use the console. Without any, nobody gets in.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="1 to 64 of a-z, 0-9 and . _ -")]
RoleName = Annotated[
    str,
    typer.Option("--role", help="viewer looks; operator handles alerts; steward also repairs data; partner sees its own."),
]
Partner = Annotated[str | None, typer.Option(help="Id of the partner whose things the role partner sees.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and print it, instead of asking for one.")]


@contextmanager
def _register() -> Iterator["Cursor[Any]"]:
    from gateway.console.users import UserRefused

    try:
        with database() as cursor:
            yield cursor
    except UserRefused as refusal:
        fail(str(refusal))


def _role(name: str) -> "Role":
    from gateway.console.rights import Role

    try:
        return Role(name)
    except ValueError:
        raise typer.BadParameter(f"{name!r} is no role; one of {', '.join(Role)}") from None


def _password(generate: bool) -> str:
    from gateway.console.passwords import new_password

    return new_password() if generate else str(typer.prompt("password", hide_input=True, confirmation_prompt=True))


def _said(name: str, password: str, generate: bool) -> None:
    if generate:
        typer.echo(password)
        stderr.print(f"the password of {name}; it is shown only now", soft_wrap=True)


@app.command()
@speaks
def add(name: Name, role: RoleName = "viewer", partner: Partner = None, generate: Generate = False) -> None:
    """Let somebody in."""
    from gateway.console import users

    wanted, password = _role(role), _password(generate)
    with _register() as cursor:
        users.add(cursor, name, wanted, password, user_name(), partner)
    _said(name, password, generate)


@app.command("list")
@speaks
def list_all(as_json: AsJson = False) -> None:
    """Everybody, with role and sessions."""
    from gateway.console import users

    with _register() as cursor:
        rows = users.listed(cursor, datetime.now(UTC))
    show(rows, as_json=as_json, empty="no users; `dujiang users add` lets the first one in")


@app.command("role")
@speaks
def give_role(name: Name, role: RoleName, partner: Partner = None) -> None:
    """Give another role; open pages follow at their next deed."""
    from gateway.console import users

    wanted = _role(role)
    with _register() as cursor:
        users.give_role(cursor, name, wanted, user_name(), partner)
    typer.echo(f"{name} is {wanted}")


@app.command("password")
@speaks
def give_password(name: Name, generate: Generate = False) -> None:
    """Give another password: it unlocks, and ends all sessions."""
    from gateway.console import users

    password = _password(generate)
    with _register() as cursor:
        users.give_password(cursor, name, password, user_name())
    _said(name, password, generate)


@app.command()
@speaks
def remove(name: Name) -> None:
    """Shut somebody out: new pages and deeds at once, open pages within half a minute. What was done stays on record."""
    from gateway.console import users

    with _register() as cursor:
        users.remove(cursor, name, user_name())
    typer.echo(f"{name} is removed")
