"""`dujiang partners`: who may publish and subscribe, and by which tokens and keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dujiang.cli.context import AsJson, database, seconds_of
from dujiang.cli.output import fail, line, show, speaks, stderr
from dujiang.user import user_name

if TYPE_CHECKING:
    from psycopg import Cursor

app = typer.Typer(no_args_is_help=True, help="Partners: their rights, limits and tokens. A gateway follows within 5 s.")

keys_app = typer.Typer(no_args_is_help=True, help="Public keys that partners sign JWTs with, instead of a token.")
app.add_typer(keys_app, name="keys")

Id = Annotated[str, typer.Argument(metavar="ID", help="1 to 63 of a-z, 0-9 and -.")]
Prefix = Annotated[str, typer.Argument(help="The token's beginning, as `dujiang partners list --tokens` shows it.")]
Days = Annotated[int, typer.Option(min=1, max=730, help="Days until it expires.")]
Scope = Annotated[
    list[str] | None,
    typer.Option(
        help="publish:TYPE, subscribe:TYPE or call:/PATH, a star at the end for all that begin so; clearance:internal or"
        " clearance:restricted; only:ATTRIBUTE=VALUE, which narrows what is received (repeat it)."
    ),
]


@contextmanager
def _register() -> Iterator["Cursor[Any]"]:
    """A transaction on the register; what it refuses ends the command."""
    from gateway.partners import PartnerRefused

    try:
        with database() as cursor:
            yield cursor
    except PartnerRefused as refusal:
        fail(str(refusal))


def _now() -> datetime:
    return datetime.now(UTC)


@app.command()
@speaks
def add(
    partner: Id,
    name: Annotated[str, typer.Option(help="Of the organisation.")],
    scope: Scope = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="It may speak as this source and all below that is not another partner's (repeat it); default: /partners/ID."
        ),
    ] = None,
    rate: Annotated[int, typer.Option(min=1, max=1_000_000, help="Events a second, in the long run.")] = 100,
    burst: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="Events at once.")] = 5_000,
    quota: Annotated[int, typer.Option(min=1, max=10_000_000_000, help="Events a day (UTC).")] = 1_000_000,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="24h",
            help="It promises to be heard of so often (10m, 24h, 7d), or an alert fires; default: it promises nothing.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change a partner that is there; its tokens stay.")] = False,
) -> None:
    """Register a partner with its rights and limits."""
    from gateway.identity import Partner
    from gateway.limits import Allowance
    from gateway.partners import EVERY_MAX, nested, put

    promised = None if every is None else timedelta(seconds=seconds_of(every, EVERY_MAX.days * 24))
    sources = tuple(source or (f"/partners/{partner}",))
    with _register() as cursor:
        was_there = put(
            cursor,
            Partner(partner, tuple(scope or ()), sources, Allowance(rate, burst, quota)),
            name,
            user_name(),
            replace=replace,
            every=promised,
        )
        shared = nested(cursor, partner)
    for one in shared:
        stderr.print(
            f"{one.lower} of {one.lower_of} stands below {one.upper} of {one.upper_of}: it, and all below it, is"
            f" {one.lower_of}'s alone, so {one.upper_of} may not publish as it and does not see it",
            soft_wrap=True,
        )
    if was_there:
        typer.echo(f"{partner} is changed; its tokens and keys stay")
    else:
        typer.echo(f"{partner} is registered; its first token: dujiang partners token {partner}")


@app.command("list")
@speaks
def list_all(
    tokens: Annotated[bool, typer.Option("--tokens", help="Every token there ever was, by its prefix.")] = False,
    as_json: AsJson = False,
) -> None:
    """Partners, what they may do, and their tokens in force. Tokens themselves are kept nowhere."""
    from gateway import partners

    with _register() as cursor:
        rows = partners.tokens(cursor, _now()) if tokens else partners.partners(cursor, _now())
    show(rows, as_json=as_json, empty="no tokens" if tokens else "no partners; `dujiang partners add` registers one")


@app.command()
@speaks
def token(partner: Id, scope: Scope = None, days: Days = 90, as_json: AsJson = False) -> None:
    """Issue a token. It is shown now and never again. Its scopes narrow the partner's; without any it has all of them."""
    from gateway.partners import issue

    now = _now()
    expires_at = now + timedelta(days=days)
    with _register() as cursor:
        issued = issue(cursor, partner, scope or [], now, expires_at, user_name())
    _show_token(partner, issued, expires_at, as_json=as_json)


@app.command()
@speaks
def rotate(
    partner: Id,
    prefix: Prefix,
    days: Days = 90,
    overlap: Annotated[int, typer.Option(min=0, max=720, help="Hours in which the old token still holds.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Issue a token in the place of another, which holds on for a while."""
    from gateway import partners

    now = _now()
    expires_at = now + timedelta(days=days)
    with _register() as cursor:
        ends = now + timedelta(hours=overlap)
        issued = partners.rotate(cursor, partner, prefix, now, expires_at, ends, user_name())
    _show_token(partner, issued, expires_at, as_json=as_json)


@app.command()
@speaks
def revoke(
    partner: Id,
    prefix: Annotated[str | None, typer.Argument(help="The token's beginning; default: all of the partner's.")] = None,
) -> None:
    """End a token, or all of a partner's. Gateways refuse it within 5 s."""
    from gateway import partners

    with _register() as cursor:
        revoked = partners.revoke(cursor, partner, prefix, _now(), user_name())
    typer.echo(f"{partner}: revoked {', '.join(revoked) or 'nothing; no token was in force'}")


@keys_app.command("add")
@speaks
def add_keys(
    partner: Id,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JWK, JWKS or PEM with public keys alone.")],
    days: Days = 365,
) -> None:
    """Register a file's public keys: Ed25519 (EdDSA) or P-256 (ES256). One without a `kid` is named by its thumbprint."""
    from gateway import keys

    now = _now()
    with _register() as cursor:
        offered = keys.offered(file.read_bytes())
        kids = keys.add(cursor, partner, offered, now, now + timedelta(days=days), user_name())
    for kid in kids:
        typer.echo(kid)


@keys_app.command("list")
@speaks
def list_keys(as_json: AsJson = False) -> None:
    """Every key there ever was, by its kid."""
    from gateway import keys

    with _register() as cursor:
        rows = keys.keys(cursor, _now())
    show(rows, as_json=as_json, empty="no keys; `dujiang partners keys add` registers one")


@keys_app.command("revoke")
@speaks
def revoke_key(partner: Id, kid: Annotated[str, typer.Argument(help="As `dujiang partners keys list` shows it.")]) -> None:
    """End a key. Gateways refuse what it signed within 5 s."""
    from gateway import keys

    with _register() as cursor:
        keys.revoke(cursor, partner, kid, _now(), user_name())
    typer.echo(f"{partner}: revoked {kid}")


def _show_token(partner: str, issued: str, expires_at: datetime, *, as_json: bool) -> None:
    from gateway.identity import prefix_of

    if as_json:
        row = {"partner": partner, "token": issued, "prefix": prefix_of(issued), "expires_at": expires_at.isoformat()}
        typer.echo(line(row))
        return
    typer.echo(issued)
    stderr.print(f"for {partner}, until {expires_at:%Y-%m-%d %H:%M} UTC; it is shown only now", soft_wrap=True)
