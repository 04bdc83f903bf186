"""The console's users, sessions and deeds"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_user",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="viewer, operator, steward, partner"),
        sa.Column("partner_id", sa.Text(), nullable=True, comment="of the role partner: whose things it sees"),
        sa.Column("password_hash", sa.Text(), nullable=False, comment="scrypt; see gateway/console/passwords.py"),
        sa.Column(
            "failures", sa.Integer(), server_default="0", nullable=False, comment="wrong passwords since the last right one"
        ),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.partner_id"]),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_console_user")),
        comment="who may use the console",
    )
    op.create_table(
        "console_session",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="sha-256 of the cookie, which is kept nowhere"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, comment="the last page or deed; idle ones end"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["name"], ["console_user.name"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_console_session")),
        comment="who is signed in",
    )
    op.create_index(op.f("ix_console_session_name"), "console_session", ["name"], unique=False)
    op.create_table(
        "console_deed",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=False),
        sa.Column(
            "action", sa.Text(), nullable=False, comment="acknowledge, close, assign, comment, repair, replay, park, sign_in, …"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="alert, quarantine, user"),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_deed")),
        comment="what people did in the console; rows are only ever added",
    )
    op.create_index(op.f("ix_console_deed_kind_subject_id"), "console_deed", ["kind", "subject", "id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_console_deed_kind_subject_id"), table_name="console_deed")
    op.drop_table("console_deed")
    op.drop_index(op.f("ix_console_session_name"), table_name="console_session")
    op.drop_table("console_session")
    op.drop_table("console_user")
