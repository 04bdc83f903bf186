"""Deliveries that are not settled yet"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subscription_delivery",
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="gap-free per subscription, the same for every attempt"),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "failures", sa.Integer(), server_default="0", nullable=False, comment="attempts that the receiver did not put off"
        ),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=True, comment="first attempt"),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True, comment="of a dead letter driven again; else the log has it"),
        sa.Column("planned_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.subscription_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("subscription_id", "number", name=op.f("pk_subscription_delivery")),
        comment="numbered and not settled yet: what a deliverer takes up again after a crash",
        postgresql_with={"fillfactor": "50"},
    )
    op.add_column(
        "subscription_progress",
        sa.Column(
            "redriven", sa.BigInteger(), server_default="0", nullable=False, comment="counts orders to send something again"
        ),
    )
    op.create_index(
        op.f("ix_subscription_attempt_subscription_id_number"),
        "subscription_attempt",
        ["subscription_id", "number"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_subscription_attempt_subscription_id_number"), table_name="subscription_attempt")
    op.drop_column("subscription_progress", "redriven")
    op.drop_table("subscription_delivery")
