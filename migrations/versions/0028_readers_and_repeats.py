"""How far subscribers are behind the log, who may read what is not public, and what partners sent again

Deliverers write the log's ends down now and then, so that what stands in no subscription's deliveries yet counts, too. Repeats
that the gateway answers by the first receipt reach no log: the gateways add their counts.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003

BEFORE = {"v_subscription": str(import_module("migrations.versions.0008_reading_subscriptions").VIEWS["v_subscription"])}
# Readers with a cursor of their own leave no position here. All positions are compared once: a question for each subscription
# would cost ten times as much.
UNREAD = """,
               CASE WHEN s.protocol IN ('HTTP', 'MQTT5', 'S3') AND EXISTS (SELECT FROM log_end)
                    THEN coalesce(behind.records, 0) END AS unread
        FROM subscription s
        LEFT JOIN (
            SELECT o.subscription_id, sum(e.end_offset - o.next_offset)::bigint AS records
            FROM subscription_position o JOIN log_end e USING (topic, partition)
            WHERE o.next_offset < e.end_offset GROUP BY 1
        ) behind USING (subscription_id)"""
VIEWS = {
    "v_subscription": BEFORE["v_subscription"].replace("\n        FROM subscription s", UNREAD, 1),
    "v_partner_repeat": """
        SELECT partner_id AS partner, hour, events FROM partner_repeat""",
    # Both lists of scopes must allow: the partner's, and those of the token that ordered the subscription, if it has any.
    # Without purpose, legal basis and approver only public events go out (schemas/subscriptions/rights.py).
    "v_reader": """
        SELECT p.partner_id AS partner, own.may_receive, own.narrowed_to, own.clearance,
               s.subscription_id::text AS subscription_id, s.protocol,
               CASE WHEN s.types = '{}' THEN '*' ELSE array_to_string(s.types, ', ') END AS types,
               CASE WHEN s.expires_at <= now() AND s.state <> 'disabled' THEN 'expired' ELSE s.state END AS state,
               CASE WHEN s.subscription_id IS NULL THEN NULL
                    WHEN s.purpose IS NULL OR s.legal_basis IS NULL OR s.approver IS NULL THEN 'public'
                    WHEN s.granted = '{}' THEN own.clearance
                    ELSE (ARRAY['public', 'internal', 'restricted'])[least(own.rank, token.rank)] END AS reads_up_to,
               array_to_string(ARRAY(
                   SELECT type FROM unnest(s.types) type
                   WHERE NOT EXISTS (
                       SELECT FROM unnest(p.scopes) scope WHERE scope_fits(scope, 'subscribe:' || type)
                   ) OR s.granted <> '{}' AND NOT EXISTS (
                       SELECT FROM unnest(s.granted) scope WHERE scope_fits(scope, 'subscribe:' || type)
                   ) ORDER BY type
               ), ', ') AS beyond,
               coalesce(g.withheld_right + g.withheld_classification, 0) AS withheld
        FROM partner p
        CROSS JOIN LATERAL (
            SELECT string_agg(substr(scope, 11), ', ' ORDER BY scope) FILTER (WHERE starts_with(scope, 'subscribe:'))
                       AS may_receive,
                   string_agg(substr(scope, 6), ', ' ORDER BY scope) FILTER (WHERE starts_with(scope, 'only:')) AS narrowed_to,
                   max(clearance_rank(scope)) AS rank,
                   (ARRAY['public', 'internal', 'restricted'])[max(clearance_rank(scope))] AS clearance
            FROM unnest(p.scopes) scope
        ) own
        LEFT JOIN subscription s ON s.owner = p.partner_id
        LEFT JOIN subscription_progress g ON g.subscription_id = s.subscription_id
        CROSS JOIN LATERAL (SELECT max(clearance_rank(scope)) AS rank FROM unnest(s.granted) scope) token
        WHERE own.may_receive IS NOT NULL""",
}
FUNCTIONS = (
    """CREATE FUNCTION scope_fits(scope text, wanted text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN
        CASE WHEN right(scope, 1) = '*' THEN starts_with(wanted, left(scope, -1)) ELSE scope = wanted END""",
    """CREATE FUNCTION clearance_rank(scope text) RETURNS integer LANGUAGE sql IMMUTABLE RETURN
        CASE scope WHEN 'clearance:restricted' THEN 3 WHEN 'clearance:internal' THEN 2 ELSE 1 END""",
)


def upgrade() -> None:
    op.create_table(
        "log_end",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False, comment="of the next record"),
        sa.Column("noted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("pk_log_end")),
        comment="where the log ended when a deliverer last wrote it down, some seconds ago",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "partner_repeat",
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="its beginning"),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"], ["partner.partner_id"], name=op.f("fk_partner_repeat_partner_id_partner"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("partner_id", "hour", name=op.f("pk_partner_repeat")),
        comment="what each partner sent again and got its first receipt for; some seconds old, kept for days",
        postgresql_with={"fillfactor": "60"},
    )
    op.create_index(op.f("ix_partner_repeat_hour"), "partner_repeat", ["hour"])
    for function in FUNCTIONS:
        op.execute(function)
    for name, select in VIEWS.items():
        op.execute(f"CREATE OR REPLACE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    for name, select in BEFORE.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")
    op.execute("DROP FUNCTION clearance_rank")
    op.execute("DROP FUNCTION scope_fits")
    op.drop_table("partner_repeat")
    op.drop_table("log_end")
