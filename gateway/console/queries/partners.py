"""Who may publish."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import rows
from gateway.hearing import GRACE
from gateway.sources import Register

CREDENTIALS_MAX: Final = 100


class PartnerRow(NamedTuple):
    """A partner, its rights, the token that holds longest, and how it keeps the rhythm that it promised."""

    partner_id: str
    name: str
    scopes: list[str]
    sources: list[str]
    events_per_s: int
    events_per_day: int
    tokens: int
    expires_at: datetime | None
    promised_s: int | None
    promised_at: datetime | None
    heard_at: datetime | None
    is_silent: bool


class Credential(NamedTuple):
    """What a partner may show to be let in. kind: token or key. note: the key's algorithm, or what the token is kept to."""

    kind: str
    name: str
    note: str
    added_at: datetime
    expires_at: datetime


def kept_credentials(cursor: Cursor[Any], partner_id: str) -> list[Credential]:
    """Those in force, the first to expire first: a token by the beginning that its list names, a key by its kid."""
    return rows(
        cursor,
        Credential,
        f"""SELECT 'token' AS kind, prefix AS name, array_to_string(scopes, ', ') AS note, issued_at AS added_at, expires_at
            FROM partner_token WHERE partner_id = %(id)s AND revoked_at IS NULL AND expires_at > now()
            UNION ALL
            SELECT 'key', kid, algorithm, added_at, expires_at
            FROM partner_key WHERE partner_id = %(id)s AND revoked_at IS NULL AND expires_at > now()
            ORDER BY expires_at, name LIMIT {CREDENTIALS_MAX}""",  # noqa: S608 - our own constant
        {"id": partner_id},
    )


def kept_register(cursor: Cursor[Any]) -> Register:
    """Whose each source is."""
    cursor.execute("SELECT partner_id, sources FROM partner")
    return Register(dict(cursor.fetchall()))


def kept_partners(cursor: Cursor[Any], partner_id: str | None = None) -> list[PartnerRow]:
    """All partners, or one."""
    return rows(
        cursor,
        PartnerRow,
        """SELECT p.partner_id, p.name, p.scopes, p.sources, p.events_per_s, p.events_per_day,
                  count(t.digest) AS tokens, max(t.expires_at) AS expires_at,
                  p.promised_s, p.promised_at, h.heard_at,
                  -- NULL, where nothing is promised, is not silent.
                  (extract(epoch FROM now() - greatest(h.heard_at, p.promised_at)) > %(grace)s * p.promised_s) IS TRUE
                      AS is_silent
           FROM partner p LEFT JOIN partner_heard h USING (partner_id) LEFT JOIN partner_token t
                ON t.partner_id = p.partner_id AND t.revoked_at IS NULL AND t.expires_at > now()
           WHERE %(id)s::text IS NULL OR p.partner_id = %(id)s
           GROUP BY p.partner_id, h.heard_at ORDER BY p.partner_id LIMIT 500""",
        {"id": partner_id, "grace": GRACE},
    )
