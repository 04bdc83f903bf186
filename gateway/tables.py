"""The gateway's tables: partners with their tokens and keys, what was heard, refused and repeated of each, receipts."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Index, Integer, LargeBinary, Table, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from engine.tables import metadata

PARTNER = Table(
    "partner",
    metadata,
    Column("partner_id", Text, primary_key=True),
    Column("name", Text, nullable=False, comment="of the organisation, never of a person"),
    Column("scopes", ARRAY(Text), nullable=False, comment="operation:pattern; see gateway/identity.py"),
    Column("sources", ARRAY(Text), nullable=False, comment="a source is one of these or stands below it"),
    Column("events_per_s", Integer, nullable=False),
    Column("burst_events", Integer, nullable=False),
    Column("events_per_day", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("changed_by", Text, nullable=False),
    Column("promised_s", Integer, comment="to be heard of so often; null: never"),
    Column("promised_at", DateTime(timezone=True), comment="since when it promises that"),
    CheckConstraint("(promised_s IS NULL) = (promised_at IS NULL)", name="ck_partner_promise"),
    comment="who may publish and subscribe, what, and how much",
)

PARTNER_HEARD = Table(
    "partner_heard",
    metadata,
    Column("partner_id", Text, ForeignKey("partner.partner_id", ondelete="CASCADE"), primary_key=True),
    Column("heard_at", DateTime(timezone=True), nullable=False),
    comment="when something of a partner was last taken, by whatever way; some seconds old",
)

PARTNER_REFUSAL = Table(
    "partner_refusal",
    metadata,
    Column("partner_id", Text, ForeignKey("partner.partner_id", ondelete="CASCADE"), primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True, comment="its beginning"),
    Column("problem", Text, primary_key=True, comment="the slug of its kind (gateway/catalogue.py)"),
    Column("events", BigInteger, nullable=False),
    Index(None, "hour"),
    comment="what the gateway refused of each partner; some seconds old, kept for days",
    postgresql_with={"fillfactor": "60"},
)

PARTNER_REPEAT = Table(
    "partner_repeat",
    metadata,
    Column("partner_id", Text, ForeignKey("partner.partner_id", ondelete="CASCADE"), primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True, comment="its beginning"),
    Column("events", BigInteger, nullable=False),
    Index(None, "hour"),
    comment="what each partner sent again and got its first receipt for; some seconds old, kept for days",
    postgresql_with={"fillfactor": "60"},
)

PARTNER_TOKEN = Table(
    "partner_token",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="sha-256 of the token, which is shown once and kept nowhere"),
    Column("prefix", Text, nullable=False, unique=True, comment="the token's beginning, for people to name it by"),
    Column("partner_id", Text, ForeignKey("partner.partner_id"), nullable=False),
    Column("scopes", ARRAY(Text), nullable=False, comment="narrows the partner's; empty: all of them"),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("issued_by", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("revoked_by", Text),
    Index(None, "partner_id"),
    comment="what a partner proves itself by",
)

PARTNER_KEY = Table(
    "partner_key",
    metadata,
    Column("partner_id", Text, ForeignKey("partner.partner_id"), primary_key=True),
    Column("kid", Text, primary_key=True, comment="names the key within its partner, for ever"),
    Column("algorithm", Text, nullable=False, comment="EdDSA or ES256: the only one that this key is tried with"),
    Column("jwk", Text, nullable=False, comment="the public key; the private one never leaves its partner"),
    Column("added_at", DateTime(timezone=True), nullable=False),
    Column("added_by", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("revoked_by", Text),
    comment="what a partner's signed tokens are checked by",
)

PARTNER_JTI = Table(
    "partner_jti",
    metadata,
    Column("identity", UUID, primary_key=True, comment="128-bit hash of partner and jti"),
    Column("kept_until", DateTime(timezone=True), nullable=False),
    Index(None, "kept_until"),
    comment="signed tokens that were used, until they have expired",
)

RECEIPT = Table(
    "receipt",
    metadata,
    Column("identity", UUID, primary_key=True, comment="128-bit hash: of (source, id), or of a partner's Idempotency-Key"),
    Column("digest", LargeBinary, nullable=False, comment="of the content: the same identity with another one is a conflict"),
    Column("claimed_at", DateTime(timezone=True), nullable=False),
    Column("settled_at", DateTime(timezone=True), comment="null while the first request is under way"),
    Column("topic", Text, comment="where the record stands; null for an Idempotency-Key"),
    Column("partition", Integer),
    Column("record_offset", BigInteger),
    Index(None, "claimed_at"),
    comment="what was accepted, so that a repeat gets the first receipt; kept for gateway.receipts_days",
)
