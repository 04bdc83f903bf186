"""The console's tables: who may use it, who is signed in, and what people did."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, Index, Integer, LargeBinary, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from engine.tables import metadata

CONSOLE_USER = Table(
    "console_user",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False, comment="viewer, operator, steward, partner"),
    Column("partner_id", Text, ForeignKey("partner.partner_id"), comment="of the role partner: whose things it sees"),
    Column("password_hash", Text, nullable=False, comment="scrypt; see gateway/console/passwords.py"),
    Column("failures", Integer, nullable=False, server_default="0", comment="wrong passwords since the last right one"),
    Column("locked_until", DateTime(timezone=True)),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("changed_by", Text, nullable=False),
    comment="who may use the console",
)

CONSOLE_SESSION = Table(
    "console_session",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="sha-256 of the cookie, which is kept nowhere"),
    Column("name", Text, ForeignKey("console_user.name", ondelete="CASCADE"), nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False, comment="the last page or deed; idle ones end"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index(None, "name"),
    comment="who is signed in",
)

CONSOLE_DEED = Table(
    "console_deed",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("done_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("done_by", Text, nullable=False),
    Column("action", Text, nullable=False, comment="acknowledge, close, assign, comment, repair, replay, park, sign_in, …"),
    Column("kind", Text, nullable=False, comment="alert, quarantine, user"),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default="{}"),
    Index(None, "kind", "subject", "id"),
    comment="what people did in the console; rows are only ever added",
)
