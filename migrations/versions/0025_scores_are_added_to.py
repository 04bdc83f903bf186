"""A pass adds what came since the last one to what scorecards count, instead of counting whole hours anew

Each row of the history is read once, but those too young for all of their age to be there. These count at once and are read
again by the next pass, so each hour says how much of its number is sure.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_SCORECARDS = import_module("migrations.versions.0024_scorecards")
_PIECES = import_module("migrations.versions.0023_copies_in_pieces")
REFRESH_BEFORE = str(_SCORECARDS.REFRESH)
BEGIN_BEFORE = str(_PIECES._changed(_PIECES.BEGIN_BEFORE, _PIECES.BEGIN_CHANGES))
BEGIN_CHANGES = (
    # Also where the clock was set back during a pass: what is written since would never be read.
    ("at < greatest(last.finished_at, last.listed_at)", "at < greatest(last.read_to, last.finished_at, last.listed_at)"),
    # Our own transaction writes rows of its age, too.
    ("datname = current_database() AND pid <> pg_backend_pid()", "datname = current_database()"),
)

KEPT = "interval '8 days'"
OUTSIDE = "topic LIKE '%.event' AND NOT starts_with(event_source, '/engine/') AND NOT starts_with(event_source, '/streams/')"
LATE_S = list(_SCORECARDS.LATE_S)
LATE = "'{" + ",".join(f"{bound} s" for bound in LATE_S) + "}'::interval[]"
# What was recorded after it was stored has another clock: the hour of a row must not depend on when it is read.
CAME = "least(recorded_at, stored_at)"
# No sort: nothing tells the planner that a million rows are a few thousand groups. Each pass is planned for the rows that it
# reads itself.
REFRESH = f"""
CREATE OR REPLACE FUNCTION refresh_source_reading(rest float8 DEFAULT 0, rest_s_max float8 DEFAULT 'infinity') RETURNS integer
LANGUAGE plpgsql SET timezone TO 'UTC' SET jit TO off SET work_mem TO '32MB' SET enable_sort TO off
SET plan_cache_mode TO force_custom_plan AS $body$
DECLARE
    this record;
    kept_from timestamptz;
    gone integer;
    put integer;
BEGIN
    SELECT * INTO this FROM begin_reading('source', rest);
    IF this.began IS NULL THEN
        RETURN NULL;
    END IF;
    kept_from := date_bin('1 hour', this.began - {KEPT}, 'epoch');
    DELETE FROM source_hour WHERE hour < kept_from OR this.read_from = '-infinity';
    GET DIAGNOSTICS gone = ROW_COUNT;
    WITH seen AS MATERIALIZED (
        SELECT topic, event_source, date_bin('1 hour', {CAME}, 'epoch') AS hour,
               width_bucket(recorded_at - event_time, {LATE}) AS late,
               CASE WHEN event_type LIKE '%.platform.transition.rejected.v_' THEN event END AS rejection,
               count(*) AS events, count(*) FILTER (WHERE stored_at < this.up_to) AS settled, max({CAME}) AS last_at
        FROM event_history WHERE stored_at >= this.read_from AND recorded_at >= kept_from
        GROUP BY 1, 2, 3, 4, 5
    ), heard AS (
        INSERT INTO source_heard AS s (event_source, last_recorded_at)
        SELECT left(event_source, 512) COLLATE "C", max(last_at) FROM seen WHERE {OUTSIDE} GROUP BY 1
        ON CONFLICT (event_source) DO UPDATE SET last_recorded_at = excluded.last_recorded_at
        WHERE s.last_recorded_at < excluded.last_recorded_at
    )
    INSERT INTO source_hour AS h (event_source, hour, outcome, reason, late_s, events, settled)
    SELECT left(event_source, 512) COLLATE "C", hour, outcome, left(reason, 100), late_s, sum(events), sum(settled)
    FROM (
        SELECT event_source, hour, 'taken' AS outcome, '' AS reason,
               (ARRAY{LATE_S})[least(late + 1, {len(LATE_S)})] AS late_s, events, settled
        FROM seen WHERE {OUTSIDE}
        UNION ALL
        SELECT data_text_of(rejection, 'event_source'), hour, 'rejected', coalesce(data_text_of(rejection, 'reason'), ''), 0,
               events, settled
        FROM seen WHERE rejection IS NOT NULL
        UNION ALL
        SELECT event_source, date_bin('1 hour', stored_at, 'epoch'), 'duplicate', '', 0,
               events, CASE WHEN stored_at < this.up_to THEN events ELSE 0 END
        FROM event_repeat WHERE stored_at >= greatest(this.read_from, kept_from) AND {OUTSIDE}
        UNION ALL
        SELECT event_source, date_bin('1 hour', first_failed_at, 'epoch'), 'quarantined', reason, 0,
               1, (first_failed_at < this.up_to)::integer
        FROM quarantine WHERE first_failed_at >= greatest(this.read_from, kept_from) AND topic LIKE '%.event'
    ) AS came
    WHERE event_source IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (event_source, hour, outcome, reason, late_s) DO UPDATE
    SET events = h.settled + excluded.events, settled = h.settled + excluded.settled
    WHERE (h.events, h.settled) <> (h.settled + excluded.events, h.settled + excluded.settled);
    GET DIAGNOSTICS put = ROW_COUNT;
    DELETE FROM event_repeat WHERE stored_at < kept_from;
    UPDATE reading_pass SET started_at = this.began, finished_at = clock_timestamp(), read_to = this.up_to
    WHERE name = 'source';
    PERFORM rest_reading('source', this.began, rest, rest_s_max);
    RETURN gone + put;
END
$body$
"""  # noqa: S608 - our own constants


def upgrade() -> None:
    _keep_passes_out()
    op.add_column(
        "source_hour",
        sa.Column(
            "settled",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="of these, those that no pass reads again",
        ),
    )
    op.execute("ALTER TABLE source_hour SET (fillfactor = 60)")
    op.execute(_replacing(_PIECES._changed(BEGIN_BEFORE, BEGIN_CHANGES)))
    op.execute(REFRESH)
    _count_anew()


def downgrade() -> None:
    _keep_passes_out()
    op.execute(_replacing(REFRESH_BEFORE))
    op.execute(_replacing(BEGIN_BEFORE))
    op.execute("ALTER TABLE source_hour RESET (fillfactor)")
    op.drop_column("source_hour", "settled")
    _count_anew()


def _keep_passes_out() -> None:
    op.execute("SELECT pg_advisory_xact_lock(7310913, hashtext('source'))")


def _count_anew() -> None:
    """By the next pass: what is shown until then is as it was."""
    op.execute("UPDATE reading_pass SET read_to = '-infinity', rests_until = '-infinity' WHERE name = 'source'")


def _replacing(function: str) -> str:
    return function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
