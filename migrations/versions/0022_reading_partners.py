"""A view of partners for Grafana: who is registered, and as which sources it speaks

Names, scopes and allowances stay out: dashboards choose by id, and find a partner's events by its sources.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003

VIEWS = {
    "v_partner": """
        SELECT partner_id AS partner, sources FROM partner""",
}


def upgrade() -> None:
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
