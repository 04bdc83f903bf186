"""The register of partners and their tokens: what `dujiang partners` changes. A gateway sees it within five seconds."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

from psycopg import Cursor

from engine.database import named
from engine.locks import Number
from gateway.admission import RESERVED_SOURCES
from gateway.directory import TOKENS_MAX
from gateway.identity import (
    DOT_SEGMENT,
    PARTNER_ID,
    SCOPE,
    SCOPE_CHARS_MAX,
    SCOPES_MAX,
    SOURCE,
    SOURCES_MAX,
    Partner,
    digest_of,
    new_token,
    prefix_of,
)
from schemas.cloudevents import BATCH_EVENTS_MAX
from schemas.subscriptions import ONLY

NAME_CHARS_MAX: Final = 200
EVERY_MIN: Final = timedelta(minutes=1)  # what a gateway heard is written some seconds later
EVERY_MAX: Final = timedelta(days=366)
NESTED_MAX: Final = 100


class PartnerRefused(Exception):
    """What was asked for cannot be; the message says what to do."""


def put(cursor: Cursor[Any], partner: Partner, name: str, by: str, *, replace: bool, every: timedelta | None = None) -> bool:
    """Register a partner, or replace its rights: whether it was there. `every`: it promises to be heard of so often.

    Raises PartnerRefused.
    """
    _check(partner, name)
    if every is not None and not EVERY_MIN <= every <= EVERY_MAX:
        raise PartnerRefused(f"a rhythm is from {EVERY_MIN.seconds // 60} minute to {EVERY_MAX.days} days")
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (Number.PARTNERS,))
    known = _exists(cursor, partner.partner_id)
    if known and not replace:
        raise PartnerRefused(f"{partner.partner_id} is registered; --replace gives it these rights instead of its own")
    _refuse_given(cursor, partner)
    cursor.execute(
        "INSERT INTO partner"
        " (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by, promised_s, promised_at)"
        " VALUES (%(id)s, %(name)s, %(scopes)s, %(sources)s, %(rate)s, %(burst)s, %(quota)s, %(by)s, %(every_s)s::integer,"
        " CASE WHEN %(every_s)s::integer IS NOT NULL THEN now() END)"
        " ON CONFLICT (partner_id) DO UPDATE SET name = excluded.name, scopes = excluded.scopes,"
        " sources = excluded.sources, events_per_s = excluded.events_per_s, burst_events = excluded.burst_events,"
        " events_per_day = excluded.events_per_day, changed_by = excluded.changed_by, changed_at = now(),"
        # The same promise goes on: changing a right must not quieten an alert.
        " promised_s = excluded.promised_s, promised_at = CASE WHEN partner.promised_s = excluded.promised_s"
        " THEN partner.promised_at ELSE excluded.promised_at END",
        {
            "id": partner.partner_id,
            "name": name,
            "scopes": list(partner.scopes),
            "sources": list(partner.sources),
            "rate": partner.allowance.events_per_s,
            "burst": partner.allowance.burst_events,
            "quota": partner.allowance.events_per_day,
            "by": by,
            "every_s": None if every is None else int(every.total_seconds()),
        },
    )
    return known


class Nested(NamedTuple):
    """A source of a partner and one below it that is another's."""

    upper: str
    upper_of: str
    lower: str
    lower_of: str


def nested(cursor: Cursor[Any], partner_id: str) -> list[Nested]:
    """Where the partner's sources stand below another's, or have another's below them."""
    cursor.execute(
        f"""SELECT upper, u.partner_id, lower, l.partner_id
            FROM partner u CROSS JOIN unnest(u.sources) AS upper, partner l CROSS JOIN unnest(l.sources) AS lower
            WHERE %(id)s IN (u.partner_id, l.partner_id) AND u.partner_id <> l.partner_id AND starts_with(lower, upper || '/')
            ORDER BY lower, upper LIMIT {NESTED_MAX}""",  # noqa: S608 - our own constant
        {"id": partner_id},
    )
    return [Nested(*row) for row in cursor.fetchall()]


