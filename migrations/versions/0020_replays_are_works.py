"""A replay of deliveries is long work: each of its deliveries says whose it is"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BEFORE, AFTER = "ingest, quarantine_replay", "ingest, quarantine_replay, publish, timers_advance, delivery_replay"


def upgrade() -> None:
    op.add_column(
        "subscription_delivery",
        sa.Column("work_id", sa.BigInteger(), nullable=True, comment="the replay it is sent again for; null: none"),
    )
    op.create_index(  # replays alone: what is sent for the first time costs nothing more
        op.f("ix_subscription_delivery_work_id"),
        "subscription_delivery",
        ["work_id"],
        postgresql_where=sa.text("work_id IS NOT NULL"),
    )
    op.alter_column("work", "kind", comment=AFTER, existing_comment=BEFORE)


def downgrade() -> None:
    op.alter_column("work", "kind", comment=BEFORE, existing_comment=AFTER)
    op.drop_index(op.f("ix_subscription_delivery_work_id"), "subscription_delivery")
    op.drop_column("subscription_delivery", "work_id")
