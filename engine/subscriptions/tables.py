"""Tables of subscriptions and of what was delivered to them."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, Index, Integer, LargeBinary, Table, Text, func, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from engine.tables import metadata


def _subscription(*, is_key: bool) -> Column[object]:
    key = ForeignKey("subscription.subscription_id", ondelete="CASCADE")
    return Column("subscription_id", UUID, key, primary_key=is_key, nullable=False)


def _instant(name: str, *, nullable: bool = True, now: bool = False, comment: str | None = None) -> Column[object]:
    default = func.now() if now else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default, comment=comment)


SUBSCRIPTION = Table(
    "subscription",
    metadata,
    Column("subscription_id", UUID, primary_key=True),
    Column("owner", Text, nullable=False, comment="a partner's id; - where nobody is asked who he is"),
    Column("revision", BigInteger, nullable=False, server_default="1", comment="counts every change"),
    Column("protocol", Text, nullable=False, comment="HTTP, MQTT5, S3, SSE, PULL, KAFKA"),
    Column("source", Text),
    Column("types", ARRAY(Text), nullable=False, comment="empty: every type the owner may receive"),
    Column("filters", JSONB, nullable=False),
    Column("sink", Text),
    Column("protocolsettings", JSONB, nullable=False),
    Column("config", JSONB, nullable=False),
    Column("start_at", Text, nullable=False, comment="now, earliest, instant, cursor, snapshot"),
    _instant("start_instant"),
    _instant("expires_at"),
    Column("purpose", Text),
    Column("legal_basis", Text),
    Column("approver", Text, comment="an office, never a person"),
    Column(
        "granted",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="scopes of the token that ordered it, beside its owner's; empty: all of these",
    ),
    Column("state", Text, nullable=False, comment="pending_validation, enabled, paused, disabled, expired"),
    Column("state_reason", Text, nullable=False),
    Column("state_by", Text, nullable=False, comment="partner, operator, platform"),
    Column("state_note", Text, comment="an operator's words"),
    _instant("state_since", nullable=False),
    _instant("validated_at", comment="null: the endpoint has not consented yet, or must again"),
    _instant("created_at", nullable=False),
    _instant("changed_at", nullable=False),
    Index(None, "owner"),
    comment="who receives what, and where that stands",
)

SUBSCRIPTION_POSITION = Table(
    "subscription_position",
    metadata,
    _subscription(is_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("start_offset", BigInteger, nullable=False, comment="where the subscription began"),
    Column("next_offset", BigInteger, nullable=False, comment="moved by deliveries; readers with a cursor carry theirs"),
    _instant("moved_at", nullable=False, now=True),
    postgresql_with={"fillfactor": "50"},
    comment="next offset per subscription and partition",
)

LOG_END = Table(
    "log_end",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("end_offset", BigInteger, nullable=False, comment="of the next record"),
    _instant("noted_at", nullable=False, now=True),
    postgresql_with={"fillfactor": "50"},
    comment="where the log ended when a deliverer last wrote it down, some seconds ago",
)

SUBSCRIPTION_READING = Table(
    "subscription_reading",
    metadata,
    _subscription(is_key=True),
    Column("consumer", Text, primary_key=True, comment="a group of Kafka's; empty: readers with a cursor"),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    _instant("moved_at", nullable=False, now=True, comment="when it was first seen to stand there"),
    postgresql_with={"fillfactor": "50"},
    comment="how far those have come that keep their own place; some seconds old, and no reading depends on it",
)

SUBSCRIPTION_SNAPSHOT = Table(
    "subscription_snapshot",
    metadata,
    _subscription(is_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("end_offset", BigInteger, nullable=False, comment="the tail begins here"),
    Column("offsets", ARRAY(BigInteger), comment="latest of each type and subject, ascending; null: not looked through yet"),
    comment="what a subscription that began with a snapshot gets before its tail",
)

SUBSCRIPTION_CALLBACK = Table(
    "subscription_callback",
    metadata,
    Column("token_digest", LargeBinary, primary_key=True, comment="SHA-256; the token itself only the endpoint has"),
    _subscription(is_key=False),
    Column("revision", BigInteger, nullable=False, comment="of the subscription that it was offered for"),
    Column("asked_per_min", Integer),
    _instant("expires_at", nullable=False),
    _instant("consented_at", comment="null: not used yet"),
    Column("granted_per_min", Integer, comment="null: no limit"),
    Index(None, "subscription_id"),
    comment="addresses by which an endpoint may consent, each once",
)

SUBSCRIPTION_PROGRESS = Table(
    "subscription_progress",
    metadata,
    _subscription(is_key=True),
    Column("last_number", BigInteger, nullable=False, server_default="0", comment="gap-free number of the last delivery"),
    Column("withheld_right", BigInteger, nullable=False, server_default="0"),
    Column("withheld_classification", BigInteger, nullable=False, server_default="0"),
    Column("granted_per_min", Integer, comment="what the endpoint allowed in its handshake; null: no limit"),
    Column("failures_in_row", Integer, nullable=False, server_default="0"),
    _instant("failing_since"),
    _instant("retry_at", comment="not before: back-off or Retry-After of the endpoint"),
    Column("redriven", BigInteger, nullable=False, server_default="0", comment="counts orders to send something again"),
    _instant("moved_at", nullable=False, now=True),
    _instant(
        "place_seen_at",
        comment="a reader with a cursor last came, or Kafka was last asked for its groups; null: never, or delivered to",
    ),
    postgresql_with={"fillfactor": "50"},
    comment="how far deliveries have come, and how the endpoint fares",
)

SUBSCRIPTION_DEAD_LETTER = Table(
    "subscription_dead_letter",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _subscription(is_key=False),
    Column("number", BigInteger, nullable=False, comment="the delivery's gap-free number"),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_source", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the event as it was to be delivered: structured JSON"),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", Integer, comment="the last HTTP answer; null: there was none"),
    Column("message", Text, nullable=False),
    _instant("first_failed_at", nullable=False),
    _instant("last_failed_at", nullable=False),
    Column("state", Text, nullable=False, server_default="waiting", comment="waiting, redriven, discarded"),
    _instant("settled_at"),
    Column("settled_by", Text),
    Unique("subscription_id", "topic", "partition", "record_offset"),
    Index(None, "subscription_id", "state"),
    comment="deliveries given up, for the partner to see and to drive again",
)

SUBSCRIPTION_ATTEMPT = Table(
    "subscription_attempt",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _subscription(is_key=False),
    Column("number", BigInteger, comment="the delivery's gap-free number; null for what was withheld"),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_source", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("attempt", Integer, nullable=False, comment="from 1"),
    _instant("started_at", nullable=False),
    Column("duration_ms", Integer),
    Column("outcome", Text, nullable=False, comment="acknowledged, failed, dead_lettered, withheld"),
    Column("reason", Text, comment="a stable code of the failure"),
    Column("status", Integer, comment="the HTTP answer; null: there was none"),
    _instant("retry_at", comment="when the next attempt is due"),
    Index(None, "subscription_id", "event_id"),
    Index(None, "subscription_id", "number"),
    Index(None, "started_at"),
    comment="trace of every attempt to deliver, readable by the partner; kept for a while",
)

SUBSCRIPTION_SECRET = Table(
    "subscription_secret",
    metadata,
    _subscription(is_key=True),
    Column("version", Integer, primary_key=True, comment="from 1; the newest signs first"),
    Column("kind", Text, nullable=False, comment="v1 (HMAC-SHA256), v1a (Ed25519), bearer, oauth2, plain"),
    Column("secret", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, comment="of v1a"),
    _instant("created_at", nullable=False, now=True),
    _instant("expires_at", comment="end of the overlap with its successor; null: in force"),
    comment="what deliveries are signed with and authorised by; never shown again, never logged",
)

SUBSCRIPTION_DELIVERY = Table(
    "subscription_delivery",
    metadata,
    _subscription(is_key=True),
    Column("number", BigInteger, primary_key=True, comment="gap-free per subscription, the same for every attempt"),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0", comment="attempts that the receiver did not put off"),
    _instant("first_at", comment="first attempt"),
    _instant("retry_at"),
    Column("body", LargeBinary, comment="of a dead letter driven again; else the log has it"),
    _instant("planned_at", nullable=False, now=True),
    Column("work_id", BigInteger, comment="the replay it is sent again for; null: none"),
    Index(None, "work_id", postgresql_where=text("work_id IS NOT NULL")),
    postgresql_with={"fillfactor": "50"},
    comment="numbered and not settled yet: what a deliverer takes up again after a crash",
)
