"""States are looked at by small samples

Autovacuum looks at a busy state table once a minute. With PostgreSQL's default it read 30,000 rows of 31 columns: half a second
of a core, in which no old version of a row could be cleared away and commits waited. States are read by their key, calls and
alerts as a whole too, lists of projects from copies: a tenth of that tells the planner enough. A later column needs the same,
since the largest target of a table counts. Reads and writes go on meanwhile; it holds from the next look.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# ruff: noqa: S608 - our own constants


def _sample(target: int) -> None:
    """Set every column's statistics target. A sample has 300 rows for each unit of it; -1 is the server's default."""
    for table in ("project_status", "call_status", "alert_status"):
        op.execute(
            f"""
            DO $body$ BEGIN EXECUTE (
                SELECT 'ALTER TABLE {table} ' || string_agg(format('ALTER COLUMN %I SET STATISTICS {target}', attname), ', ')
                FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped
            ); END $body$"""
        )


def upgrade() -> None:
    _sample(10)


def downgrade() -> None:
    _sample(-1)