def issue(cursor: Cursor[Any], partner_id: str, scopes: Sequence[str], now: datetime, expires_at: datetime, by: str) -> str:
    """A new token: the only time that it is seen. Raises PartnerRefused."""
    _check_scopes(scopes)
    refuse_unknown(cursor, partner_id)
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (Number.PARTNERS,))
    cursor.execute("SELECT count(*) FROM partner_token WHERE revoked_at IS NULL AND expires_at > %(now)s", {"now": now})
    if cursor.fetchall()[0][0] >= TOKENS_MAX:
        raise PartnerRefused(f"{TOKENS_MAX} tokens are in force, the most there may be; revoke those not used")
    token = new_token()
    cursor.execute(
        "INSERT INTO partner_token (digest, prefix, partner_id, scopes, issued_at, issued_by, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (digest_of(token), prefix_of(token), partner_id, list(scopes), now, by, expires_at),
    )
    return token


def rotate(
    cursor: Cursor[Any], partner_id: str, prefix: str, now: datetime, expires_at: datetime, overlap_ends: datetime, by: str
) -> str:
    """A new token with the same scopes; the old one holds until `overlap_ends`, or its own end. Raises PartnerRefused."""
    cursor.execute(
        "UPDATE partner_token SET expires_at = least(expires_at, %(ends)s)"
        " WHERE partner_id = %(id)s AND prefix = %(prefix)s AND revoked_at IS NULL AND expires_at > %(now)s"
        " RETURNING scopes",
        {"id": partner_id, "prefix": prefix, "now": now, "ends": overlap_ends},
    )
    found = cursor.fetchone()
    if found is None:
        raise _no_such_token(partner_id, prefix)
    return issue(cursor, partner_id, found[0], now, expires_at, by)


def revoke(cursor: Cursor[Any], partner_id: str, prefix: str | None, now: datetime, by: str) -> list[str]:
    """End one token, or with None all of the partner's; returns their prefixes. Raises PartnerRefused."""
    refuse_unknown(cursor, partner_id)
    cursor.execute(
        "UPDATE partner_token SET revoked_at = %(now)s, revoked_by = %(by)s WHERE partner_id = %(id)s"
        " AND (%(prefix)s::text IS NULL OR prefix = %(prefix)s) AND revoked_at IS NULL AND expires_at > %(now)s"
        " RETURNING prefix",
        {"id": partner_id, "prefix": prefix, "now": now, "by": by},
    )
    revoked = sorted(row[0] for row in cursor.fetchall())
    if prefix is not None and not revoked:
        raise _no_such_token(partner_id, prefix)
    return revoked


def partners(cursor: Cursor[Any], now: datetime) -> list[dict[str, Any]]:
    """Every partner, with the prefixes of its tokens in force, its promise, and when it was last heard of."""
    return rows(
        cursor,
        "SELECT partner_id AS partner, name, scopes, sources, events_per_s, burst_events, events_per_day, promised_s,"
        " (SELECT heard_at FROM partner_heard h WHERE h.partner_id = p.partner_id) AS heard_at,"
        " ARRAY(SELECT prefix FROM partner_token t WHERE t.partner_id = p.partner_id AND revoked_at IS NULL"
        " AND expires_at > %(now)s ORDER BY issued_at, prefix) AS tokens FROM partner p ORDER BY 1",
        now,
    )


def tokens(cursor: Cursor[Any], now: datetime) -> list[dict[str, Any]]:
    """Every token there ever was, by its prefix."""
    return rows(
        cursor,
        "SELECT partner_id AS partner, prefix, scopes, CASE WHEN revoked_at IS NOT NULL THEN 'revoked'"
        " WHEN expires_at <= %(now)s THEN 'expired' ELSE 'in force' END AS state,"
        " issued_at, issued_by, expires_at, revoked_at, revoked_by FROM partner_token ORDER BY 1, issued_at, 2",
        now,
    )


