"""A copy of the projects for lists, counts and search: indexed for its readers, kept beside the hot path

The state table is written by HOT updates, which any index on what changes would end. So a function brings the copy up to date
from the rows that were written since, found by a block range index, which leaves HOT updates what they are (PostgreSQL 16 and
later; 15 would lose them, so there the function reads the whole table). Claims that the clock decides stand as the instant from
which they hold. tests/monitoring/test_reading.py compares the copy with the rules.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003
KEY_CHARS_MAX = 512  # no call has a longer one, and an index cannot hold any text

# Names of others by sub-query, not by join: a join that nobody asks for would still keep counts from reading an index alone.
VIEWS = {
    "v_listed_project": """
        SELECT r.project_id, r.state, r.title, r.lead, r.call_id,
               coalesce((SELECT c.programme FROM call_status c WHERE c.call_id = r.call_id), '') AS programme, r.contract_no,
               r.contract_amount, r.currency, r.disbursed, r.start_on, r.end_on, r.moved_at,
               nullif(r.moved_at, '-infinity') AS changed_at,
               extract(epoch FROM now() - nullif(r.moved_at, '-infinity')) AS unchanged_s,
               r.overdue_from, r.overdue_from IS NOT NULL AND r.overdue_from < now() AS is_overdue,
               CASE WHEN r.overdue_from < now() THEN floor(extract(epoch FROM now() - r.overdue_from) / 86400) END
                   AS overdue_days,
               -- Not EXISTS: that may be planned as a look at all that is due, for a page of fifty.
               r.state IS NOT NULL AND r.state = 'executing' AND coalesce((
                   SELECT true FROM project_due d
                   WHERE d.project_id = r.project_id AND d.due_at >= now() AND d.due_at < now() + interval '30 days' LIMIT 1
               ), false) AS is_at_risk,
               r.silent_from, r.silent_from IS NOT NULL AND r.silent_from < now() AS is_silent,
               r.is_underspent, r.parked_events, r.words
        FROM project_reading r""",
    "v_due_milestone": """
        SELECT d.project_id, (SELECT r.title FROM project_reading r WHERE r.project_id = d.project_id) AS title,
               (SELECT r.lead FROM project_reading r WHERE r.project_id = d.project_id) AS lead,
               d.state, d.milestone_id, d.due_on, d.due_at, d.status,
               d.due_on - (now() AT TIME ZONE 'UTC')::date AS days_left, d.is_first,
               d.state = 'executing' AND d.due_at >= now() AND d.due_at < now() + interval '30 days' AS is_at_risk
        FROM project_due d""",
    "v_project_count": """
        SELECT nullif(s.state, '') AS state, coalesce(c.programme, '') AS programme, s.currency,
               nullif(s.start_year, 0) AS start_year, s.projects, s.contracts, s.underspent, s.contracted, s.paid
        FROM project_summary s LEFT JOIN call_status c ON c.call_id = s.call_id
        WHERE s.projects > 0""",
    "v_reading": """
        SELECT name, started_at, finished_at, extract(epoch FROM now() - started_at) AS age_s,
               extract(epoch FROM finished_at - started_at) AS took_s
        FROM reading_pass""",
}

# Only these states can be late or at risk: of a million projects most have ended, and are not unfolded.
ACTIVE = "p.state IN ('contracted', 'executing', 'suspended', 'acceptance_pending')"
COPIED = (
    "state", "title", "lead", "call_id", "contract_no", "contract_amount", "currency", "disbursed", "start_on", "end_on",
    "moved_at", "overdue_from", "silent_from", "is_underspent", "parked_events", "outstanding", "words",
)  # fmt: skip
NAMES = ", ".join(COPIED)

# Who reads next, from where, and up to where it is sure to have seen all. began NULL: somebody else is at it, or it rests.
BEGIN = """
CREATE FUNCTION begin_reading(
    pass text, rest double precision, OUT began timestamptz, OUT read_from timestamptz, OUT up_to timestamptz
) LANGUAGE plpgsql AS $body$
DECLARE
    last reading_pass;
    at CONSTANT timestamptz := clock_timestamp();
BEGIN
    IF NOT pg_try_advisory_xact_lock(7310913, hashtext(pass)) THEN
        RETURN;
    END IF;
    SELECT * INTO STRICT last FROM reading_pass WHERE name = pass;
    read_from := last.read_to;
    IF at < last.finished_at THEN
        read_from := '-infinity';  -- the clock was set back: what was written since carries an instant before read_to
    ELSIF rest > 0 AND at < last.finished_at + rest * (last.finished_at - last.started_at) THEN
        RETURN;
    END IF;
    began := at;
    -- A row carries the start of the transaction that wrote it. Those that run now may write rows older than what we read: the
    -- next pass begins at the oldest of them, less a moment for one that has begun and does not stand in the list yet. The list
    -- is read once a transaction, unless it is asked for anew. Sessions of another role stand in it without their start: all
    -- that write states and history are of one role.
    PERFORM pg_stat_clear_snapshot();
    SELECT least(at, min(xact_start)) - interval '1 second' INTO up_to FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
