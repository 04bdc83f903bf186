"""Silences of alerts, and long work with its progress"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# A silence lets nobody be late: whoever is to take an alert has as long for it, from the silence's end, as if it were new.
V_ALERT = """
        SELECT a.alert_key, split_part(a.alert_key, '/', 1) AS monitor, a.title, a.severity,
               array_position(ARRAY['info', 'low', 'warning', 'high', 'critical'], a.severity) AS severity_rank,
               a.condition, a.handling, {suppression} AS suppression, a.raised_at, a.last_seen, a.ended_at, a.closed_reason,
               extract(epoch FROM coalesce(a.ended_at, now()) - a.raised_at) AS age_s,
               waits.until AS acknowledge_by,
               coalesce(a.handling = 'open' AND a.condition = 'firing' AND waits.until < now(), false)
                   AS is_acknowledged_late,
               a.episodes, a.repeats, a.reopened, a.changed_at, a.changed_by{more}
        FROM alert_status a
        CROSS JOIN LATERAL (
            SELECT {attention} + CASE a.severity
                WHEN 'critical' THEN interval '15 minutes'
                WHEN 'high' THEN interval '1 hour'
                WHEN 'warning' THEN interval '1 day' END AS until
        ) waits"""
VIEWS = {
    "v_alert": V_ALERT.format(
        suppression="CASE WHEN a.silenced_until <= now() THEN 'none' ELSE a.suppression END",
        more=",\n               CASE WHEN a.silenced_until > now() THEN a.silenced_until END AS silenced_until",
        attention="CASE WHEN a.attention_at IS NOT NULL THEN greatest(a.attention_at, a.silenced_until) END",
    )
}
V_WORK = """
        SELECT w.id, w.kind, w.title, w.started_by, w.started_at, w.beat_at, w.done, w.total,
               CASE WHEN w.state = 'running' AND w.beat_at < now() - interval '2 minutes' THEN 'lost' ELSE w.state END AS state,
               w.cancel_asked_at, w.cancel_asked_by, w.ended_at
        FROM work w"""
VIEWS["v_work"] = V_WORK
ROLE = "dujiang_reader"  # made by 0003


def upgrade() -> None:
    op.add_column(
        "alert_status",
        sa.Column("silenced_until", sa.DateTime(timezone=True), nullable=True, comment="null: nobody asked for quiet"),
    )
    op.alter_column("alert_status", "suppression", comment="none, silenced; windows, inhibition, flapping come later")
    op.execute(f"CREATE OR REPLACE VIEW v_alert AS{VIEWS['v_alert']}")
    op.create_table(
        "work",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="ingest, quarantine_replay"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True, comment="null: nobody knows"),
        sa.Column("state", sa.Text(), server_default="running", nullable=False, comment="running, done, cancelled, failed"),
        sa.Column("cancel_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_asked_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work")),
        comment="long work: how far it is, and whether somebody asked it to stop",
    )
    op.execute(f"CREATE VIEW v_work AS{VIEWS['v_work']}")
    op.execute(f"GRANT SELECT ON v_work TO {ROLE}")


def downgrade() -> None:
    op.execute("DROP VIEW v_work")
    op.drop_table("work")
    op.execute("DROP VIEW v_alert")
    op.execute(f"CREATE VIEW v_alert AS{V_ALERT.format(suppression='a.suppression', more='', attention='a.attention_at')}")
    op.execute(f"GRANT SELECT ON v_alert TO {ROLE}")
    op.alter_column("alert_status", "suppression", comment="none; windows, inhibition, flapping come later")
    op.drop_column("alert_status", "silenced_until")
