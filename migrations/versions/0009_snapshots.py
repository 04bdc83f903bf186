"""Snapshots: where each ends, and what it lists"""

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
    op.alter_column("subscription", "start_at", comment=f"{BEFORE}, snapshot", existing_comment=BEFORE)


def downgrade() -> None:
    op.alter_column("subscription", "start_at", comment=BEFORE, existing_comment=f"{BEFORE}, snapshot")
    op.drop_table("subscription_snapshot")
