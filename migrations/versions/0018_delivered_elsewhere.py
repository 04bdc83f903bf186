"""Deliveries to brokers and stores: what the tables say of themselves"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Table, column, before, after; without a column the table's own.
COMMENTS = (
    ("subscription", "protocol", "HTTP, SSE, PULL, KAFKA", "HTTP, MQTT5, S3, SSE, PULL, KAFKA"),
    (
        "subscription_position",
        "next_offset",
        "moved by deliveries (HTTP); readers with a cursor carry theirs",
        "moved by deliveries; readers with a cursor carry theirs",
    ),
    (
        "subscription_secret",
        "kind",
        "v1 (HMAC-SHA256), v1a (Ed25519), bearer, oauth2",
        "v1 (HMAC-SHA256), v1a (Ed25519), bearer, oauth2, plain",
    ),
    (
        "subscription_secret",
        None,
        "what deliveries are signed with; never shown again, never logged",
        "what deliveries are signed with and authorised by; never shown again, never logged",
    ),
)


def upgrade() -> None:
    for table, column, before, after in COMMENTS:
        _say(table, column, before, after)


def downgrade() -> None:
    for table, column, before, after in COMMENTS:
        _say(table, column, after, before)


def _say(table: str, column: str | None, before: str, after: str) -> None:
    if column is None:
        op.create_table_comment(table, after, existing_comment=before)
    else:
        op.alter_column(table, column, comment=after, existing_comment=before)
