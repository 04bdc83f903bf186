"""A copy of the few events that lists count: applications by call, extensions by time

The history has millions of events and one of ten is an application; an index on them would cost every event that is stored. The
pass that copies projects takes them along, found by a block range index on when they were stored.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003

VIEWS = {
    "v_application": """
        SELECT subject AS project_id, call_id, event_time AS submitted_at FROM event_reading WHERE kind = 'application'""",
    "v_extension": """
        SELECT subject AS project_id, event_source, event_id, event_time FROM event_reading WHERE kind = 'extension'""",
    # By the copy, which knows the few projects that have any.
    "v_parked_event": """
        SELECT p.project_id, p.title, item ->> 0 AS event_name, item ->> 1 AS event_id, item ->> 2 AS event_source,
               (item ->> 4)::timestamptz AS event_time, extract(epoch FROM now() - (item ->> 4)::timestamptz) AS age_s
        FROM project_reading r JOIN project_status p ON p.project_id = r.project_id
        CROSS JOIN LATERAL jsonb_array_elements(p.parked) AS item
        WHERE r.parked_events > 0""",
}
BEFORE = {  # as 0003 made them
    "v_application": """
        SELECT subject AS project_id, (event::json) -> 'data' ->> 'call_id' AS call_id, event_time AS submitted_at
        FROM event_history WHERE event_type LIKE '%.research.application.submitted.v_'""",
    "v_parked_event": """
        SELECT p.project_id, p.title, item ->> 0 AS event_name, item ->> 1 AS event_id, item ->> 2 AS event_source,
               (item ->> 4)::timestamptz AS event_time, extract(epoch FROM now() - (item ->> 4)::timestamptz) AS age_s
        FROM project_status p CROSS JOIN LATERAL jsonb_array_elements(p.parked) AS item""",
}

# One event whose data PostgreSQL cannot hold as text (a NUL) must not keep all others out.
CALL_OF = """
CREATE FUNCTION call_of(event text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $body$
BEGIN
    RETURN left((event::json) -> 'data' ->> 'call_id', 512);
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$body$
"""
REFRESH = """
CREATE FUNCTION refresh_event_reading(rest double precision DEFAULT 0) RETURNS integer
LANGUAGE plpgsql SET timezone TO 'UTC' SET jit TO off AS $body$
DECLARE
    this record;
    changes integer;
BEGIN
    SELECT * INTO this FROM begin_reading('event', rest);
    IF this.began IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO event_reading (identity, kind, subject, event_source, event_id, event_time, call_id)
    SELECT identity, CASE WHEN event_type LIKE '%.research.project.extended.v_' THEN 'extension' ELSE 'application' END,
           subject, event_source, event_id, event_time,
           CASE WHEN event_type LIKE '%.research.application.submitted.v_' THEN call_of(event) END
    FROM event_history
    WHERE stored_at >= this.read_from
      AND (event_type LIKE '%.research.application.submitted.v_' OR event_type LIKE '%.research.project.extended.v_')
    ON CONFLICT (identity) DO NOTHING;
    GET DIAGNOSTICS changes = ROW_COUNT;
    UPDATE reading_pass SET started_at = this.began, finished_at = clock_timestamp(), read_to = this.up_to
    WHERE name = 'event';
    RETURN changes;
END
$body$
"""


def upgrade() -> None:
    op.create_table(
        "event_reading",
        sa.Column("identity", sa.UUID(), nullable=False, comment="as in event_history"),
        sa.Column("kind", sa.Text(), nullable=False, comment="application, extension"),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("event_source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True, comment="of an application"),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_event_reading")),
        comment="events that lists count, copied from event_history, some seconds old (reading_pass)",
    )
    op.execute("INSERT INTO reading_pass VALUES ('event', '-infinity', '-infinity', '-infinity')")
    op.execute(CALL_OF)
    op.execute(REFRESH)
    op.execute("SELECT refresh_event_reading()")
    op.create_index(op.f("ix_event_reading_call"), "event_reading", ["call_id", "event_time"])
    op.create_index(
        op.f("ix_event_reading_extension"), "event_reading", ["event_time"], postgresql_where=sa.text("kind = 'extension'")
    )
    op.create_index(
        op.f("ix_event_history_stored_at"),
        "event_history",
        ["stored_at"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
    _replace(VIEWS)


def downgrade() -> None:
    op.execute("DROP VIEW v_extension")
    _replace(BEFORE)
    op.execute("DROP FUNCTION refresh_event_reading")
    op.execute("DROP FUNCTION call_of")
    op.drop_index(op.f("ix_event_history_stored_at"), table_name="event_history")
    op.drop_table("event_reading")
    op.execute("DELETE FROM reading_pass WHERE name = 'event'")


def _replace(views: dict[str, str]) -> None:
    for name, select in views.items():
        op.execute(f"CREATE OR REPLACE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")
