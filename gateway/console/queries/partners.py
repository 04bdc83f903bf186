"""Who may publish."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import rows


class PartnerRow(NamedTuple):
    """A partner, its rights and the token that holds longest."""

    partner_id: str
    name: str
    scopes: list[str]
    sources: list[str]
    events_per_s: int
    events_per_day: int
    tokens: int
    expires_at: datetime | None


def kept_partners(cursor: Cursor[Any], partner_id: str | None = None) -> list[PartnerRow]:
    """All partners, or one."""
    return rows(
        cursor,
        PartnerRow,
        """SELECT p.partner_id, p.name, p.scopes, p.sources, p.events_per_s, p.events_per_day,
                  count(t.digest) AS tokens, max(t.expires_at) AS expires_at
           FROM partner p LEFT JOIN partner_token t
                ON t.partner_id = p.partner_id AND t.revoked_at IS NULL AND t.expires_at > now()
           WHERE %(id)s::text IS NULL OR p.partner_id = %(id)s
           GROUP BY p.partner_id ORDER BY p.partner_id LIMIT 500""",
        {"id": partner_id},
    )