END
$body$
"""

REFRESH = f"""
CREATE FUNCTION refresh_project_reading(rest double precision DEFAULT 0) RETURNS integer
LANGUAGE plpgsql SET timezone TO 'UTC' SET jit TO off SET work_mem TO '32MB' AS $body$
DECLARE
    this record;
    changes integer;
BEGIN
    SELECT * INTO this FROM begin_reading('project', rest);
    IF this.began IS NULL THEN
        RETURN NULL;
    END IF;
    WITH written AS MATERIALIZED (
        SELECT p.project_id, p.state, p.title, p.lead, left(p.call_id, {KEY_CHARS_MAX}) AS call_id, p.contract_no,
               p.contract_amount, p.currency, p.disbursed, p.start_on, p.end_on,
               coalesce(p.changed_at, '-infinity') AS moved_at,
               least(
                   due.first,
                   CASE WHEN p.state = 'acceptance_pending'
                        THEN (p.end_on::timestamp + interval '183 days') AT TIME ZONE 'UTC' END
               ) AS overdue_from,
               CASE WHEN p.state = 'executing' AND p.start_on IS NOT NULL
                    THEN greatest(p.start_on::timestamp AT TIME ZONE 'UTC', p.reported_at) + interval '365 days'
               END AS silent_from,
               coalesce(p.register_name = '' AND p.state IN ('acceptance_pending', 'in_acceptance', 'accepted', 'closed')
                   AND 2 * p.disbursed < p.contract_amount, false) AS is_underspent,
               jsonb_array_length(p.parked) AS parked_events,
               due.outstanding,
               lower(concat_ws(' ', p.project_id, p.title, p.lead, p.contract_no)) AS words
        FROM project_status p
        CROSS JOIN LATERAL (
            SELECT min((item ->> 1)::timestamp AT TIME ZONE 'UTC') AS first,
                   coalesce(jsonb_agg(item ORDER BY item ->> 1, item ->> 0), '[]') AS outstanding
            FROM jsonb_array_elements(CASE WHEN {ACTIVE} THEN p.milestones ELSE '[]' END) AS item
            WHERE item ->> 2 IN ('planned', 'returned')
        ) due
        WHERE p.written_at >= this.read_from
    ), changed AS MATERIALIZED (
        SELECT w.*, r.project_id IS NOT NULL AS was_known, r.state AS old_state, r.call_id AS old_call_id,
               r.currency AS old_currency, r.start_on AS old_start_on, r.contract_amount AS old_amount,
               r.disbursed AS old_disbursed, r.is_underspent AS old_underspent,
               r.project_id IS NULL OR (w.outstanding, w.state) IS DISTINCT FROM (r.outstanding, r.state) AS is_planned_anew
        FROM written w LEFT JOIN project_reading r USING (project_id)
        WHERE r.project_id IS NULL
           OR ({", ".join(f"w.{name}" for name in COPIED)}) IS DISTINCT FROM ({", ".join(f"r.{name}" for name in COPIED)})
    ), counted AS (
        INSERT INTO project_summary AS s (state, call_id, currency, start_year, projects, contracts, underspent, contracted,
                                         paid)
        SELECT coalesce(state, ''), call_id, currency, coalesce(extract(year FROM start_on)::integer, 0), sum(n),
               coalesce(sum(n) FILTER (WHERE amount > 0), 0), coalesce(sum(n) FILTER (WHERE is_underspent), 0),
               coalesce(sum(n * amount), 0),
               coalesce(sum(n * disbursed) FILTER (WHERE amount > 0), 0)
        FROM (
            SELECT 1 AS n, state, call_id, currency, start_on, contract_amount AS amount, disbursed, is_underspent
            FROM changed
            UNION ALL
            SELECT -1, old_state, old_call_id, old_currency, old_start_on, old_amount, old_disbursed, old_underspent
            FROM changed WHERE was_known
        ) AS move
        GROUP BY 1, 2, 3, 4
        ON CONFLICT (state, call_id, currency, start_year) DO UPDATE SET
            projects = s.projects + excluded.projects, contracts = s.contracts + excluded.contracts,
            underspent = s.underspent + excluded.underspent,
            contracted = s.contracted + excluded.contracted, paid = s.paid + excluded.paid
    ), ended AS (
        DELETE FROM project_due d USING changed c WHERE d.project_id = c.project_id AND c.was_known AND c.is_planned_anew
    ), planned AS (
        INSERT INTO project_due (project_id, milestone_id, due_on, due_at, status, state, is_first)
        SELECT c.project_id, item ->> 0, (item ->> 1)::date, (item ->> 1)::timestamp AT TIME ZONE 'UTC', item ->> 2, c.state,
               place = 1 OR c.outstanding -> (place - 2)::integer ->> 1 <> item ->> 1
        FROM changed c CROSS JOIN LATERAL jsonb_array_elements(c.outstanding) WITH ORDINALITY AS plan (item, place)
        WHERE c.is_planned_anew
    )
    INSERT INTO project_reading (project_id, {NAMES}) SELECT project_id, {NAMES} FROM changed
    ON CONFLICT (project_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COPIED)};
    GET DIAGNOSTICS changes = ROW_COUNT;
    UPDATE reading_pass SET started_at = this.began, finished_at = clock_timestamp(), read_to = this.up_to
    WHERE name = 'project';
    RETURN changes;
