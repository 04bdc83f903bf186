"""Who changed which right, token, key, subscription or secret, and when. A trigger of the database writes it (migration 0010).

So a change by hand is there like any other, and stands or falls with its transaction. What proves an identity is left out.
"""

from typing import Any, Final

from psycopg import Cursor
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from engine.database import named
from engine.tables import metadata

PLATFORM: Final = "platform"
ENTRIES_MAX: Final = 1_000

AUDIT_ENTRY = Table(
    "audit_entry",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(
        "transaction",
        BigInteger,
        nullable=False,
        server_default=text("(pg_current_xact_id()::text)::bigint"),
        comment="its number: a reader waits until no older one is under way",
    ),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("actor", Text, nullable=False, comment="operator:…, partner:…, platform, or role:… of the database"),
    Column("application", Text, nullable=False, comment="as the connection names itself"),
    Column("thing", Text, nullable=False, comment="partner, token, key, subscription, secret"),
    Column("thing_id", Text, nullable=False),
    Column("partner", Text, comment="whose it is"),
    Column("verb", Text, nullable=False, comment="created, changed, deleted"),
    Column("before", JSONB, nullable=False, comment="of what differs"),
    Column("after", JSONB, nullable=False, comment="of what differs"),
    Index(None, "partner", "transaction", "id"),
    comment="who changed which right, token, key, subscription or secret; only added to",
)


def act_as(cursor: Cursor[Any], actor: str) -> None:
    """Who changes what this transaction changes: PLATFORM, or what `by_operator` and `by_partner` return."""
    cursor.execute("SELECT set_config('dujiang.actor', %s, true)", (actor,))


def by_operator(name: str) -> str:
    """As an actor. Of its kind first: a user of the system may be named like a partner."""
    return f"operator:{name}"


def by_partner(partner_id: str) -> str:
    """As an actor."""
    return f"partner:{partner_id}"


def entries(cursor: Cursor[Any], partner: str | None, thing: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    cursor.execute(
        'SELECT id, at, actor, application, thing, thing_id, partner, verb, "before", "after" FROM audit_entry'
        " WHERE (%(partner)s::text IS NULL OR partner = %(partner)s) AND (%(thing)s::text IS NULL OR thing = %(thing)s)"
        " ORDER BY id DESC LIMIT %(limit)s",
        {"partner": partner, "thing": thing, "limit": min(limit, ENTRIES_MAX)},
    )
    return named(cursor)
