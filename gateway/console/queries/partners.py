"""Who may publish."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import rows
from gateway.hearing import GRACE


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
    heard_at: datetime | None
    is_silent: bool


def kept_partners(cursor: Cursor[Any], partner_id: str | None = None) -> list[PartnerRow]:
    """All partners, or one."""
    return rows(
        cursor,
        PartnerRow,
        """SELECT p.partner_id, p.name, p.scopes, p.sources, p.events_per_s, p.events_per_day,
                  count(t.digest) AS tokens, max(t.expires_at) AS expires_at,
                  p.promised_s, h.heard_at,
                  -- NULL, where nothing is promised, is not silent.
                  (extract(epoch FROM now() - greatest(h.heard_at, p.promised_at)) > %(grace)s * p.promised_s) IS TRUE
                      AS is_silent
           FROM partner p LEFT JOIN partner_heard h USING (partner_id) LEFT JOIN partner_token t
                ON t.partner_id = p.partner_id AND t.revoked_at IS NULL AND t.expires_at > now()
           WHERE %(id)s::text IS NULL OR p.partner_id = %(id)s
           GROUP BY p.partner_id, h.heard_at ORDER BY p.partner_id LIMIT 500""",
        {"id": partner_id, "grace": GRACE},
    )
