"""Partners, their tokens, and receipts"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "partner",
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="of the organisation, never of a person"),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False, comment="operation:pattern; see gateway/identity.py"),
        sa.Column(
            "sources", postgresql.ARRAY(sa.Text()), nullable=False, comment="a source is one of these or stands below it"
        ),
        sa.Column("events_per_s", sa.Integer(), nullable=False),
        sa.Column("burst_events", sa.Integer(), nullable=False),
        sa.Column("events_per_day", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_partner")),
        comment="who may publish and subscribe, what, and how much",
    )
    op.create_table(
        "partner_token",
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=False,
            comment="sha-256 of the token, which is shown once and kept nowhere",
        ),
        sa.Column("prefix", sa.Text(), nullable=False, comment="the token's beginning, for people to name it by"),
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False, comment="narrows the partner's; empty: all of them"),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.partner_id"]),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_partner_token")),
        sa.UniqueConstraint("prefix", name=op.f("uq_partner_token_prefix")),
        comment="what a partner proves itself by",
    )
    op.create_index(op.f("ix_partner_token_partner_id"), "partner_token", ["partner_id"], unique=False)
    op.create_table(
        "receipt",
        sa.Column(
            "identity",
            sa.UUID(),
            nullable=False,
            comment="128-bit hash: of (source, id), or of a partner's Idempotency-Key",
        ),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=False,
            comment="of the content: the same identity with another one is a conflict",
        ),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "settled_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null while the first request is under way",
        ),
        sa.Column("topic", sa.Text(), nullable=True, comment="where the record stands; null for an Idempotency-Key"),
        sa.Column("partition", sa.Integer(), nullable=True),
        sa.Column("record_offset", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_receipt")),
        comment="what was accepted, so that a repeat gets the first receipt; kept for gateway.receipts_days",
    )
    op.create_index(op.f("ix_receipt_claimed_at"), "receipt", ["claimed_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_receipt_claimed_at"), table_name="receipt")
    op.drop_table("receipt")
    op.drop_index(op.f("ix_partner_token_partner_id"), table_name="partner_token")
    op.drop_table("partner_token")
    op.drop_table("partner")
