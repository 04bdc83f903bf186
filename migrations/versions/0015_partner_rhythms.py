"""What rhythm a partner promised, and when each was last heard of

The promise is a right like the others and stands in `partner`, whose changes are logged. What changes every few seconds has a
table of its own, which is not.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "partner", sa.Column("promised_s", sa.Integer(), nullable=True, comment="to be heard of so often; null: never")
    )
    op.add_column(
        "partner", sa.Column("promised_at", sa.DateTime(timezone=True), nullable=True, comment="since when it promises that")
    )
    op.create_check_constraint(op.f("ck_partner_promise"), "partner", "(promised_s IS NULL) = (promised_at IS NULL)")
    op.create_table(
        "partner_heard",
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.partner_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_partner_heard")),
        comment="when something of a partner was last taken, by whatever way; some seconds old",
    )


def downgrade() -> None:
    op.drop_table("partner_heard")
    op.drop_constraint(op.f("ck_partner_promise"), "partner")
    op.drop_column("partner", "promised_at")
    op.drop_column("partner", "promised_s")
