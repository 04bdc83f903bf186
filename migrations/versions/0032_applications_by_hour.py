"""Applications are counted by call and hour instead of listed one by one

One event of ten is an application, and all that anybody asks of them is how many a call had by when. A listed row with its
indexes cost 40 microseconds, all else that a pass does with an event 1.3.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003

_ONE_PASS = import_module("migrations.versions.0030_one_pass_over_history")
_LISTED = import_module("migrations.versions.0029_refused_and_found")
_PIECES = import_module("migrations.versions.0023_copies_in_pieces")
APPLICATION = "'%.research.application.submitted.v_'"
V_APPLICATION = str(import_module("migrations.versions.0014_reading_events").VIEWS["v_application"])
VIEWS = {
    "v_call_hour": """
        SELECT call_id, hour, applications FROM call_hour""",
}

EVENT_BEFORE = str(_ONE_PASS._part("event"))
EVENT_CHANGES = (
    ("event_time, recorded_at, call_id, told)", "event_time, recorded_at, told)"),
    ("           CASE kind WHEN 'application' THEN call_of(event) END,\n", ""),
    (f"            WHEN event_type LIKE {APPLICATION} THEN 'application'\n", ""),
)
# ruff: noqa: S608 - our own constants
# Each row once, but those too young for all of their age to be there (0025).
COUNTED = f"""
CREATE FUNCTION copy_call_reading(began timestamptz, read_from timestamptz, up_to timestamptz) RETURNS integer
LANGUAGE plpgsql SET timezone TO 'UTC' SET jit TO off AS $body$
DECLARE
    gone integer;
    put integer;
BEGIN
    DELETE FROM call_hour WHERE read_from = '-infinity';
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO call_hour AS h (call_id, hour, applications, settled)
    SELECT call_id, hour, count(*), count(*) FILTER (WHERE stored_at < up_to)
    FROM (
        SELECT call_of(event) AS call_id, date_bin('1 hour', event_time, 'epoch') AS hour, stored_at
        FROM event_history WHERE stored_at >= read_from AND event_type LIKE {APPLICATION}
        OFFSET 0  -- the call of an event is looked for once
    ) AS came
    WHERE call_id IS NOT NULL
    GROUP BY 1, 2
    ON CONFLICT (call_id, hour) DO UPDATE
    SET applications = h.settled + excluded.applications, settled = h.settled + excluded.settled
    WHERE (h.applications, h.settled) <> (h.settled + excluded.applications, h.settled + excluded.settled);
    GET DIAGNOSTICS put = ROW_COUNT;
    RETURN gone + put;
END
$body$
"""
WHOLE_BEFORE = str(_ONE_PASS.WHOLE)
WHOLE_CHANGES = (("changes := ", "changes := copy_call_reading(this.began, this.read_from, this.up_to) + "),)


def upgrade() -> None:
    _keep_the_pass_out()
    op.create_table(
        "call_hour",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="its beginning"),
        sa.Column("applications", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False, comment="of these, those that no pass reads again"),
        sa.PrimaryKeyConstraint("call_id", "hour", name=op.f("pk_call_hour")),
        comment="applications by the hour in which they were submitted; a copy, some seconds old (reading_pass)",
        postgresql_with={"fillfactor": "60"},
    )
    op.execute(COUNTED)
    # What earlier passes read; what they read and will read again counts as not sure.
    op.execute(
        "INSERT INTO call_hour (call_id, hour, applications, settled)"
        " SELECT e.call_id, date_bin('1 hour', e.event_time, 'epoch'),"
        " count(*), count(*) FILTER (WHERE h.stored_at < p.read_to)"
        " FROM event_reading e JOIN event_history h USING (identity) JOIN reading_pass p ON p.name = 'history'"
        " WHERE e.kind = 'application' AND e.call_id IS NOT NULL GROUP BY 1, 2"
    )
    op.execute(_replacing(WHOLE_BEFORE, WHOLE_CHANGES))
    op.execute(_replacing(EVENT_BEFORE, EVENT_CHANGES))
    op.execute("DROP VIEW v_application")
    op.execute("DELETE FROM event_reading WHERE kind = 'application'")
    op.drop_index(op.f("ix_event_reading_call"), table_name="event_reading")
    op.drop_column("event_reading", "call_id")
    op.alter_column("event_reading", "kind", comment="extension, rejection, finding")
    op.create_table_comment(
        "event_reading", "events that are listed, copied from event_history, some seconds old (reading_pass)"
    )
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


def downgrade() -> None:
    _keep_the_pass_out()
    op.add_column("event_reading", sa.Column("call_id", sa.Text(), nullable=True, comment="of an application"))
    op.create_index(op.f("ix_event_reading_call"), "event_reading", ["call_id", "event_time"])
    op.alter_column("event_reading", "kind", comment="application, extension, rejection, finding")
    op.create_table_comment(
        "event_reading", "events that lists count, copied from event_history, some seconds old (reading_pass)"
    )
    op.execute(_replacing(EVENT_BEFORE))
    op.execute(_replacing(WHOLE_BEFORE))
    op.execute(_LISTED.COPY.format(which="true"))
    op.execute(f"CREATE VIEW v_application AS{V_APPLICATION}")
    op.execute(f"GRANT SELECT ON v_application TO {ROLE}")
    op.execute("DROP VIEW v_call_hour")
    op.execute("DROP FUNCTION copy_call_reading")
    op.drop_table("call_hour")


def _keep_the_pass_out() -> None:
    op.execute("SELECT pg_advisory_xact_lock(7310913, hashtext('history'))")


def _replacing(function: str, changes: tuple[tuple[str, str], ...] = ()) -> str:
    return str(_PIECES._changed(function, changes)).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
