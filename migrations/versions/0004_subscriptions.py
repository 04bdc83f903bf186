"""Subscriptions, and what was delivered to them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subscription",
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="a partner's id; - where nobody is asked who he is"),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False, comment="counts every change"),
        sa.Column("protocol", sa.Text(), nullable=False, comment="HTTP, SSE, PULL, KAFKA"),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=False, comment="empty: every type the owner may receive"),
        sa.Column("filters", postgresql.JSONB(), nullable=False),
        sa.Column("sink", sa.Text(), nullable=True),
        sa.Column("protocolsettings", postgresql.JSONB(), nullable=False),
        sa.Column("config", postgresql.JSONB(), nullable=False),
        sa.Column("start_at", sa.Text(), nullable=False, comment="now, earliest, instant, cursor"),
        sa.Column("start_instant", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("legal_basis", sa.Text(), nullable=True),
        sa.Column("approver", sa.Text(), nullable=True, comment="an office, never a person"),
        sa.Column("state", sa.Text(), nullable=False, comment="pending_validation, enabled, paused, disabled, expired"),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("state_by", sa.Text(), nullable=False, comment="partner, operator, platform"),
        sa.Column("state_note", sa.Text(), nullable=True, comment="an operator's words"),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "validated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: the endpoint has not consented yet, or must again",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_subscription")),
        comment="who receives what, and where that stands",
    )
    op.create_index(op.f("ix_subscription_owner"), "subscription", ["owner"], unique=False)
    op.create_table(
        "subscription_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column(
            "number", sa.BigInteger(), nullable=True, comment="the delivery's gap-free number; null for what was withheld"
        ),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_source", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="from 1"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False, comment="acknowledged, failed, dead_lettered, withheld"),
        sa.Column("reason", sa.Text(), nullable=True, comment="a stable code of the failure"),
        sa.Column("status", sa.Integer(), nullable=True, comment="the HTTP answer; null: there was none"),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True, comment="when the next attempt is due"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.subscription_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_attempt")),
        comment="trace of every attempt to deliver, readable by the partner; kept for a while",
    )
    op.create_index(op.f("ix_subscription_attempt_started_at"), "subscription_attempt", ["started_at"], unique=False)
    op.create_index(
        op.f("ix_subscription_attempt_subscription_id_event_id"),
        "subscription_attempt",
        ["subscription_id", "event_id"],
        unique=False,
    )
    op.create_table(
        "subscription_dead_letter",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="the delivery's gap-free number"),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_source", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="the event as it was to be delivered: structured JSON"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True, comment="the last HTTP answer; null: there was none"),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False, comment="waiting, redriven, discarded"),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.subscription_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_dead_letter")),
        sa.UniqueConstraint(
            "subscription_id",
            "topic",
            "partition",
            "record_offset",
            name=op.f("uq_subscription_dead_letter_subscription_id_topic_partition_record_offset"),
        ),
        comment="deliveries given up, for the partner to see and to drive again",
    )
    op.create_index(
        op.f("ix_subscription_dead_letter_subscription_id_state"),
        "subscription_dead_letter",
        ["subscription_id", "state"],
        unique=False,
    )
    op.create_table(
        "subscription_position",
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("start_offset", sa.BigInteger(), nullable=False, comment="where the subscription began"),
        sa.Column(
            "next_offset",
            sa.BigInteger(),
            nullable=False,
            comment="moved by deliveries (HTTP); readers with a cursor carry theirs",
        ),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.subscription_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("subscription_id", "topic", "partition", name=op.f("pk_subscription_position")),
        comment="next offset per subscription and partition",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "subscription_progress",
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column(
            "last_number", sa.BigInteger(), server_default="0", nullable=False, comment="gap-free number of the last delivery"
        ),
        sa.Column("withheld_right", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("withheld_classification", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "granted_per_min", sa.Integer(), nullable=True, comment="what the endpoint allowed in its handshake; null: no limit"
        ),
        sa.Column("failures_in_row", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "retry_at", sa.DateTime(timezone=True), nullable=True, comment="not before: back-off or Retry-After of the endpoint"
        ),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.subscription_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_subscription_progress")),
        comment="how far deliveries have come, and how the endpoint fares",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "subscription_secret",
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="from 1; the newest signs first"),
        sa.Column("kind", sa.Text(), nullable=False, comment="v1 (HMAC-SHA256), v1a (Ed25519), bearer"),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=True, comment="of v1a"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="end of the overlap with its successor; null: in force",
        ),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.subscription_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("subscription_id", "version", name=op.f("pk_subscription_secret")),
        comment="what deliveries are signed with; never shown again, never logged",
    )


def downgrade() -> None:
    op.drop_table("subscription_secret")
    op.drop_table("subscription_progress")
    op.drop_table("subscription_position")
    op.drop_index(op.f("ix_subscription_dead_letter_subscription_id_state"), table_name="subscription_dead_letter")
    op.drop_table("subscription_dead_letter")
    op.drop_index(op.f("ix_subscription_attempt_subscription_id_event_id"), table_name="subscription_attempt")
    op.drop_index(op.f("ix_subscription_attempt_started_at"), table_name="subscription_attempt")
    op.drop_table("subscription_attempt")
    op.drop_index(op.f("ix_subscription_owner"), table_name="subscription")
    op.drop_table("subscription")