END
$body$
"""  # noqa: S608 - our own constants


def upgrade() -> None:
    op.create_table(
        "project_reading",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("lead", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("contract_no", sa.Text(), nullable=False),
        sa.Column("contract_amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("disbursed", sa.BigInteger(), nullable=False),
        sa.Column("start_on", sa.Date(), nullable=True),
        sa.Column("end_on", sa.Date(), nullable=True),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False, comment="its last change; -infinity: none yet"),
        sa.Column("overdue_from", sa.DateTime(timezone=True), nullable=True, comment="after this it is overdue"),
        sa.Column("silent_from", sa.DateTime(timezone=True), nullable=True, comment="after this it is silent"),
        sa.Column("is_underspent", sa.Boolean(), nullable=False),
        sa.Column("parked_events", sa.Integer(), nullable=False),
        sa.Column(
            "outstanding",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="milestones of an active project that are planned or returned, by day",
        ),
        sa.Column("words", sa.Text(), nullable=False, comment="id, title, lead and contract in lower case, for search"),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_reading")),
        comment="a copy of project_status for lists and counts, some seconds old (reading_pass)",
    )
    op.create_table(
        "project_due",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("milestone_id", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="00:00 UTC of the day"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="of the project"),
        sa.Column("is_first", sa.Boolean(), nullable=False, comment="the first of its project on that day"),
        comment="outstanding milestones of active projects, as of the copy",
    )
    op.create_table(
        "project_summary",
        sa.Column("state", sa.Text(), nullable=False, comment="empty: none yet"),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("start_year", sa.Integer(), nullable=False, comment="0: no contract"),
        sa.Column("projects", sa.BigInteger(), nullable=False),
        sa.Column("contracts", sa.BigInteger(), nullable=False, comment="projects with an amount"),
        sa.Column("underspent", sa.BigInteger(), nullable=False),
        sa.Column("contracted", sa.Numeric(), nullable=False),
        sa.Column("paid", sa.Numeric(), nullable=False, comment="of the contracts"),
        sa.PrimaryKeyConstraint("state", "call_id", "currency", "start_year", name=op.f("pk_project_summary")),
        comment="how many projects and how much money stand where, as of the copy",
    )
    op.create_table(
        "reading_pass",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="what was committed by then is in the copy"
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_to", sa.DateTime(timezone=True), nullable=False, comment="the next pass reads rows written since"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reading_pass")),
        comment="how old each copy for readers is",
    )
    op.execute("INSERT INTO reading_pass VALUES ('project', '-infinity', '-infinity', '-infinity')")
    op.execute(BEGIN)
    op.execute(REFRESH)
    # The first pass before the indexes: a million rows at once.
    op.execute("SELECT refresh_project_reading()")
    for table, name, columns, options in INDEXES:
        op.create_index(op.f(f"ix_{table}_{name}"), table, columns, **options)
    if op.get_bind().dialect.server_version_info >= (16,):
        op.create_index(
            op.f("ix_project_status_written_at"),
            "project_status",
            ["written_at"],
            postgresql_using="brin",
            postgresql_with={"pages_per_range": "16", "autosummarize": "on"},
        )
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


_COVERS_STATE = {"postgresql_include": ["state"]}
INDEXES = (
    (
        "project_reading",
        "overdue",
        ["overdue_from", "project_id"],
        _COVERS_STATE | {"postgresql_where": sa.text("overdue_from IS NOT NULL")},
    ),
    (
        "project_reading",
        "silent",
        ["silent_from", "project_id"],
        _COVERS_STATE | {"postgresql_where": sa.text("silent_from IS NOT NULL")},
    ),
    (
        "project_reading",
        "underspent",
        ["moved_at", "project_id"],
        _COVERS_STATE | {"postgresql_where": sa.text("is_underspent")},
    ),
    ("project_reading", "ended", ["end_on", "project_id"], {"postgresql_where": sa.text("state = 'acceptance_pending'")}),
    ("project_reading", "parked", ["project_id"], {"postgresql_where": sa.text("parked_events > 0")}),
    ("project_reading", "state", ["state", "moved_at", "project_id"], {}),
    ("project_reading", "moved", ["moved_at", "project_id"], {}),
    ("project_due", "project", ["project_id"], {}),
    ("project_due", "day", ["due_on", "project_id"], {}),
    ("project_due", "risk", ["due_at", "project_id"], {"postgresql_where": sa.text("state = 'executing'")}),
)


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.execute("DROP FUNCTION refresh_project_reading")
    op.execute("DROP FUNCTION begin_reading")
    op.execute("DROP INDEX IF EXISTS ix_project_status_written_at")
    for table in ("reading_pass", "project_summary", "project_due", "project_reading"):
        op.drop_table(table)
