"""A large bureau straight into PostgreSQL: projects, calls, alerts, a year of events, quarantine, timers.

Four projects in ten are active, each with four milestones; events come evenly over the year.
"""

from typing import Any

from psycopg import Connection

from sinks.status.reading import refresh

PROJECTS_SQL = """
INSERT INTO project_status (project_id, state, title, lead, call_id, contract_no, contract_amount, currency, start_on, end_on,
    disbursed, milestones, is_extended, is_retried, register_name, source_status, parked, changed_at, changed_by, applied,
    duplicates, superseded, rejected, seen)
SELECT 'P-' || lpad(n::text, 7, '0'),
    (ARRAY['archived', 'archived', 'closed', 'closed', 'rejected', 'under_review', 'executing', 'executing', 'executing',
           'acceptance_pending'])[1 + n %% 10],
    'Project ' || md5(n::text), 'Institute ' || n %% 5000, 'C-' || n %% 300, 'HT-' || n, 1000000, 'CNY',
    current_date - n %% 900, current_date + n %% 700 - 100, 400000,
    jsonb_build_array(
        jsonb_build_array('M1', (current_date - n %% 900 + 100)::text, 'accepted'),
        jsonb_build_array('M2', (current_date + n %% 600 - 30)::text, 'planned'),
        jsonb_build_array('M3', (current_date + n %% 700)::text, 'planned'),
        jsonb_build_array('M4', (current_date + n %% 700 + 20)::text, 'planned')),
    false, false, '', '', '[]', now() - make_interval(secs => n * 20), '/partners/x e-' || n, 10, 0, 0, '[]',
    decode(repeat(md5(n::text), 5), 'hex')
FROM generate_series(1, %(count)s) n"""
ALERTS_SQL = """
INSERT INTO alert_status (alert_key, episodes, condition, handling, suppression, severity, title, raised_at, last_seen,
    attention_at, repeats, reopened, changed_by, applied, duplicates, superseded, rejected, seen)
SELECT 'am/' || n, 1, (ARRAY['firing', 'resolved'])[1 + n %% 2], (ARRAY['open', 'acknowledged', 'closed'])[1 + n %% 3],
    'none', (ARRAY['info', 'low', 'warning', 'high', 'critical'])[1 + n %% 5], 'node-' || n, now() - make_interval(secs => n),
    now(), now() - make_interval(secs => n), n %% 9, 0, '', 1, 0, 0, '[]', ''
FROM generate_series(1, %(count)s) n"""
CALLS_SQL = """
INSERT INTO call_status (call_id, title, programme, opens_at, closes_at, is_cancelled, register_name, source_status, told_at,
    changed_by, applied, duplicates, superseded, rejected, seen)
SELECT 'C-' || n, 'Call ' || n, 'Programme ' || n % 20, now() - make_interval(days => n * 3),
    now() - make_interval(days => n * 3 - 35), false, '', '', now(), '', 1, 0, 0, '[]', ''
FROM generate_series(0, 299) n"""
EVENTS_SQL = """
INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject, event_time,
    recorded_at, event)
SELECT md5(n::text)::uuid, 'research.project.event', n %% 12, n,
    'gov.stiib.' || CASE WHEN n %% 500 = 0 THEN 'platform.transition.rejected'
        WHEN n %% 500 = 1 THEN 'platform.finding.reported'
        WHEN n %% 200 = 2 THEN 'research.project.extended' WHEN n %% 10 = 3 THEN 'research.application.submitted'
        ELSE 'research.milestone.reported' END || '.v1',
    '/partners/' || n %% 300, 'e-' || n, 'P-' || lpad(n::text, 7, '0'), at, at,
    json_build_object('specversion', '1.0', 'data', json_build_object('call_id', 'C-' || n %% 300, 'step', 'projects',
        'event_type', 'x', 'event_id', 'e-' || n - 1, 'event_source', '/partners/x', 'reason', 'order', 'state', 'executing',
        'rule', 'r', 'severity', 'low', 'message', repeat('m', 300), 'pointer', '/x'))::text
FROM (SELECT n, now() - (%(count)s - n) * interval '365 days' / %(count)s AS at FROM generate_series(1, %(count)s) n) AS each
ORDER BY n"""
QUARANTINE_SQL = """
INSERT INTO quarantine (step, topic, partition, record_offset, record_time, record_key, value, headers, event_id, event_type,
    event_source, reason, pointer, message, code_version, attempts, state)
SELECT 'projects', 'research.project.event', n %% 12, n, now(), '', '', '[]', 'q-' || n,
    'gov.stiib.research.funds.disbursed.v1',
    '/partners/' || n %% 20, (ARRAY['data_invalid', 'type_unknown'])[1 + n %% 2], '/data/amount', 'wrong', '1', 1, 'waiting'
FROM generate_series(1, %(count)s) n"""
TIMERS_SQL = """
INSERT INTO timer (step, key, partition, due_at)
SELECT 'projects', project_id, 0, now() + interval '1 day' FROM project_status
WHERE state IN ('executing', 'acceptance_pending')"""


def fill(connection: Connection[Any], *, projects: int, alerts: int, events: int, held: int) -> None:
    """All of it, the copy for readers too; statistics and visibility as after autovacuum."""
    connection.execute(PROJECTS_SQL, {"count": projects})
    connection.execute(CALLS_SQL)
    connection.execute(ALERTS_SQL, {"count": alerts})
    connection.execute(EVENTS_SQL, {"count": events})
    connection.execute(QUARANTINE_SQL, {"count": held})
    connection.execute(TIMERS_SQL)
    with connection.transaction(), connection.cursor() as cursor:
        refresh(cursor)
    connection.execute("VACUUM ANALYZE")
