"""Two days by the hour for charts: events out of the copy that a pass keeps fresh, alerts as they stand."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import rows

CHART_HOURS: Final = 24
COUNTS_MAX: Final = 5_000


class HourCount(NamedTuple):
    """How many of what in the hour that begins then."""

    hour: datetime
    what: str
    number: int


_SINCE: Final = f"date_trunc('hour', now(), 'UTC') - interval '{2 * CHART_HOURS - 1} hours'"


def events_by_hour(cursor: Cursor[Any]) -> list[HourCount]:
    """Events that were taken, rejected, quarantined, of all sources."""
    return rows(
        cursor,
        HourCount,
        f"""SELECT hour, outcome AS what, sum(events)::bigint AS number FROM v_source_hour
            WHERE hour >= {_SINCE} AND outcome IN ('taken', 'rejected', 'quarantined')
            GROUP BY 1, 2 LIMIT {COUNTS_MAX}""",  # noqa: S608 - our own constants
    )


def causes_by_hour(cursor: Cursor[Any]) -> list[HourCount]:
    """Records that went to the quarantine, by reason; those that were settled since, too."""
    return rows(
        cursor,
        HourCount,
        f"""SELECT hour, reason AS what, sum(events)::bigint AS number FROM v_source_hour
            WHERE hour >= {_SINCE} AND outcome = 'quarantined'
            GROUP BY 1, 2 LIMIT {COUNTS_MAX}""",  # noqa: S608
    )


def alerts_by_hour(cursor: Cursor[Any]) -> list[HourCount]:
    """Latest episodes of alerts: raised, by severity, and `ended`. One that was raised again counts once, at the last time."""
    return rows(
        cursor,
        HourCount,
        f"""SELECT date_trunc('hour', at, 'UTC') AS hour, what, count(*) AS number
            FROM v_alert, LATERAL (VALUES (raised_at, coalesce(severity, '')), (ended_at, 'ended')) AS moved (at, what)
            WHERE at >= {_SINCE} AND at <= now()
            GROUP BY 1, 2 LIMIT {COUNTS_MAX}""",  # noqa: S608
    )
