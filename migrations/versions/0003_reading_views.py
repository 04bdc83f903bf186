"""Views for reading, the role that may read them and nothing else, an index for what was recorded lately

Stable names for dashboards, the query API and people: a table may change, a view of `v_...` keeps its columns. A view runs with
its owner's rights, so the role needs none on the tables; it cannot see states' internals, quarantined bytes or events' data.

Instants are now(), dates begin at 00:00 UTC, both as in the rules (streams/); tests/monitoring/test_views.py compares them.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"

VIEWS = {
    "v_milestone": """
        SELECT p.project_id, p.title, p.lead, p.state, m.milestone_id, m.due_on, m.status,
               p.state IN ('contracted', 'executing', 'suspended', 'acceptance_pending')
                   AND m.status IN ('planned', 'returned') AS is_outstanding,
               m.due_on - (now() AT TIME ZONE 'UTC')::date AS days_left
        FROM project_status p
        CROSS JOIN LATERAL (
            SELECT item ->> 0 AS milestone_id, (item ->> 1)::date AS due_on, item ->> 2 AS status
            FROM jsonb_array_elements(p.milestones) AS item
        ) m""",
    "v_project": """
        SELECT p.project_id, p.state, p.title, p.lead, p.call_id, coalesce(c.programme, '') AS programme,
               p.contract_no, p.contract_amount, p.currency, p.disbursed, p.start_on, p.end_on, p.is_extended,
               p.suspended_at, p.reported_at, p.register_name, p.source_status, p.changed_at, p.changed_by,
               extract(epoch FROM now() - p.changed_at) AS unchanged_s,
               coalesce(overdue.since < now(), false) AS is_overdue,
               CASE WHEN overdue.since < now() THEN floor(extract(epoch FROM now() - overdue.since) / 86400) END
                   AS overdue_days,
               coalesce(p.state = 'executing' AND due.next < now() + interval '30 days', false) AS is_at_risk,
               coalesce(p.state = 'executing' AND p.start_on IS NOT NULL
                   AND now() - greatest(p.start_on::timestamp AT TIME ZONE 'UTC', p.reported_at) > interval '365 days',
                   false) AS is_silent,
               coalesce(p.register_name = '' AND p.state IN ('acceptance_pending', 'in_acceptance', 'accepted', 'closed')
                   AND 2 * p.disbursed < p.contract_amount, false) AS is_underspent,
               jsonb_array_length(p.parked) AS parked_events, jsonb_array_length(p.rejected) AS rejected_events
        FROM project_status p
        LEFT JOIN call_status c ON c.call_id = p.call_id
        CROSS JOIN LATERAL (
            SELECT min(m.due_at) AS first, min(m.due_at) FILTER (WHERE m.due_at >= now()) AS next
            FROM (
                SELECT (item ->> 1)::timestamp AT TIME ZONE 'UTC' AS due_at
                -- Only these can be late or at risk: of a million projects most have ended, and are not unfolded.
                FROM jsonb_array_elements(CASE
                    WHEN p.state IN ('contracted', 'executing', 'suspended', 'acceptance_pending') THEN p.milestones
                    ELSE '[]' END) AS item
                WHERE item ->> 2 IN ('planned', 'returned')
            ) m
        ) due
        CROSS JOIN LATERAL (
            SELECT least(
                due.first,
                CASE WHEN p.state = 'acceptance_pending'
                     THEN (p.end_on::timestamp + interval '183 days') AT TIME ZONE 'UTC' END
            ) AS since
        ) overdue""",
    "v_call": """
        SELECT c.call_id, c.title, c.programme, c.opens_at, c.closes_at, c.budget,
               CASE WHEN c.told_at IS NULL THEN NULL
                    WHEN c.is_cancelled THEN 'cancelled'
                    WHEN c.closes_at <= now() THEN 'closed'
                    WHEN c.opens_at > now() OR (c.opens_at IS NULL AND c.source_status = 'forthcoming') THEN 'forthcoming'
                    WHEN c.closes_at IS NULL AND c.source_status = 'closed' THEN 'closed'
                    WHEN c.closes_at - now() <= interval '14 days' THEN 'closing_soon'
                    ELSE 'open' END AS phase,
               extract(epoch FROM c.closes_at - now()) AS closes_in_s,
               c.register_name, c.source_status, c.changed_at, c.changed_by
        FROM call_status c""",
    "v_alert": """
        SELECT a.alert_key, split_part(a.alert_key, '/', 1) AS monitor, a.title, a.severity,
               array_position(ARRAY['info', 'low', 'warning', 'high', 'critical'], a.severity) AS severity_rank,
               a.condition, a.handling, a.suppression, a.raised_at, a.last_seen, a.ended_at, a.closed_reason,
               extract(epoch FROM coalesce(a.ended_at, now()) - a.raised_at) AS age_s,
               waits.until AS acknowledge_by,
               coalesce(a.handling = 'open' AND a.condition = 'firing' AND waits.until < now(), false)
                   AS is_acknowledged_late,
               a.episodes, a.repeats, a.reopened, a.changed_at, a.changed_by
        FROM alert_status a
        CROSS JOIN LATERAL (
            SELECT a.attention_at + CASE a.severity
                WHEN 'critical' THEN interval '15 minutes'
                WHEN 'high' THEN interval '1 hour'
                WHEN 'warning' THEN interval '1 day' END AS until
        ) waits""",
    "v_parked_event": """
        SELECT p.project_id, p.title, item ->> 0 AS event_name, item ->> 1 AS event_id, item ->> 2 AS event_source,
               (item ->> 4)::timestamptz AS event_time, extract(epoch FROM now() - (item ->> 4)::timestamptz) AS age_s
        FROM project_status p CROSS JOIN LATERAL jsonb_array_elements(p.parked) AS item""",
    "v_event": """
        SELECT topic, partition, record_offset, event_type, event_source, event_id, subject, event_time, recorded_at,
               stored_at, extract(epoch FROM recorded_at - event_time) AS lateness_s
        FROM event_history""",
    "v_application": """
        SELECT subject AS project_id, (event::json) -> 'data' ->> 'call_id' AS call_id, event_time AS submitted_at
        FROM event_history WHERE event_type LIKE '%.research.application.submitted.v_'""",
    "v_rejection": """
        SELECT subject, (event::json) -> 'data' ->> 'step' AS step, (event::json) -> 'data' ->> 'event_type' AS event_type,
               (event::json) -> 'data' ->> 'event_id' AS event_id, (event::json) -> 'data' ->> 'event_source' AS event_source,
               (event::json) -> 'data' ->> 'reason' AS reason, (event::json) -> 'data' ->> 'state' AS state,
               event_time, recorded_at
        FROM event_history WHERE event_type LIKE '%.platform.transition.rejected.v_'""",
    "v_finding": """
        SELECT subject, (event::json) -> 'data' ->> 'rule' AS rule, (event::json) -> 'data' ->> 'severity' AS severity,
               (event::json) -> 'data' ->> 'message' AS message, (event::json) -> 'data' ->> 'pointer' AS pointer,
               event_time, recorded_at
        FROM event_history WHERE event_type LIKE '%.platform.finding.reported.v_'""",
    "v_ledger": """
        SELECT passed.step, passed.topic, passed.offsets AS passed,
               booked.applied + booked.late_applied AS applied, booked.duplicate, booked.superseded,
               booked.rejected + booked.parked - booked.late_applied AS rejected, booked.quarantined, booked.gap,
               booked.parked - booked.late_applied - booked.late_rejected AS waiting,
               passed.offsets - (booked.applied + booked.duplicate + booked.superseded + booked.rejected + booked.parked
                   + booked.quarantined + booked.gap) AS unaccounted,
               passed.moved_at
        FROM (
            SELECT step, topic, sum(next_offset - start_offset)::bigint AS offsets, max(moved_at) AS moved_at
            FROM ledger GROUP BY step, topic
        ) passed
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(applied), 0)::bigint AS applied, coalesce(sum(duplicate), 0)::bigint AS duplicate,
                   coalesce(sum(superseded), 0)::bigint AS superseded, coalesce(sum(rejected), 0)::bigint AS rejected,
                   coalesce(sum(quarantined), 0)::bigint AS quarantined, coalesce(sum(parked), 0)::bigint AS parked,
                   coalesce(sum(late_applied), 0)::bigint AS late_applied,
                   coalesce(sum(late_rejected), 0)::bigint AS late_rejected, coalesce(sum(gap), 0)::bigint AS gap
            FROM ledger_day d WHERE d.step = passed.step AND d.topic = passed.topic
        ) booked""",
    "v_ledger_day": """
        SELECT step, topic, day, sum(applied + late_applied)::bigint AS applied, sum(duplicate)::bigint AS duplicate,
               sum(superseded)::bigint AS superseded, sum(rejected + parked - late_applied)::bigint AS rejected,
               sum(quarantined)::bigint AS quarantined
        FROM ledger_day GROUP BY step, topic, day""",
    "v_quarantine": """
        SELECT id, state, reason, topic, partition, record_offset, record_time, event_id, event_type,
               coalesce(event_source, '') AS event_source, contract, step, code_version, pointer, attempts,
               first_failed_at, last_failed_at, settled_at, settled_by, settled_why,
               extract(epoch FROM coalesce(settled_at, now()) - first_failed_at) AS age_s
        FROM quarantine""",
    "v_breaker": """
        SELECT step, topic, partition, opened_at, next_offset, message, allowed_until, allowed_by FROM breaker""",
    "v_timer": """
        SELECT step, key, partition, due_at, published_at, extract(epoch FROM now() - due_at) AS late_s FROM timer""",
    "v_connector_file": """
        SELECT connector, name, rows_done, started_at, finished_at,
               extract(epoch FROM coalesce(finished_at, now()) - started_at) AS took_s
        FROM connector_file""",
}


def upgrade() -> None:
    op.create_index(op.f("ix_event_history_recorded_at"), "event_history", ["recorded_at"], postgresql_using="brin")
    # Roles belong to the server, not to this database: another database, or an administrator, may have made it already.
    op.execute(
        f"DO $$ BEGIN CREATE ROLE {ROLE} NOLOGIN;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;"
        " WHEN insufficient_privilege THEN"
        f"  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN"
        f"   RAISE EXCEPTION 'role {ROLE} is missing and this user may not create it'"
        f"    USING HINT = 'As an administrator: CREATE ROLE {ROLE} NOLOGIN; then migrate again.';"
        "  END IF;"
        " END $$"
    )
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {ROLE}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {ROLE}")
    op.drop_index(op.f("ix_event_history_recorded_at"), table_name="event_history")
