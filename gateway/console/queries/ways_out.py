"""The ways out: how the subscriptions of each protocol fare, and which fare worst.

Each looks once at what stands for every subscription, and at so many rows at most of what waits and of what was tried: some
tens of milliseconds with thousands of subscriptions (benchmarks/pages.py).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from engine.records import Place
from gateway.console.queries.rows import Page, page, rows
from schemas.subscriptions import PUSHED
from sinks.webhooks.schedule import Policy

WAITING_MAX: Final = 20_000  # deliveries counted, of all subscriptions together
ATTEMPTS_MAX: Final = 2_000
RECENT_S: Final = 30
PARTNERS_MAX: Final = 8


class WayOut(NamedTuple):
    """Subscriptions of one protocol.

    failing: enabled ones whose endpoint gets nothing but probes. with_letters: those with dead letters that wait. waiting:
    of enabled ones, numbered and not settled; is_more: WAITING_MAX of all were counted, and there are more.
    """

    protocol: str
    subscriptions: int
    partners: int
    failing: int
    disabled: int
    paused: int
    pending: int
    expired: int
    with_letters: int
    waiting: int
    is_more: bool
    waits_since: datetime | None


class Branch(NamedTuple):
    """Enabled subscriptions of one protocol in one topic.

    lag: records that they have not read yet, lag_most: of the one that is furthest behind; None: the log's ends are not known,
    or readers carry their own place.
    """

    protocol: str
    topic: str
    subscriptions: int
    lag: int | None
    lag_most: int | None


class Sent(NamedTuple):
    """Acknowledged deliveries a second, lately."""

    protocol: str
    topic: str
    rate: float


class WaysOut(NamedTuple):
    """All of them as of one moment."""

    ways: Sequence[WayOut] = ()
    branches: Sequence[Branch] = ()
    sent: Sequence[Sent] = ()

    def rate(self, protocol: str) -> float:
        """Acknowledged a second, in all topics."""
        return sum(one.rate for one in self.sent if one.protocol == protocol)

    def lag(self, protocol: str) -> int | None:
        """Records that enabled subscriptions have not read yet; None: not known."""
        known = [one.lag for one in self.branches if one.protocol == protocol and one.lag is not None]
        return sum(known) if known else None


class OutPartner(NamedTuple):
    """A partner's subscriptions of one protocol; figures as in WayOut and Branch."""

    partner: str
    subscriptions: int
    failing: int
    disabled: int
    with_letters: int
    waiting: int
    is_more: bool
    lag: int | None


class OutRow(NamedTuple):
    """One subscription; figures as in WayOut and Branch."""

    subscription_id: str
    partner: str
    state: str
    reason: str
    failures_in_row: int
    failing_since: datetime | None
    has_letters: bool
    waiting: int
    is_more: bool
    waits_since: datetime | None
    lag: int | None


_FARES: Final = f"""counted AS MATERIALIZED (
        SELECT subscription_id, count(*) AS deliveries, min(planned_at) AS since
        FROM (SELECT subscription_id, planned_at FROM subscription_delivery LIMIT {WAITING_MAX}) AS first GROUP BY 1
    ), fares AS MATERIALIZED (
        SELECT *, state = 'enabled' AND failures_in_row >= {Policy().circuit_failures} AS is_failing
        FROM (SELECT s.subscription_id, s.owner AS partner, s.protocol,
                     CASE WHEN {{expired}} THEN 'expired' ELSE s.state END AS state,
                     CASE WHEN {{expired}} THEN 'expired' ELSE s.state_reason END AS reason,
                     coalesce(p.failures_in_row, 0) AS failures_in_row, p.failing_since,
                     coalesce(c.deliveries, 0) AS waiting, c.since AS waits_since,
                     coalesce((SELECT sum(deliveries) FROM counted) >= {WAITING_MAX}, false) AS is_more,
                     EXISTS (SELECT FROM subscription_dead_letter l
                             WHERE l.subscription_id = s.subscription_id AND l.state = 'waiting') AS has_letters
              FROM subscription s LEFT JOIN subscription_progress p USING (subscription_id)
              LEFT JOIN counted c USING (subscription_id)
              WHERE (%(protocol)s = '' OR s.protocol = %(protocol)s) AND (%(partner)s = '' OR s.owner = %(partner)s)) AS each
    )""".replace("{expired}", "s.expires_at <= now() AND s.state <> 'disabled'")  # noqa: S608 - our own constants
# The log's ends come as arrays. Whoever keeps up stands at them, so few rows are more than compared.
_BEHIND: Final = """behind AS MATERIALIZED (
        SELECT p.subscription_id, p.topic, sum(e.end_offset - p.next_offset)::bigint AS lag
        FROM subscription_position p
        JOIN unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[]) AS e (topic, partition, end_offset)
             USING (topic, partition)
        WHERE p.next_offset < e.end_offset GROUP BY 1, 2
    )"""
_LAG: Final = "CASE WHEN %(are_ends_known)s AND {protocol} = ANY(%(pushed)s) THEN coalesce({lag}, 0)::bigint END"
_SUMS: Final = """count(*) AS subscriptions, count(*) FILTER (WHERE is_failing) AS failing,
           count(*) FILTER (WHERE state = 'disabled') AS disabled, count(*) FILTER (WHERE has_letters) AS with_letters,
           coalesce(sum(waiting) FILTER (WHERE state = 'enabled'), 0)::bigint AS waiting, bool_or(is_more) AS is_more"""


