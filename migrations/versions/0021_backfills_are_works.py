"""A backfill is long work: whose snapshot it is; while the subscription is not enabled, it waits and is not lost"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

BEFORE = "ingest, quarantine_replay, publish, timers_advance, delivery_replay"
AFTER = f"{BEFORE}, backfill"
ROLE = "dujiang_reader"  # made by 0003
V_WORK = """
        SELECT w.id, w.kind, w.title, w.started_by, w.started_at, w.beat_at, w.done, w.total,
               CASE {waiting}WHEN w.state = 'running' AND w.beat_at < now() - interval '2 minutes' THEN 'lost'
                    ELSE w.state END AS state,
               w.cancel_asked_at, w.cancel_asked_by, w.ended_at
        FROM work w{subscription}"""
VIEWS = {
    "v_work": V_WORK.format(
        waiting="WHEN w.state = 'running' AND s.state <> 'enabled' THEN 'waiting'\n                    ",
        subscription=" LEFT JOIN subscription s ON s.subscription_id = w.snapshot_of",
    )
}


def upgrade() -> None:
    op.add_column(
        "work",
        sa.Column(
            "snapshot_of", sa.Uuid(), nullable=True, comment="of a backfill: its subscription, which sends its snapshot once"
        ),
    )
    op.create_index(
        op.f("ix_work_snapshot_of"),
        "work",
        ["snapshot_of"],
        unique=True,
        postgresql_where=sa.text("state IN ('running', 'done')"),
    )
    op.alter_column("work", "kind", comment=AFTER, existing_comment=BEFORE)
    op.execute(f"CREATE OR REPLACE VIEW v_work AS{VIEWS['v_work']}")


def downgrade() -> None:
    op.execute(f"CREATE OR REPLACE VIEW v_work AS{V_WORK.format(waiting='', subscription='')}")
    op.alter_column("work", "kind", comment=BEFORE, existing_comment=AFTER)
    op.drop_index(op.f("ix_work_snapshot_of"), "work")
    op.drop_column("work", "snapshot_of")
