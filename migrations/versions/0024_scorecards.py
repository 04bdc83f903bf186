"""What came of each source is counted by the hour, and when each was last heard of is noted

Scorecards of partners look back seven days, at a million events a day: so a pass counts the hours that changed, as it copies
projects (0013). Repeats are stored nowhere, so the history notes how many it met. Whoever knows all sources finds an event by
its id alone: its identity is a hash of both.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003
V_EVENT = """
        SELECT topic, partition, record_offset, event_type, event_source, event_id, subject, event_time, recorded_at,
               stored_at, extract(epoch FROM recorded_at - event_time) AS lateness_s{more}
        FROM event_history"""
VIEWS = {
    "v_source_hour": """
        SELECT event_source, hour, outcome, reason, late_s, events FROM source_hour""",
    "v_source": """
        SELECT event_source, last_recorded_at FROM source_heard""",
}

# Bounds of classes of lateness, in seconds; the last one holds whatever is later.
LATE_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000)
KEPT = "interval '8 days'"
OUTSIDE = "topic LIKE '%.event' AND NOT starts_with(event_source, '/engine/') AND NOT starts_with(event_source, '/streams/')"

# One event whose data PostgreSQL cannot hold as text (a NUL) must not keep all others out.
TEXT_OF = """
CREATE FUNCTION data_text_of(event text, member text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $body$
BEGIN
    RETURN (event::json) -> 'data' ->> member;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$body$
"""
# Hours are counted anew as a whole, so a pass that sees rows once more counts them once. A record may be stored long after it
# came: the oldest hour that a new row falls in is the first to be counted.
REFRESH = f"""
CREATE FUNCTION refresh_source_reading(rest float8 DEFAULT 0, rest_s_max float8 DEFAULT 'infinity') RETURNS integer
LANGUAGE plpgsql SET timezone TO 'UTC' SET jit TO off SET work_mem TO '32MB' AS $body$
DECLARE
    this record;
    since timestamptz;
    changes integer;
BEGIN
    SELECT * INTO this FROM begin_reading('source', rest);
    IF this.began IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT date_trunc('hour', greatest(least(min(recorded_at), this.read_from), this.began - {KEPT})) INTO since
    FROM event_history WHERE stored_at >= this.read_from;
    WITH counted AS MATERIALIZED (
        SELECT left(event_source, 512) COLLATE "C" AS event_source, date_trunc('hour', at) AS hour, outcome,
               left(reason, 100) AS reason, late_s, sum(events)::bigint AS events, max(at) AS last_at
        FROM (
            SELECT event_source, recorded_at AS at, 'taken' AS outcome, '' AS reason, 1 AS events,
                   (ARRAY{list(LATE_S)})[least(width_bucket(
                       extract(epoch FROM recorded_at - event_time)::float8, ARRAY{list(LATE_S)}::float8[]
                   ) + 1, {len(LATE_S)})] AS late_s
            FROM event_history WHERE recorded_at >= since AND recorded_at <= this.began AND {OUTSIDE}
            UNION ALL
            SELECT event_source, stored_at, 'duplicate', '', events, 0 FROM event_repeat
            WHERE stored_at >= since AND {OUTSIDE}
            UNION ALL
            SELECT data_text_of(event, 'event_source'), recorded_at, 'rejected',
                   coalesce(data_text_of(event, 'reason'), ''), 1, 0
            FROM event_history
            WHERE recorded_at >= since AND recorded_at <= this.began AND event_type LIKE '%.platform.transition.rejected.v_'
            UNION ALL
            SELECT event_source, first_failed_at, 'quarantined', reason, 1, 0 FROM quarantine
            WHERE first_failed_at >= since AND topic LIKE '%.event'
        ) AS came
        WHERE event_source IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5
    ), gone AS (
        DELETE FROM source_hour h
        WHERE h.hour < this.began - {KEPT} OR (h.hour >= since AND NOT EXISTS (
            SELECT FROM counted c WHERE (c.event_source, c.hour, c.outcome, c.reason, c.late_s)
                = (h.event_source, h.hour, h.outcome, h.reason, h.late_s)))
        RETURNING 1
    ), put AS (
        INSERT INTO source_hour AS h (event_source, hour, outcome, reason, late_s, events)
        SELECT event_source, hour, outcome, reason, late_s, events FROM counted
        ON CONFLICT (event_source, hour, outcome, reason, late_s) DO UPDATE SET events = excluded.events
        WHERE h.events <> excluded.events
        RETURNING 1
    ), heard AS (
        INSERT INTO source_heard AS s (event_source, last_recorded_at)
        SELECT event_source, max(last_at) FROM counted WHERE outcome = 'taken' GROUP BY 1
        ON CONFLICT (event_source) DO UPDATE SET last_recorded_at = excluded.last_recorded_at
        WHERE s.last_recorded_at < excluded.last_recorded_at
    )
    SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM put) INTO changes;
    DELETE FROM event_repeat WHERE stored_at < this.began - {KEPT};
    UPDATE reading_pass SET started_at = this.began, finished_at = clock_timestamp(), read_to = this.up_to
    WHERE name = 'source';
    PERFORM rest_reading('source', this.began, rest, rest_s_max);
    RETURN changes;
