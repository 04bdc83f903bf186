"""A view of subscriptions for Grafana: who receives what, on which basis, and how far behind"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003

# An expiry holds from its instant on, whether or not somebody has written it down (schemas/subscriptions/lifecycle.py).
# Secrets, endpoints, filters and what a subscriber keeps for itself stay out.
VIEWS = {
    "v_subscription": """
        SELECT s.subscription_id::text AS subscription_id, s.owner AS partner, s.protocol,
               CASE WHEN s.types = '{}' THEN '*' ELSE array_to_string(s.types, ', ') END AS types,
               CASE WHEN s.expires_at <= now() AND s.state <> 'disabled' THEN 'expired' ELSE s.state END AS state,
               CASE WHEN s.expires_at <= now() AND s.state <> 'disabled' THEN 'expired' ELSE s.state_reason END AS reason,
               s.purpose, s.legal_basis, s.approver, s.created_at, s.changed_at, s.expires_at,
               coalesce(p.last_number, 0) AS last_number, coalesce(waits.deliveries, 0) AS waiting,
               coalesce(extract(epoch FROM now() - waits.planned_at), 0) AS behind_s,
               coalesce(dead.letters, 0) AS dead_letters,
               coalesce(p.withheld_right + p.withheld_classification, 0) AS withheld
        FROM subscription s
        LEFT JOIN subscription_progress p USING (subscription_id)
        LEFT JOIN LATERAL (
            SELECT count(*) AS deliveries, min(planned_at) AS planned_at
            FROM subscription_delivery d WHERE d.subscription_id = s.subscription_id
        ) waits ON true
        LEFT JOIN LATERAL (
            SELECT count(*) AS letters
            FROM subscription_dead_letter l WHERE l.subscription_id = s.subscription_id AND l.state = 'waiting'
        ) dead ON true""",
}


def upgrade() -> None:
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
