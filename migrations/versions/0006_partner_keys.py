"""Partners' public keys, the signed tokens that were used, and how far we are in partners' own topics"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "partner_key",
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False, comment="names the key within its partner, for ever"),
        sa.Column("algorithm", sa.Text(), nullable=False, comment="EdDSA or ES256: the only one that this key is tried with"),
        sa.Column("jwk", sa.Text(), nullable=False, comment="the public key; the private one never leaves its partner"),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.partner_id"]),
        sa.PrimaryKeyConstraint("partner_id", "kid", name=op.f("pk_partner_key")),
        comment="what a partner's signed tokens are checked by",
    )
    op.create_table(
        "partner_jti",
        sa.Column("identity", sa.UUID(), nullable=False, comment="128-bit hash of partner and jti"),
        sa.Column("kept_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_partner_jti")),
        comment="signed tokens that were used, until they have expired",
    )
    op.create_index(op.f("ix_partner_jti_kept_until"), "partner_jti", ["kept_until"], unique=False)
    op.create_table(
        "connector_position",
        sa.Column("connector", sa.Text(), nullable=False, comment="the partner whose topic it is"),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("start_offset", sa.BigInteger(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False, comment="all below it was published or refused"),
        sa.Column("published", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refused", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", "topic", "partition", name=op.f("pk_connector_position")),
        comment="how far we are in partners' own Kafka topics",
    )


def downgrade() -> None:
    op.drop_table("connector_position")
    op.drop_index(op.f("ix_partner_jti_kept_until"), table_name="partner_jti")
    op.drop_table("partner_jti")
    op.drop_table("partner_key")
