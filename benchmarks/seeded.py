"""A large bureau straight into PostgreSQL: projects, calls, alerts, a year of events, quarantine, timers, partners
and what was refused of them, subscriptions, works.

Four projects in ten are active, each with four milestones; events come evenly over the year. One subscription in ten is behind,
one in twenty has dead letters, and SUBSCRIPTION has the longest trace.
"""

from typing import Any
from uuid import UUID

from psycopg import Connection

from sinks.status.reading import refresh

SUBSCRIPTION = UUID("00000000-0000-4000-8000-000000000007")
PARTNERS = 300
PARTNER = "partner-7"  # its owner
SOURCE = "/partners/7"  # which that speaks as

PROJECTS_SQL = """
INSERT INTO project_status (project_id, state, title, lead, call_id, contract_no, contract_amount, currency, start_on, end_on,
    disbursed, paid_by_year, accepted_at, milestones, is_extended, is_retried, register_name, source_status, parked, changed_at,
    changed_by, applied, duplicates, superseded, rejected, seen)
SELECT 'P-' || lpad(n::text, 7, '0'),
    (ARRAY['archived', 'archived', 'closed', 'closed', 'rejected', 'under_review', 'executing', 'executing', 'executing',
           'acceptance_pending'])[1 + n %% 10],
    'Project ' || md5(n::text), 'Institute ' || n %% 5000, 'C-' || n %% 300, 'HT-' || n, 1000000, 'CNY',
    current_date - n %% 900, current_date + n %% 700 - 100, 400000,
    jsonb_build_array(jsonb_build_array(extract(year FROM current_date - n %% 900), 400000)),
    CASE WHEN n %% 10 < 4 THEN now() - make_interval(days => n %% 900) END,
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
# Five episodes of each alert in a year; the latest is the one above.
EPISODES_SQL = """
INSERT INTO alert_episode (alert_key, episode, title, severity, condition, handling, closed_reason, raised_at, opened_at,
    taken_at, over_at, last_seen, repeats, reopened)
SELECT alert_key, 2 - n, title, severity, 'resolved', 'closed', 'resolved', at, at, at + interval '10 minutes',
    CASE WHEN n = 1 AND condition = 'firing' THEN 'infinity' ELSE at + interval '2 hours' END, at, n, n % 2
FROM (SELECT *, now() - interval '1 year' * random() AS at FROM alert_status, generate_series(1, 5) n) AS each"""
CALLS_SQL = """
INSERT INTO call_status (call_id, title, programme, opens_at, closes_at, is_cancelled, register_name, source_status, told_at,
    changed_by, applied, duplicates, superseded, rejected, seen)
SELECT 'C-' || n, 'Call ' || n, 'Programme ' || n %% 20, now() - make_interval(hours => n * 21600 / %(count)s),
    now() - make_interval(hours => n * 21600 / %(count)s - 840), false, '', '', now(), '', 1, 0, 0, '[]', ''
FROM generate_series(0, %(count)s - 1) n"""
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
PARTNERS_SQL = """
INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)
SELECT 'partner-' || n, 'Partner ' || n, '{publish:*,subscribe:*}', ARRAY['/partners/' || n], 100, 5000, 1000000, 'benchmarks'
FROM generate_series(0, %(count)s - 1) n"""
REFUSALS_SQL = """
INSERT INTO partner_refusal (partner_id, hour, problem, events)
SELECT partner_id, date_trunc('hour', now()) - make_interval(hours => n), problem, n + 1
FROM partner, generate_series(0, 190, 6) n, unnest('{contract_broken,type_unknown,rate_exceeded}'::text[]) problem"""
REPEATS_SQL = """
INSERT INTO partner_repeat (partner_id, hour, events)
SELECT partner_id, date_trunc('hour', now()) - make_interval(hours => n), n + 1 FROM partner, generate_series(0, 190) n"""
ENDS_SQL = """
INSERT INTO log_end (topic, partition, end_offset)
SELECT 'research.project.event', partition, 1500 FROM generate_series(0, 11) partition"""
TOKENS_SQL = """
INSERT INTO partner_token (digest, prefix, partner_id, scopes, issued_at, issued_by, expires_at)
SELECT sha256((partner_id || ' ' || n)::bytea), partner_id || ' ' || n, partner_id, '{}', now(), 'benchmarks',
    now() + interval '90 days'
FROM partner, generate_series(1, 2) n"""
SUBSCRIPTIONS_SQL = """
INSERT INTO subscription (subscription_id, owner, protocol, types, filters, sink, protocolsettings, config, start_at, purpose,
    legal_basis, approver, state, state_reason, state_by, state_since, created_at, changed_at)
SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'partner-' || n %% 300,
    CASE n %% 10 WHEN 5 THEN 'PULL' WHEN 6 THEN 'KAFKA' ELSE 'HTTP' END, '{}', '[]',
    'https://partner-' || n %% 300 || '.example.org/hook', '{}', '{}', 'now', 'purpose ' || n, 'norm', 'office',
    CASE n %% 10 WHEN 3 THEN 'paused' WHEN 4 THEN 'disabled' ELSE 'enabled' END, 'requested', 'partner', now(), now(), now()
FROM generate_series(1, %(count)s) n"""
PROGRESS_SQL = """
INSERT INTO subscription_progress (subscription_id, last_number, place_seen_at)
SELECT subscription_id, 100000, CASE WHEN protocol <> 'HTTP' THEN now() END FROM subscription"""
POSITIONS_SQL = """
INSERT INTO subscription_position (subscription_id, topic, partition, start_offset, next_offset)
SELECT subscription_id, 'research.project.event', partition, 0, 1000 FROM subscription, generate_series(0, 11) partition"""
READINGS_SQL = """
INSERT INTO subscription_reading (subscription_id, consumer, topic, partition, next_offset)
SELECT subscription_id, CASE protocol WHEN 'KAFKA' THEN 'group' ELSE '' END, 'research.project.event', partition, 1200
FROM subscription, generate_series(0, 11) partition WHERE protocol <> 'HTTP'"""
DELIVERIES_SQL = """
INSERT INTO subscription_delivery (subscription_id, number, topic, partition, record_offset, attempts)
SELECT subscription_id, number, 'research.project.event', 0, number, number % 3
FROM subscription, generate_series(99801, 100000) number WHERE right(subscription_id::text, 1) = '7'"""
ATTEMPTS_SQL = """
INSERT INTO subscription_attempt (subscription_id, number, topic, partition, record_offset, event_id, event_source, event_type,
    attempt, started_at, duration_ms, outcome, status)
SELECT subscription_id, number, 'research.project.event', 0, number, 'e-' || number, '/partners/x',
    'gov.stiib.research.milestone.reported.v1', 1, now(), 9, 'acknowledged', 200
FROM subscription, generate_series(CASE WHEN subscription_id = %(subscription)s THEN 60001 ELSE 99991 END, 100000) number"""
LETTERS_SQL = """
INSERT INTO subscription_dead_letter (subscription_id, number, topic, partition, record_offset, event_id, event_source,
    event_type, body, attempts, reason, status, message, first_failed_at, last_failed_at)
SELECT subscription_id, number, 'research.project.event', 0, number, 'e-' || number, '/partners/x',
    'gov.stiib.research.milestone.reported.v1', '{}', 1, 'unprocessable', 415, '', now(), now()
FROM subscription, generate_series(1, 100) number WHERE right(subscription_id::text, 2) IN ('07', '27', '47', '67', '87')"""
WORKS_SQL = """
INSERT INTO work (kind, title, started_by, done, total, state, ended_at)
SELECT 'ingest', 'work ' || n, 'somebody', n, n, 'done', now() FROM generate_series(1, %(count)s) n"""


def fill(
    connection: Connection[Any], *, projects: int, alerts: int, events: int, held: int, calls: int, subscriptions: int
) -> None:
    """All of it, the copy for readers too; statistics and visibility as after autovacuum."""
    connection.execute(PROJECTS_SQL, {"count": projects})
    connection.execute(CALLS_SQL, {"count": calls})
    connection.execute(ALERTS_SQL, {"count": alerts})
    connection.execute(EPISODES_SQL)
    connection.execute(EVENTS_SQL, {"count": events})
    connection.execute(QUARANTINE_SQL, {"count": held})
    connection.execute(TIMERS_SQL)
    connection.execute(PARTNERS_SQL, {"count": PARTNERS})
    connection.execute(REFUSALS_SQL)
    connection.execute(REPEATS_SQL)
    connection.execute(ENDS_SQL)
    connection.execute(TOKENS_SQL)
    connection.execute(SUBSCRIPTIONS_SQL, {"count": subscriptions})
    connection.execute(PROGRESS_SQL)
    connection.execute(POSITIONS_SQL)
    connection.execute(READINGS_SQL)
    connection.execute(DELIVERIES_SQL)
    connection.execute(ATTEMPTS_SQL, {"subscription": SUBSCRIPTION})
    connection.execute(LETTERS_SQL)
    connection.execute(WORKS_SQL, {"count": subscriptions})
    with connection.transaction(), connection.cursor() as cursor:
        refresh(cursor)
    connection.execute("VACUUM ANALYZE")
