"""Snapshots: where each ends, and what it lists. Callbacks by which endpoints consent"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BEFORE = "now, earliest, instant, cursor"


def upgrade() -> None:
    op.create_table(
        "subscription_snapshot",
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False, comment="the tail begins here"),
        sa.Column(
            "offsets",
            sa.ARRAY(sa.BigInteger()),
            nullable=True,
            comment="latest of each type and subject, ascending; null: not looked through yet",
        ),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.subscription_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("subscription_id", "topic", "partition", name=op.f("pk_subscription_snapshot")),
        comment="what a subscription that began with a snapshot gets before its tail",
    )
    op.create_table(
        "subscription_callback",
        sa.Column("token_digest", sa.LargeBinary(), nullable=False, comment="SHA-256; the token itself only the endpoint has"),
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="of the subscription that it was offered for"),
        sa.Column("asked_per_min", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consented_at", sa.DateTime(timezone=True), nullable=True, comment="null: not used yet"),
        sa.Column("granted_per_min", sa.Integer(), nullable=True, comment="null: no limit"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.subscription_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_subscription_callback")),
        comment="addresses by which an endpoint may consent, each once",
    )
    op.create_index(
        op.f("ix_subscription_callback_subscription_id"), "subscription_callback", ["subscription_id"], unique=False
    )
    op.alter_column("subscription", "start_at", comment=f"{BEFORE}, snapshot", existing_comment=BEFORE)


def downgrade() -> None:
    op.alter_column("subscription", "start_at", comment=BEFORE, existing_comment=f"{BEFORE}, snapshot")
    op.drop_table("subscription_callback")
    op.drop_table("subscription_snapshot")
