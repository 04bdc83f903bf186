"""Find a quarantined record by its event's id, for traces; secrets that tokens are asked for with"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_KINDS = "v1 (HMAC-SHA256), v1a (Ed25519), bearer"


def upgrade() -> None:
    op.create_index(op.f("ix_quarantine_event_id"), "quarantine", ["event_id"], unique=False)
    op.alter_column("subscription_secret", "kind", comment=f"{_KINDS}, oauth2", existing_comment=_KINDS)


def downgrade() -> None:
    op.alter_column("subscription_secret", "kind", comment=_KINDS, existing_comment=f"{_KINDS}, oauth2")
    op.drop_index(op.f("ix_quarantine_event_id"), table_name="quarantine")