def rows(cursor: Cursor[Any], query: LiteralString, now: datetime) -> list[dict[str, Any]]:
    """What a query with %(now)s finds, each row by its columns' names."""
    cursor.execute(query, {"now": now})
    return named(cursor)


def _check(partner: Partner, name: str) -> None:
    if not PARTNER_ID.fullmatch(partner.partner_id):
        raise PartnerRefused(f"{partner.partner_id!r} is no id of a partner; write 1 to 63 of a-z, 0-9 and -")
    if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise PartnerRefused(f"the name has 1 to {NAME_CHARS_MAX} characters that can be printed")
    if not partner.scopes:
        raise PartnerRefused("a partner without rights can do nothing; add --scope publish:gov.stiib.research.*")
    _check_scopes(partner.scopes)
    _check_sources(partner.sources)
    if partner.allowance.events_per_s < 1 or partner.allowance.events_per_day < 1:
        raise PartnerRefused("rate and quota are at least 1 event")
    if partner.allowance.burst_events < BATCH_EVENTS_MAX:
        raise PartnerRefused(f"the burst is at least {BATCH_EVENTS_MAX} events: a longest batch could never pass otherwise")


def _check_scopes(scopes: Sequence[str]) -> None:
    if scopes and all(scope.startswith(ONLY) for scope in scopes):
        raise PartnerRefused("`only:` narrows and gives nothing by itself; name the scopes that it narrows, too")
    if len(scopes) > SCOPES_MAX:
        raise PartnerRefused(f"at most {SCOPES_MAX} scopes")
    for scope in scopes:
        if len(scope) > SCOPE_CHARS_MAX or not SCOPE.fullmatch(scope):
            raise PartnerRefused(
                f"{scope!r} is no scope; write publish:TYPE, subscribe:TYPE or call:/PATH, a star at the end for all that"
                " begin so; clearance:internal, clearance:restricted; or only:ATTRIBUTE=VALUE, likewise"
            )


def _check_sources(sources: Sequence[str]) -> None:
    if not 0 < len(sources) <= SOURCES_MAX:
        raise PartnerRefused(f"a partner has 1 to {SOURCES_MAX} sources")
    for source in sources:
        if not SOURCE.fullmatch(source) or re.search(r"/$", source):
            raise PartnerRefused(f"{source!r} is no source; write /partners/ID or another URI, without a slash at its end")
        if DOT_SEGMENT.search(source):
            raise PartnerRefused(f"{source!r} has a dot segment, which nobody may speak as; write where it leads to")
        if f"{source}/".startswith(RESERVED_SOURCES):
            raise PartnerRefused(f"{source!r} is the platform's own; give the partner /partners/ID")


def _refuse_given(cursor: Cursor[Any], partner: Partner) -> None:
    """Two that speak as one could not be told apart."""
    cursor.execute(
        "SELECT source, partner_id FROM partner, unnest(sources) AS source WHERE partner_id <> %s AND source = ANY(%s) LIMIT 1",
        (partner.partner_id, list(partner.sources)),
    )
    for source, other in cursor.fetchall():
        raise PartnerRefused(f"{source!r} is {other}'s already; give one below it, or change {other} first")


def _exists(cursor: Cursor[Any], partner_id: str) -> bool:
    cursor.execute("SELECT 1 FROM partner WHERE partner_id = %s", (partner_id,))
    return cursor.fetchone() is not None


def refuse_unknown(cursor: Cursor[Any], partner_id: str) -> None:
    """Raises PartnerRefused."""
    if not _exists(cursor, partner_id):
        raise PartnerRefused(f"no partner {partner_id!r}; `dujiang partners list` shows all")


def _no_such_token(partner_id: str, prefix: str) -> PartnerRefused:
    return PartnerRefused(f"{partner_id} has no token {prefix!r} in force; `dujiang partners list --tokens` shows all")
