"""Episodes of alerts, each with its notifications, and the money of each year by call

An alert's row knows its latest episode alone, so a pass copies the word that is told of every episode (rests and pieces as
0023). A project keeps what it was paid in which year and when it was accepted; the copy of projects adds both up.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003
KEPT = "interval '400 days'"

# The alert's own row knows the notifications until now; of an episode that is told without their number, the first counts.
VIEWS = {
    "v_alert_episode": """
        SELECT e.alert_key, split_part(e.alert_key, '/', 1) AS monitor, e.episode, e.title, e.severity,
               array_position(ARRAY['info', 'low', 'warning', 'high', 'critical'], e.severity) AS severity_rank,
               e.condition, e.handling, e.closed_reason, e.raised_at, e.opened_at, e.taken_at,
               nullif(e.over_at, 'infinity') AS ended_at, e.over_at,
               coalesce(a.last_seen, e.last_seen) AS last_seen,
               coalesce(a.reopened, e.reopened) AS reopened,
               1 + coalesce(a.repeats, e.repeats) + coalesce(a.reopened, e.reopened) AS notifications,
               extract(epoch FROM e.taken_at - e.opened_at) AS taken_s,
               CASE WHEN isfinite(e.over_at) AND e.closed_reason <> 'resolved_only'
                    THEN extract(epoch FROM e.over_at - e.opened_at) END AS lasted_s,
               CASE e.severity WHEN 'critical' THEN 900 WHEN 'high' THEN 3600 WHEN 'warning' THEN 86400 END AS take_within_s
        FROM alert_episode e
        LEFT JOIN alert_status a ON a.alert_key = e.alert_key AND a.episodes = e.episode""",
    "v_project_year": """
        SELECT coalesce(c.programme, '') AS programme, y.currency, y.year, y.paid, y.accepted, y.accepted_projects
        FROM project_year y LEFT JOIN call_status c ON c.call_id = y.call_id""",
}

# One event that PostgreSQL cannot hold as JSON (a NUL) must not keep all others out.
DATA_OF = """
CREATE FUNCTION data_of(event text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $body$
BEGIN
    RETURN (event::jsonb) -> 'data';
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$body$
"""
# The last word counts, and the log's order is the one that the history stores a key in. A pass that reads a word once more
# writes what is there. An act is a person's unless the reason says that time or the monitor closed it.
EPISODES = f"""
CREATE FUNCTION refresh_episode_reading(rest float8 DEFAULT 0, rest_s_max float8 DEFAULT 'infinity') RETURNS integer
LANGUAGE plpgsql SET timezone TO 'UTC' SET jit TO off SET plan_cache_mode TO force_custom_plan AS $body$
DECLARE
    this record;
    changes integer;
BEGIN
    SELECT * INTO this FROM begin_reading('episode', rest);
    IF this.began IS NULL THEN
        RETURN NULL;
    END IF;
    WITH told AS MATERIALIZED (
        SELECT h.subject AS alert_key, h.event_time, h.stored_at, h.record_offset, t.*
        FROM event_history h CROSS JOIN LATERAL jsonb_to_record(data_of(h.event)) AS t (
            episodes integer, condition text, handling text, closed_reason text, severity text, title text,
            raised_at timestamptz, ended_at timestamptz, last_seen timestamptz, repeats integer, reopened integer)
        WHERE h.stored_at >= this.read_from AND h.event_type LIKE '%.infra.alert.changed.v_' AND t.episodes IS NOT NULL
    ), latest AS (
        SELECT DISTINCT ON (alert_key, episodes) * FROM told
        ORDER BY alert_key, episodes, stored_at DESC, record_offset DESC
    ), acts AS (
        SELECT alert_key, episodes, min(event_time) AS opened_at, min(event_time) FILTER (
                   WHERE handling = 'acknowledged'
                      OR (handling = 'closed' AND closed_reason NOT IN ('unseen', 'resolved_only'))) AS taken_at
        FROM told GROUP BY 1, 2
    )
    INSERT INTO alert_episode AS e (alert_key, episode, title, severity, condition, handling, closed_reason, raised_at,
                                    opened_at, taken_at, over_at, last_seen, repeats, reopened)
    SELECT alert_key, episodes, l.title, l.severity, l.condition, l.handling, coalesce(l.closed_reason, ''), l.raised_at,
           a.opened_at, a.taken_at, coalesce(l.ended_at, 'infinity'), l.last_seen, coalesce(l.repeats, 0),
           coalesce(l.reopened, 0)
    FROM latest l JOIN acts a USING (alert_key, episodes)
    ON CONFLICT (alert_key, episode) DO UPDATE SET
        title = excluded.title, severity = excluded.severity, condition = excluded.condition, handling = excluded.handling,
        closed_reason = excluded.closed_reason, raised_at = excluded.raised_at,
        opened_at = least(e.opened_at, excluded.opened_at), taken_at = least(e.taken_at, excluded.taken_at),
        over_at = excluded.over_at, last_seen = excluded.last_seen, repeats = excluded.repeats, reopened = excluded.reopened
    WHERE (e.title, e.severity, e.condition, e.handling, e.closed_reason, e.raised_at, e.over_at, e.last_seen, e.repeats,
           e.reopened, e.opened_at, e.taken_at)
        IS DISTINCT FROM (excluded.title, excluded.severity, excluded.condition, excluded.handling, excluded.closed_reason,
           excluded.raised_at, excluded.over_at, excluded.last_seen, excluded.repeats, excluded.reopened,
           least(e.opened_at, excluded.opened_at), least(e.taken_at, excluded.taken_at));
    GET DIAGNOSTICS changes = ROW_COUNT;
    DELETE FROM alert_episode WHERE over_at < this.began - {KEPT};
    UPDATE reading_pass SET started_at = this.began, finished_at = clock_timestamp(), read_to = this.up_to
    WHERE name = 'episode';
    PERFORM rest_reading('episode', this.began, rest, rest_s_max);
    RETURN changes;
END
$body$
"""  # noqa: S608 - our own constants

# Until now nobody was told of an end that came to light with the next beginning.
ENDED_UNTOLD = """
    UPDATE alert_episode e SET over_at = e.last_seen, condition = 'expired'
    WHERE e.over_at = 'infinity'
      AND EXISTS (SELECT FROM alert_episode n WHERE n.alert_key = e.alert_key AND n.episode > e.episode)"""

_PIECES = import_module("migrations.versions.0023_copies_in_pieces")
PROJECT_BEFORE = str(_PIECES._changed(_PIECES.PROJECT_BEFORE, _PIECES.PROJECT_CHANGES))
PROJECT_CHANGES = (
    ("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
    (
        "p.contract_amount, p.currency, p.disbursed,",
        "p.contract_amount, p.currency, p.disbursed, p.paid_by_year, p.accepted_at,",
    ),
    (
        "r.disbursed AS old_disbursed,",
        "r.disbursed AS old_disbursed, r.paid_by_year AS old_paid_by_year, r.accepted_at AS old_accepted_at,",
    ),
    ("w.words) IS DISTINCT FROM (", "w.words, w.paid_by_year, w.accepted_at) IS DISTINCT FROM ("),
    ("r.words)\n    ), counted AS", "r.words, r.paid_by_year, r.accepted_at)\n    ), counted AS"),
    (
        "    ), ended AS (",
        """    ), spent AS (
        SELECT * FROM changed
        WHERE NOT was_known OR (call_id, currency, contract_amount, paid_by_year, accepted_at)
            IS DISTINCT FROM (old_call_id, old_currency, old_amount, old_paid_by_year, old_accepted_at)
    ), yearly AS (
        INSERT INTO project_year AS y (call_id, currency, year, paid, accepted, accepted_projects)
        SELECT call_id, currency, year, sum(n * paid), sum(n * accepted), sum(n * projects)
        FROM (
            SELECT 1 AS n, call_id, currency, (part ->> 0)::integer AS year, (part ->> 1)::numeric AS paid, 0 AS accepted,
                   0 AS projects
            FROM spent CROSS JOIN LATERAL jsonb_array_elements(paid_by_year) AS part
            UNION ALL
            SELECT -1, old_call_id, old_currency, (part ->> 0)::integer, (part ->> 1)::numeric, 0, 0
            FROM spent CROSS JOIN LATERAL jsonb_array_elements(old_paid_by_year) AS part
            WHERE was_known
            UNION ALL
            SELECT 1, call_id, currency, extract(year FROM accepted_at)::integer, 0, contract_amount, 1
            FROM spent WHERE accepted_at IS NOT NULL
            UNION ALL
            SELECT -1, old_call_id, old_currency, extract(year FROM old_accepted_at)::integer, 0, old_amount, 1
            FROM spent WHERE was_known AND old_accepted_at IS NOT NULL
        ) AS move
        GROUP BY 1, 2, 3
        ON CONFLICT (call_id, currency, year) DO UPDATE SET
            paid = y.paid + excluded.paid, accepted = y.accepted + excluded.accepted,
            accepted_projects = y.accepted_projects + excluded.accepted_projects
    ), ended AS (""",
    ),
    ("outstanding, words) SELECT", "outstanding, words, paid_by_year, accepted_at) SELECT"),
    ("outstanding, words FROM changed\n    ON", "outstanding, words, paid_by_year, accepted_at FROM changed\n    ON"),
    (
        "words = excluded.words;",
        "words = excluded.words, paid_by_year = excluded.paid_by_year, accepted_at = excluded.accepted_at;",
    ),
)
# What projects were paid and accepted before this, out of the history: where what was paid does not add up to what the
# project knows, nothing is said of its years.
PAID_BEFORE = """
    WITH refused AS MATERIALIZED (
        SELECT DISTINCT subject, data_text_of(event, 'event_source') AS event_source,
               data_text_of(event, 'event_id') AS event_id
        FROM event_history WHERE event_type LIKE '%.platform.transition.rejected.v_'
    ), paid AS (
        SELECT h.subject, extract(year FROM h.event_time AT TIME ZONE 'UTC')::integer AS year,
               sum((data_of(h.event) ->> 'amount')::numeric) AS amount
        FROM event_history h JOIN project_status p ON p.project_id = h.subject
        WHERE h.event_type LIKE '%.research.funds.disbursed.v_'
          AND NOT EXISTS (SELECT FROM refused r WHERE (r.subject, r.event_source, r.event_id)
                                                    = (h.subject, h.event_source, h.event_id))
          AND NOT EXISTS (SELECT FROM jsonb_array_elements(p.parked) item
                          WHERE (item ->> 1, item ->> 2) = (h.event_id, h.event_source))
        GROUP BY 1, 2
    )
    UPDATE project_status p SET paid_by_year = found.years
    FROM (SELECT subject, jsonb_agg(jsonb_build_array(year, amount) ORDER BY year) AS years, sum(amount) AS amount
          FROM paid GROUP BY 1) found
    WHERE p.project_id = found.subject AND p.disbursed = found.amount"""
ACCEPTED_BEFORE = """
    UPDATE project_status p SET accepted_at = found.at
    FROM (SELECT subject, max(event_time) AS at FROM event_history
          WHERE event_type LIKE '%.research.project.statechanged.v_' AND data_of(event) ->> 'state' = 'accepted'
          GROUP BY 1) found
    WHERE p.project_id = found.subject AND p.register_name = ''"""


def upgrade() -> None:
    _keep_passes_out()
    op.execute(DATA_OF)
    _make_episodes()
    for table in ("project_status", "project_reading"):
        comments = {
            "project_status": ("[[year, amount], …]; years begin at 00:00 UTC", "when acceptance was passed"),
            "project_reading": (None, None),
        }[table]
        op.add_column(
            table,
            sa.Column(
                "paid_by_year",
                postgresql.JSONB(astext_type=sa.Text()),
                server_default="[]",
                nullable=False,
                comment=comments[0],
            ),
        )
        op.add_column(table, sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True, comment=comments[1]))
    op.create_table(
        "project_year",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("paid", sa.Numeric(), nullable=False),
        sa.Column("accepted", sa.Numeric(), nullable=False, comment="contracts of what was accepted"),
        sa.Column("accepted_projects", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", "currency", "year", name=op.f("pk_project_year")),
        comment="what was paid and accepted in each year, as of the copy",
    )
    op.execute(PAID_BEFORE)
    op.execute(ACCEPTED_BEFORE)
    op.execute(_PIECES._changed(PROJECT_BEFORE, PROJECT_CHANGES))
    _copy_anew()
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


def _make_episodes() -> None:
    op.create_table(
        "alert_episode",
        sa.Column("alert_key", sa.Text(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False, comment="from 1", autoincrement=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False, comment="the highest"),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("handling", sa.Text(), nullable=False),
        sa.Column("closed_reason", sa.Text(), nullable=False, comment="empty: not closed"),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False, comment="as the monitor has it"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False, comment="the monitor's first word of it"),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True, comment="the first act of a person"),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=False, comment="infinity: not yet"),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False, comment="when it was last told of"),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("alert_key", "episode", name=op.f("pk_alert_episode")),
        comment="alerts from firing to resolved, each time; a copy, some seconds old (reading_pass), kept for 400 days",
        postgresql_with={"fillfactor": "60"},
    )
    op.create_index(op.f("ix_alert_episode_opened_at"), "alert_episode", ["opened_at"])
    op.create_index(op.f("ix_alert_episode_over_at"), "alert_episode", ["over_at"])
    op.execute("INSERT INTO reading_pass VALUES ('episode', '-infinity', '-infinity', '-infinity')")
    op.execute(EPISODES)
    op.execute("SELECT refresh_episode_reading()")
    op.execute(ENDED_UNTOLD)


def downgrade() -> None:
    _keep_passes_out()
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.execute(PROJECT_BEFORE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    op.drop_table("project_year")
    for table in ("project_reading", "project_status"):
        op.drop_column(table, "accepted_at")
        op.drop_column(table, "paid_by_year")
    op.execute("DROP FUNCTION refresh_episode_reading")
    op.execute("DROP FUNCTION data_of")
    op.drop_table("alert_episode")
    op.execute("DELETE FROM reading_pass WHERE name = 'episode'")


def _keep_passes_out() -> None:
    for name in ("project", "episode"):
        op.execute(f"SELECT pg_advisory_xact_lock(7310913, hashtext('{name}'))")


def _copy_anew() -> None:
    """By the next pass, in pieces; what it finds the same it leaves. Not from -infinity on: that would list anew each time."""
    op.execute("DELETE FROM project_reading_listed")
    op.execute("UPDATE reading_pass SET read_to = 'epoch', rests_until = '-infinity' WHERE name = 'project'")