def kept_ways_out(cursor: Cursor[Any], ends: Mapping[Place, int] | None) -> WaysOut:
    """By protocol, and by the topics that each reads. `ends` None: they are not known."""
    ways = rows(
        cursor,
        WayOut,
        f"""WITH {_FARES}
            SELECT protocol, count(DISTINCT partner) AS partners, count(*) FILTER (WHERE state = 'paused') AS paused,
                   count(*) FILTER (WHERE state = 'pending_validation') AS pending,
                   count(*) FILTER (WHERE state = 'expired') AS expired,
                   min(waits_since) FILTER (WHERE state = 'enabled') AS waits_since, {_SUMS}
            FROM fares GROUP BY protocol""",  # noqa: S608
        _values(ends),
    )
    branches = rows(
        cursor,
        Branch,
        f"""WITH {_BEHIND}
            SELECT s.protocol, p.topic, count(*) AS subscriptions,
                   {_LAG.format(protocol="s.protocol", lag="sum(b.lag)")} AS lag,
                   {_LAG.format(protocol="s.protocol", lag="max(b.lag)")} AS lag_most
            FROM subscription_position p JOIN subscription s USING (subscription_id)
            LEFT JOIN behind b USING (subscription_id, topic)
            WHERE p.partition = 0 AND s.state = 'enabled' AND (s.expires_at IS NULL OR s.expires_at > now())
            GROUP BY 1, 2""",  # noqa: S608
        _values(ends),
    )
    return WaysOut(ways, branches, _sent(cursor))


def _sent(cursor: Cursor[Any]) -> list[Sent]:
    """Of the latest attempts alone: where many are made, they are of the last second or two."""
    return rows(
        cursor,
        Sent,
        f"""WITH latest AS MATERIALIZED (
                SELECT subscription_id, topic, outcome, started_at + coalesce(duration_ms, 0) * interval '1 ms' AS ended_at
                FROM subscription_attempt ORDER BY id DESC LIMIT {ATTEMPTS_MAX}
            ), span AS (
                SELECT CASE WHEN count(*) < {ATTEMPTS_MAX} THEN {RECENT_S}
                            ELSE least({RECENT_S}, greatest(1, extract(epoch FROM now() - min(ended_at)))) END AS seconds
                FROM latest
            )
            SELECT s.protocol, l.topic, (count(*) / min(span.seconds))::float8 AS rate
            FROM latest l JOIN subscription s USING (subscription_id), span
            WHERE l.outcome = 'acknowledged' AND l.ended_at > now() - span.seconds * interval '1 s'
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
    )


def kept_out_partners(cursor: Cursor[Any], protocol: str, ends: Mapping[Place, int] | None) -> list[OutPartner]:
    """The partners of a protocol whose subscriptions fare worst, as far as anything is wrong or waits."""
    return rows(
        cursor,
        OutPartner,
        f"""WITH {_FARES}, {_BEHIND}
            SELECT partner, {_SUMS},
                   {_LAG.format(protocol="%(protocol)s", lag="sum(b.lag) FILTER (WHERE state = 'enabled')")} AS lag
            FROM fares LEFT JOIN (SELECT subscription_id, sum(lag) AS lag FROM behind GROUP BY 1) b USING (subscription_id)
            GROUP BY partner
            HAVING bool_or(is_failing OR state = 'disabled' OR has_letters)
                   OR sum(coalesce(b.lag, 0) + waiting) FILTER (WHERE state = 'enabled') > 0
            ORDER BY count(*) FILTER (WHERE is_failing OR state = 'disabled') DESC,
                     sum(coalesce(b.lag, 0) + waiting) FILTER (WHERE state = 'enabled') DESC NULLS LAST, partner
            LIMIT {PARTNERS_MAX}""",  # noqa: S608
        _values(ends, protocol),
    )


def kept_outs(cursor: Cursor[Any], protocol: str, partner: str, ends: Mapping[Place, int] | None) -> Page[OutRow]:
    """Subscriptions of a protocol, the worst first: endpoints that fail, disabled ones, dead letters, what waits.

    `partner` empty: of all.
    """
    return page(
        cursor,
        OutRow,
        f"""WITH {_FARES}, {_BEHIND}
            SELECT subscription_id::text AS subscription_id, partner, state, reason, failures_in_row,
                   CASE WHEN failures_in_row > 0 THEN failing_since END AS failing_since, has_letters,
                   waiting, is_more, waits_since, {_LAG.format(protocol="protocol", lag="b.lag")} AS lag
            FROM fares LEFT JOIN (SELECT subscription_id, sum(lag) AS lag FROM behind GROUP BY 1) b USING (subscription_id)
            ORDER BY is_failing DESC, state = 'disabled' DESC, has_letters DESC, failures_in_row > 0 DESC,
                     coalesce(b.lag, 0) + waiting DESC, partner, subscription_id""",  # noqa: S608
        _values(ends, protocol, partner),
    )


def _values(ends: Mapping[Place, int] | None, protocol: str = "", partner: str = "") -> dict[str, Any]:
    known = ends or {}
    return {
        "topics": [topic for topic, _ in known],
        "partitions": [partition for _, partition in known],
        "offsets": list(known.values()),
        "are_ends_known": ends is not None,
        "pushed": list(PUSHED),
        "protocol": protocol,
        "partner": partner,
    }
