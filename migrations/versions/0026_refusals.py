"""What the gateway refuses of each partner, by hour and kind of problem

Refused events are stored nowhere: the gateways add their counts. A view gives them to scorecards and to Grafana.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003

VIEWS = {
    "v_partner_refusal": """
        SELECT partner_id AS partner, hour, problem, events FROM partner_refusal""",
}


def upgrade() -> None:
    op.create_table(
        "partner_refusal",
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="its beginning"),
        sa.Column("problem", sa.Text(), nullable=False, comment="the slug of its kind (gateway/catalogue.py)"),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["partner.partner_id"],
            name=op.f("fk_partner_refusal_partner_id_partner"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("partner_id", "hour", "problem", name=op.f("pk_partner_refusal")),
        comment="what the gateway refused of each partner; some seconds old, kept for days",
        postgresql_with={"fillfactor": "60"},
    )
    op.create_index(op.f("ix_partner_refusal_hour"), "partner_refusal", ["hour"])
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.drop_table("partner_refusal")
