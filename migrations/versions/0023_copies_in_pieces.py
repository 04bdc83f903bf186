"""Copies for readers in pieces: a flood of changed projects costs a little for long, not half of PostgreSQL for seconds

A pass lists who was written since the last one, then copies a piece of the list at a time and rests after each. Recent events
are found by ranges of blocks that are told of at once, not at the next vacuum, which a large table seldom sees.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

RECENT = "ix_event_history_recorded_at"
PIECES_MAX = 64

BEGIN_BEFORE = str(import_module("migrations.versions.0013_reading_copy").BEGIN)
PROJECT_BEFORE = str(import_module("migrations.versions.0016_project_words")._refresh())
EVENT_BEFORE = str(import_module("migrations.versions.0014_reading_events").REFRESH)
BEGIN_CHANGES = (
    ("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
    ("    IF at < last.finished_at THEN", "    IF at < greatest(last.finished_at, last.listed_at) THEN"),
    ("at < last.finished_at + rest * (last.finished_at - last.started_at)", "at < last.rests_until"),
)
# ruff: noqa: S608 - our own constants
# After a piece or a whole pass that began at `began`.
REST = """
CREATE FUNCTION rest_reading(pass text, began timestamptz, rest float8, rest_s_max float8) RETURNS void LANGUAGE sql AS $body$
    UPDATE reading_pass SET rests_until = clock_timestamp()
        + make_interval(secs => least(rest * extract(epoch FROM clock_timestamp() - began), rest_s_max))
    WHERE name = pass
$body$
"""
# rest: times what a piece took; in a whole pass rest_s_max at most. piece: rows, or NULL for all at once.
PROJECT_CHANGES = (
    ("CREATE OR REPLACE FUNCTION", "CREATE FUNCTION"),
    (
        "refresh_project_reading(rest double precision DEFAULT 0)",
        "refresh_project_reading(rest float8 DEFAULT 0, rest_s_max float8 DEFAULT 'infinity', piece integer DEFAULT NULL)",
    ),
    ("    this record;\n", "    this record;\n    all_listed integer;\n"),
    (
        "    WITH written AS MATERIALIZED (",
        f"""    IF piece IS NULL OR this.read_from = '-infinity' THEN  -- whoever is listed is listed anew
        DELETE FROM project_reading_listed;
    END IF;
    -- Empty also after a crash of the server: then the same are listed again, since read_to has not moved.
    IF NOT EXISTS (SELECT FROM project_reading_listed) THEN
        INSERT INTO project_reading_listed SELECT project_id FROM project_status WHERE written_at >= this.read_from;
        GET DIAGNOSTICS all_listed = ROW_COUNT;
        UPDATE reading_pass SET listed = all_listed, listed_at = this.began, listed_to = this.up_to WHERE name = 'project';
    END IF;
    SELECT listed INTO STRICT all_listed FROM reading_pass WHERE name = 'project';
    IF piece IS NOT NULL THEN
        piece := greatest(piece, ceil(all_listed / {PIECES_MAX}.0));
    END IF;
    WITH taken AS MATERIALIZED (
        DELETE FROM project_reading_listed WHERE ctid = ANY (ARRAY(SELECT ctid FROM project_reading_listed LIMIT piece))
        RETURNING project_id
    ), written AS MATERIALIZED (""",
    ),
    ("        FROM project_status p\n", "        FROM taken JOIN project_status p USING (project_id)\n"),
    ("        WHERE p.written_at >= this.read_from\n", ""),
    (
        """    UPDATE reading_pass SET started_at = this.began, finished_at = clock_timestamp(), read_to = this.up_to
    WHERE name = 'project';
""",
        """    IF NOT EXISTS (SELECT FROM project_reading_listed) THEN
        UPDATE reading_pass SET started_at = listed_at, finished_at = clock_timestamp(), read_to = listed_to
        WHERE name = 'project';
    END IF;
    PERFORM rest_reading('project', this.began, rest, rest_s_max * piece / greatest(all_listed, piece));
""",
    ),
)
EVENT_CHANGES = (
    (
        "refresh_event_reading(rest double precision DEFAULT 0)",
        "refresh_event_reading(rest float8 DEFAULT 0, rest_s_max float8 DEFAULT 'infinity')",
    ),
    (
        "    RETURN changes;",
        """    PERFORM rest_reading('event', this.began, rest, rest_s_max);
    RETURN changes;""",
    ),
)


def _changed(text: str, changes: tuple[tuple[str, str], ...]) -> str:
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"not once in the function: {old}")
        text = text.replace(old, new)
    return text


def upgrade() -> None:
    _keep_passes_out()
    op.execute("CREATE UNLOGGED TABLE project_reading_listed (project_id text NOT NULL)")
    op.execute(
        "COMMENT ON TABLE project_reading_listed IS"
        " 'projects whose copy the present pass has still to look at; lost in a crash'"
    )
    columns = (
        sa.Column("listed", sa.Integer(), server_default="0", nullable=False, comment="rows that the present pass looks at"),
        sa.Column("listed_at", sa.DateTime(timezone=True), server_default="-infinity", nullable=False),
        sa.Column(
            "listed_to",
            sa.DateTime(timezone=True),
            server_default="-infinity",
            nullable=False,
            comment="read_to, once it is done",
        ),
        sa.Column("rests_until", sa.DateTime(timezone=True), server_default="-infinity", nullable=False),
    )
    for column in columns:
        op.add_column("reading_pass", column)
    op.execute("DROP FUNCTION refresh_project_reading")
    op.execute("DROP FUNCTION refresh_event_reading")
    op.execute(_changed(BEGIN_BEFORE, BEGIN_CHANGES))
    op.execute(REST)
    op.execute(_changed(PROJECT_BEFORE, PROJECT_CHANGES))
    op.execute(_changed(EVENT_BEFORE, EVENT_CHANGES))
    op.execute(f"ALTER INDEX {RECENT} SET (autosummarize = on)")
    op.execute(f"SELECT brin_summarize_new_values('{RECENT}')")


def downgrade() -> None:
    _keep_passes_out()
    op.execute(f"ALTER INDEX {RECENT} RESET (autosummarize)")
    op.execute("DROP FUNCTION refresh_project_reading")
    op.execute("DROP FUNCTION refresh_event_reading")
    op.execute(BEGIN_BEFORE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    op.execute("DROP FUNCTION rest_reading")
    op.execute(PROJECT_BEFORE)
    op.execute(EVENT_BEFORE)
    for column in ("rests_until", "listed_to", "listed_at", "listed"):
        op.drop_column("reading_pass", column)
    op.execute("DROP TABLE project_reading_listed")


def _keep_passes_out() -> None:
    op.execute("SELECT pg_advisory_xact_lock(7310913, hashtext('project'))")
    op.execute("SELECT pg_advisory_xact_lock(7310913, hashtext('event'))")