END
$body$
"""  # noqa: S608 - our own constants


def upgrade() -> None:
    op.create_table(
        "event_repeat",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("event_source", sa.Text(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        comment="how many repeats of events the history met, a row for each source in a batch; kept for days",
    )
    op.create_table(
        "source_hour",
        sa.Column("event_source", sa.Text(collation="C"), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="its beginning"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="taken, duplicate, rejected, quarantined"),
        sa.Column("reason", sa.Text(), nullable=False, comment="of what was rejected or quarantined"),
        sa.Column(
            "late_s", sa.Integer(), nullable=False, comment="of what was taken: less late than this", autoincrement=False
        ),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_source", "hour", "outcome", "reason", "late_s", name=op.f("pk_source_hour")),
        comment="what came of each source, by the hour; a copy for scorecards, some seconds old (reading_pass)",
    )
    op.create_table(
        "source_heard",
        sa.Column("event_source", sa.Text(collation="C"), nullable=False),
        sa.Column("last_recorded_at", sa.DateTime(timezone=True), nullable=False, comment="the broker's time"),
        sa.PrimaryKeyConstraint("event_source", name=op.f("pk_source_heard")),
        comment="every source that ever published, and when last, some seconds old (reading_pass)",
    )
    for table, column in (("event_repeat", "stored_at"), ("quarantine", "first_failed_at")):
        op.create_index(
            op.f(f"ix_{table}_{column}"), table, [column], postgresql_using="brin", postgresql_with={"autosummarize": "on"}
        )
    op.execute("INSERT INTO reading_pass VALUES ('source', '-infinity', '-infinity', '-infinity')")
    op.execute(TEXT_OF)
    op.execute(REFRESH)
    op.execute(
        "INSERT INTO source_heard SELECT left(event_source, 512), max(recorded_at) FROM event_history"  # noqa: S608
        f" WHERE {OUTSIDE} GROUP BY 1"
    )
    op.execute("SELECT refresh_source_reading()")
    op.create_index(op.f("ix_source_hour_hour"), "source_hour", ["hour"])
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")
    op.execute(f"CREATE OR REPLACE VIEW v_event AS{V_EVENT.format(more=', identity')}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.execute("DROP VIEW v_event")  # a replaced one keeps its columns
    op.execute(f"CREATE VIEW v_event AS{V_EVENT.format(more='')}")
    op.execute(f"GRANT SELECT ON v_event TO {ROLE}")
    op.execute("DROP FUNCTION refresh_source_reading")
    op.execute("DROP FUNCTION data_text_of")
    op.execute("DELETE FROM reading_pass WHERE name = 'source'")
    op.drop_index(op.f("ix_quarantine_first_failed_at"), table_name="quarantine")
    for table in ("source_heard", "source_hour", "event_repeat"):
        op.drop_table(table)
