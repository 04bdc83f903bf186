"""What happens, and what waits for a person."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import rows

PULSE_MINUTES: Final = 10
TICK_S: Final = 15
SOURCES_MAX: Final = 5_000
NEWS_MAX: Final = 14
CALLS_MAX: Final = 10


class Beat(NamedTuple):
    """Events of one source in one topic and TICK_S seconds."""

    source: str
    topic: str
    tick: int
    events: int
    last_at: datetime


def pulse(cursor: Cursor[Any]) -> list[Beat]:
    """The last PULSE_MINUTES, from outside: what the platform derives is left out."""
    return rows(
        cursor,
        Beat,
        f"""SELECT event_source AS source, topic,
                   floor(extract(epoch FROM recorded_at) / {TICK_S})::bigint AS tick,
                   count(*) AS events, max(recorded_at) AS last_at
            FROM v_event
            WHERE recorded_at > now() - interval '{PULSE_MINUTES} minutes' AND recorded_at <= now() AND topic LIKE '%%.event'
                  AND event_source NOT LIKE '/engine/%%' AND event_source NOT LIKE '/streams/%%'
            GROUP BY 1, 2, 3 LIMIT {SOURCES_MAX}""",  # noqa: S608 - our own constants
    )


class News(NamedTuple):
    """An event, without its data."""

    recorded_at: datetime
    event_type: str
    event_source: str
    subject: str
    topic: str


def news(cursor: Cursor[Any], seconds: int) -> list[News]:
    """The latest events from outside of so many seconds: few where much happens, so that the sort stays small."""
    return rows(
        cursor,
        News,
        f"""SELECT recorded_at, event_type, event_source, subject, topic FROM v_event
            WHERE recorded_at > now() - make_interval(secs => %(seconds)s) AND topic LIKE '%%.event'
                  AND event_source NOT LIKE '/engine/%%' AND event_source NOT LIKE '/streams/%%'
            ORDER BY recorded_at DESC LIMIT {NEWS_MAX}""",  # noqa: S608
        {"seconds": seconds},
    )


class Needs(NamedTuple):
    """What waits for a person."""

    late_alerts: int
    open_alerts: int
    open_critical: int
    quarantined: int
    quarantined_since: datetime | None
    paused_partitions: int
    closing_calls: int


def needs(cursor: Cursor[Any]) -> Needs:
    """Counts that cost little; projects' claims come from `board`."""
    return rows(
        cursor,
        Needs,
        """SELECT a.late_alerts, a.open_alerts, a.open_critical, q.quarantined, q.quarantined_since,
                  (SELECT count(*) FROM v_breaker WHERE opened_at IS NOT NULL) AS paused_partitions,
                  (SELECT count(*) FROM v_call WHERE phase = 'closing_soon') AS closing_calls
           FROM (SELECT count(*) FILTER (WHERE is_acknowledged_late) AS late_alerts,
                        count(*) FILTER (WHERE handling = 'open' AND suppression = 'none') AS open_alerts,
                        count(*) FILTER (WHERE handling = 'open' AND suppression = 'none' AND severity = 'critical')
                            AS open_critical
                 FROM v_alert WHERE handling <> 'closed') a,
                (SELECT count(*) AS quarantined, min(first_failed_at) AS quarantined_since
                 FROM v_quarantine WHERE state = 'waiting') q""",
    )[0]


class ClosingCall(NamedTuple):
    """A call that closes within 14 days."""

    call_id: str
    title: str
    programme: str
    closes_at: datetime


def closing_calls(cursor: Cursor[Any]) -> list[ClosingCall]:
    """The next to close first."""
    return rows(
        cursor,
        ClosingCall,
        "SELECT call_id, title, programme, closes_at FROM v_call WHERE phase = 'closing_soon'"  # noqa: S608
        f" ORDER BY closes_at, call_id LIMIT {CALLS_MAX}",
    )
