"""What came of a source, by the hour, out of the copy that a pass keeps fresh (sinks/status/reading.py); and what the gateway
refused of a partner (gateway/refusals.py), and answered by the first receipt (gateway/repeats.py)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import rows

SCORE_DAYS: Final = 7
SCORE_HOURS: Final = 24
TALLIES_MAX: Final = 50_000
TURNED_AWAY: Final = "turned_away"


class Tally(NamedTuple):
    """Events of one hour and outcome: taken, duplicate, rejected, quarantined, by a source; TURNED_AWAY, which have none.

    late_s: taken less late than this.
    """

    source: str
    hour: datetime
    outcome: str
    reason: str
    late_s: int
    events: int


def tallies(cursor: Cursor[Any], source: str, parted: Sequence[str] = ()) -> list[Tally]:
    """Of SCORE_DAYS and the day under way, of a source and those below it but for the parted ones; hour by hour."""
    return rows(
        cursor,
        Tally,
        # '0' follows '/', and the copy compares bytes.
        f"""SELECT %(source)s::text AS source, hour, outcome, reason, late_s, sum(events)::bigint AS events
            FROM v_source_hour
            WHERE (event_source = %(source)s OR (event_source > %(source)s || '/' AND event_source < %(source)s || '0'))
                  AND NOT EXISTS (SELECT FROM unnest(%(parted)s::text[]) AS other
                                  WHERE starts_with(event_source || '/', other || '/'))
                  AND hour > now() - interval '{SCORE_DAYS} days'
            GROUP BY hour, outcome, reason, late_s LIMIT {TALLIES_MAX}""",  # noqa: S608 - our own constants
        {"source": source, "parted": list(parted)},
    )


def turned_away(cursor: Cursor[Any], partner_id: str) -> list[Tally]:
    """Of SCORE_DAYS and the day under way, what the gateway refused of a partner; `reason` is the problem's slug."""
    return rows(
        cursor,
        Tally,
        f"""SELECT '' AS source, hour, '{TURNED_AWAY}' AS outcome, problem AS reason, 0 AS late_s, events
            FROM v_partner_refusal
            WHERE partner = %(partner)s AND hour > now() - interval '{SCORE_DAYS} days' LIMIT {TALLIES_MAX}""",  # noqa: S608
        {"partner": partner_id},
    )


def sent_again(cursor: Cursor[Any], partner_id: str) -> list[Tally]:
    """Of SCORE_DAYS and the day under way, what the gateway did not write once more: it reaches no log, nor any source."""
    return rows(
        cursor,
        Tally,
        f"""SELECT '' AS source, hour, 'duplicate' AS outcome, '' AS reason, 0 AS late_s, events
            FROM v_partner_repeat
            WHERE partner = %(partner)s AND hour > now() - interval '{SCORE_DAYS} days' LIMIT {TALLIES_MAX}""",  # noqa: S608
        {"partner": partner_id},
    )


def day_tallies(cursor: Cursor[Any]) -> list[Tally]:
    """Of the last SCORE_HOURS, of all sources, each as one; `hour` is the latest that it was heard in."""
    return rows(
        cursor,
        Tally,
        f"""SELECT event_source AS source, max(hour) AS hour, outcome, '' AS reason, late_s, sum(events)::bigint AS events
            FROM v_source_hour WHERE hour > now() - interval '{SCORE_HOURS} hours'
            GROUP BY event_source, outcome, late_s LIMIT {TALLIES_MAX}""",  # noqa: S608
    )
