"""Anything by id, name or organisation."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from gateway.console.queries.now import SOURCES_MAX
from gateway.console.queries.rows import FOUND_MAX, rows
from gateway.console.queries.scores import SCORE_HOURS
from sinks.history.rows import identity_of


class Found(NamedTuple):
    """Something that a search found. kind: project, call, alert, partner, subscription, record."""

    kind: str
    key: str
    title: str
    note: str
    state: str | None


class FoundEvent(NamedTuple):
    """An event of the history. Its id is its source's own: others may have used it, too."""

    event_id: str
    event_source: str
    event_type: str
    topic: str
    subject: str
    recorded_at: datetime


def find_events(cursor: Cursor[Any], event_id: str) -> list[FoundEvent]:
    """What any source published under exactly this id; the latest first. By keys: an identity is a hash of source and id."""
    sources = cursor.execute(f"SELECT event_source FROM v_source LIMIT {SOURCES_MAX}".encode()).fetchall()  # noqa: S608
    return rows(
        cursor,
        FoundEvent,
        f"""SELECT event_id, event_source, event_type, topic, subject, recorded_at FROM v_event
            WHERE identity = ANY(%(identities)s::uuid[]) ORDER BY recorded_at DESC LIMIT {FOUND_MAX}""",  # noqa: S608
        {"identities": [identity_of(source, event_id) for (source,) in sources]},
    )


def find_key(cursor: Cursor[Any], words: str) -> list[Found]:
    """Whatever has exactly this id: by keys, so at once."""
    return rows(
        cursor,
        Found,
        """SELECT 'project' AS kind, project_id AS key, title, lead AS note, state FROM v_project WHERE project_id = %(words)s
           UNION ALL SELECT 'call', call_id, title, programme, phase FROM v_call WHERE call_id = %(words)s
           UNION ALL SELECT 'alert', alert_key, coalesce(title, ''), monitor, condition FROM v_alert
                     WHERE alert_key = %(words)s""",
        {"words": words},
    )


def find_words(cursor: Cursor[Any], words: str) -> list[Found]:
    """Whatever has these letters in id, name or organisation; the first of each kind."""
    return rows(
        cursor,
        Found,
        f"""(SELECT 'project' AS kind, project_id AS key, title, lead AS note, state FROM v_listed_project
             WHERE project_id = ANY(ARRAY(SELECT project_id FROM v_project_words
                                          WHERE strpos(words, lower(%(words)s)) > 0 LIMIT {FOUND_MAX})))
            UNION ALL (SELECT 'call', call_id, title, programme, phase FROM v_call
             WHERE strpos(lower(concat_ws(' ', call_id, title, programme)), lower(%(words)s)) > 0 LIMIT {FOUND_MAX})
            UNION ALL (SELECT 'alert', alert_key, coalesce(title, ''), monitor, condition FROM v_alert
             WHERE strpos(lower(concat_ws(' ', alert_key, title)), lower(%(words)s)) > 0 LIMIT {FOUND_MAX})
            UNION ALL (SELECT 'record', id::text, coalesce(event_id, ''), event_source, state FROM v_quarantine
             WHERE strpos(lower(concat_ws(' ', event_id, event_source)), lower(%(words)s)) > 0 LIMIT {FOUND_MAX})""",  # noqa: S608
        {"words": words},
    )


class FoundSource(NamedTuple):
    """A source, and what came of it within SCORE_HOURS."""

    event_source: str
    taken: int
    duplicate: int
    refused: int
    last_recorded_at: datetime


def find_sources(cursor: Cursor[Any], words: str) -> list[FoundSource]:
    """Sources with these letters, also those that no registered partner speaks as."""
    return rows(
        cursor,
        FoundSource,
        f"""WITH found AS MATERIALIZED (
                SELECT event_source, last_recorded_at FROM v_source WHERE strpos(lower(event_source), lower(%(words)s)) > 0
                ORDER BY event_source LIMIT {FOUND_MAX}
            )
            SELECT f.event_source, coalesce(sum(h.events) FILTER (WHERE h.outcome = 'taken'), 0)::bigint AS taken,
                   coalesce(sum(h.events) FILTER (WHERE h.outcome = 'duplicate'), 0)::bigint AS duplicate,
                   coalesce(sum(h.events) FILTER (WHERE h.outcome IN ('rejected', 'quarantined')), 0)::bigint AS refused,
                   f.last_recorded_at
            FROM found f LEFT JOIN v_source_hour h
                 ON h.event_source = f.event_source AND h.hour > now() - interval '{SCORE_HOURS} hours'
            GROUP BY f.event_source, f.last_recorded_at ORDER BY f.event_source""",  # noqa: S608
        {"words": words},
    )


def kept_found(cursor: Cursor[Any], words: str) -> list[Found]:
    """Partners with these letters in id or name, or that speak as this source; subscriptions by id, partner or purpose."""
    return rows(
        cursor,
        Found,
        f"""(SELECT 'partner' AS kind, partner_id AS key, name AS title, '' AS note, '' AS state FROM partner
             WHERE strpos(lower(concat_ws(' ', partner_id, name)), lower(%(words)s)) > 0
                   OR (SELECT nearest_source(%(words)s, ARRAY(SELECT unnest(sources) FROM partner))) = ANY(sources)
             ORDER BY partner_id LIMIT {FOUND_MAX})
            UNION ALL (SELECT 'subscription', subscription_id::text, coalesce(purpose, ''), owner, state FROM subscription
             WHERE strpos(lower(concat_ws(' ', subscription_id, owner, purpose)), lower(%(words)s)) > 0
             ORDER BY owner, subscription_id LIMIT {FOUND_MAX})""",  # noqa: S608
        {"words": words},
    )
