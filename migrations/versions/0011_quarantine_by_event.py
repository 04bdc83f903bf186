"""Find a quarantined record by its event's id, for traces"""

from alembic import op

revision = "0011"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_quarantine_event_id"), "quarantine", ["event_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_quarantine_event_id"), table_name="quarantine")
