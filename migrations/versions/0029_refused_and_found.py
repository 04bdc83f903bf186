"""A copy of rejections and findings, so that a day of millions of events is not read for the few that say something

Every event would pay for an index on the few (a twelfth more CPU of PostgreSQL for each that is stored, though none was such an
event): the pass that copies applications and extensions takes them along.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003
BEFORE = import_module("migrations.versions.0023_copies_in_pieces")

VIEWS = {
    "v_listed_rejection": """
        SELECT subject, told ->> 'step' AS step, told ->> 'event_type' AS event_type, told ->> 'event_id' AS event_id,
               told ->> 'event_source' AS event_source, told ->> 'reason' AS reason, told ->> 'state' AS state,
               event_time, recorded_at
        FROM event_reading WHERE kind = 'rejection'""",
    "v_listed_finding": """
        SELECT subject, told ->> 'rule' AS rule, told ->> 'severity' AS severity, told ->> 'message' AS message,
               told ->> 'pointer' AS pointer, event_time, recorded_at
        FROM event_reading WHERE kind = 'finding'""",
}

# ruff: noqa: S608 - our own constants
COPY = """
    INSERT INTO event_reading (identity, kind, subject, event_source, event_id, event_time, recorded_at, call_id, told)
    SELECT identity, kind, subject, event_source, event_id, event_time, recorded_at,
           CASE kind WHEN 'application' THEN call_of(event) END,
           CASE WHEN kind IN ('rejection', 'finding') THEN data_of(event) END
    FROM (
        SELECT *, CASE
            WHEN event_type LIKE '%.research.application.submitted.v_' THEN 'application'
            WHEN event_type LIKE '%.research.project.extended.v_' THEN 'extension'
            WHEN event_type LIKE '%.platform.transition.rejected.v_' THEN 'rejection'
            WHEN event_type LIKE '%.platform.finding.reported.v_' THEN 'finding'
        END AS kind
        FROM event_history
        WHERE {which}
    ) AS came
    WHERE kind IS NOT NULL
    ON CONFLICT (identity) DO NOTHING;"""
REFRESH = f"""
CREATE OR REPLACE FUNCTION refresh_event_reading(rest float8 DEFAULT 0, rest_s_max float8 DEFAULT 'infinity') RETURNS integer
LANGUAGE plpgsql SET timezone TO 'UTC' SET jit TO off AS $body$
DECLARE
    this record;
    changes integer;
BEGIN
    SELECT * INTO this FROM begin_reading('event', rest);
    IF this.began IS NULL THEN
        RETURN NULL;
    END IF;
    {COPY.format(which="stored_at >= this.read_from").strip()}
    GET DIAGNOSTICS changes = ROW_COUNT;
    UPDATE reading_pass SET started_at = this.began, finished_at = clock_timestamp(), read_to = this.up_to
    WHERE name = 'event';
    PERFORM rest_reading('event', this.began, rest, rest_s_max);
    RETURN changes;
END
$body$
"""


def upgrade() -> None:
    op.execute("SELECT pg_advisory_xact_lock(7310913, hashtext('event'))")  # no pass meanwhile
    op.add_column(
        "event_reading",
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="the broker's time; null where the copy is older than this column",
        ),
    )
    op.add_column("event_reading", sa.Column("told", JSONB(), nullable=True, comment="data of a rejection or finding"))
    op.alter_column("event_reading", "kind", comment="application, extension, rejection, finding")
    op.create_index(
        op.f("ix_event_reading_told"),
        "event_reading",
        ["kind", "recorded_at"],
        postgresql_where=sa.text("kind IN ('rejection', 'finding')"),
    )
    op.execute(REFRESH)
    op.execute(COPY.format(which="true"))
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


def downgrade() -> None:
    op.execute("SELECT pg_advisory_xact_lock(7310913, hashtext('event'))")
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.execute("DROP FUNCTION refresh_event_reading")
    op.execute(BEFORE._changed(BEFORE.EVENT_BEFORE, BEFORE.EVENT_CHANGES))
    op.execute("DELETE FROM event_reading WHERE kind IN ('rejection', 'finding')")
    op.drop_index(op.f("ix_event_reading_told"), table_name="event_reading")
    op.alter_column("event_reading", "kind", comment="application, extension")
    op.drop_column("event_reading", "told")
    op.drop_column("event_reading", "recorded_at")
