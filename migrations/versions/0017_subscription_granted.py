"""What a subscription was ordered with: the scopes of its token, which narrow what goes out when no token is at hand

Those that exist were judged by their partner's rights alone, and go on so until they are changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "subscription",
        sa.Column(
            "granted",
            sa.ARRAY(sa.Text()),
            nullable=False,
            server_default="{}",
            comment="scopes of the token that ordered it, beside its owner's; empty: all of these",
        ),
    )


def downgrade() -> None:
    op.drop_column("subscription", "granted")
