"""Subscriptions: who receives what, how far deliveries have come, and what was given up."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Cursor

from gateway.console.queries.rows import Page, columns, page, rows

ATTEMPTS_MAX: Final = 50
LETTERS_MAX: Final = 50
STATES: Final = ("pending_validation", "enabled", "paused", "disabled", "expired")


class SubscriptionRow(NamedTuple):
    """A subscription and how it fares.

    types: `*` for all that its partner may receive. unread: records of its topics, None where nobody knows. reading: delivered,
    read, never_read (readers with a cursor), committed, nothing_committed, not_known (Kafka's own consumers).
    """

    subscription_id: str
    partner: str
    protocol: str
    types: str
    state: str
    reason: str
    purpose: str | None
    legal_basis: str | None
    approver: str | None
    created_at: datetime
    changed_at: datetime
    expires_at: datetime | None
    last_number: int
    waiting: int
    behind_s: float
    dead_letters: int
    withheld: int
    unread: int | None
    last_read_at: datetime | None
    reading: str


class SubscriptionFilter(NamedTuple):
    """Empty: all. `after`: the partner and id that the page before ended with, separated by a space."""

    state: str = ""
    words: str = ""
    after: str = ""


# The view compares all places at once, for a list by how far each is behind; a page asks for its own rows alone.
_UNREAD = """CASE WHEN reading <> 'not_known' THEN (
        SELECT own.unread FROM v_subscription_unread own WHERE own.subscription_id = v_subscription.subscription_id::uuid
    ) END AS unread"""
_SUBSCRIPTION = columns(SubscriptionRow).replace("unread", _UNREAD, 1)


def subscriptions(cursor: Cursor[Any], wanted: SubscriptionFilter, partner: str | None = None) -> Page[SubscriptionRow]:
    """By partner, a page from a key on. `partner`: only this one's."""
    partner_after, _, id_after = wanted.after.partition(" ")
    where = ["(%(partner)s::text IS NULL OR partner = %(partner)s)"]
    if id_after:
        where.append("(partner, subscription_id) > (%(partner_after)s, %(id_after)s)")
    if wanted.state:
        where.append("state = %(state)s")
    if wanted.words:
        where.append("strpos(lower(concat_ws(' ', subscription_id, partner, types, purpose)), lower(%(words)s)) > 0")
    return page(
        cursor,
        SubscriptionRow,
        f"SELECT {_SUBSCRIPTION} FROM v_subscription WHERE {' AND '.join(where)} ORDER BY partner, subscription_id",  # noqa: S608
        wanted._asdict() | {"partner": partner, "partner_after": partner_after, "id_after": id_after},
    )


def subscription(cursor: Cursor[Any], subscription_id: UUID, partner: str | None = None) -> SubscriptionRow | None:
    """One; with `partner` only if it is this one's."""
    found = rows(
        cursor,
        SubscriptionRow,
        f"SELECT {_SUBSCRIPTION} FROM v_subscription WHERE subscription_id = %(id)s::text"  # noqa: S608
        " AND (%(partner)s::text IS NULL OR partner = %(partner)s)",
        {"id": str(subscription_id), "partner": partner},
    )
    return found[0] if found else None


class Endpoint(NamedTuple):
    """Where deliveries go and how the endpoint fares. Only protocols that are delivered by have one."""

    sink: str | None
    state_by: str
    state_note: str | None
    state_since: datetime
    granted_per_min: int | None
    failures_in_row: int
    failing_since: datetime | None
    retry_at: datetime | None
    withheld_right: int
    withheld_classification: int


def kept_endpoint(cursor: Cursor[Any], subscription_id: UUID) -> Endpoint | None:
    """What the view leaves out; None: the subscription is gone."""
    found = rows(
        cursor,
        Endpoint,
        """SELECT s.sink, s.state_by, s.state_note, s.state_since, p.granted_per_min,
                  coalesce(p.failures_in_row, 0) AS failures_in_row, p.failing_since, p.retry_at,
                  coalesce(p.withheld_right, 0) AS withheld_right,
                  coalesce(p.withheld_classification, 0) AS withheld_classification
           FROM subscription s LEFT JOIN subscription_progress p USING (subscription_id)
           WHERE s.subscription_id = %(id)s""",
        {"id": subscription_id},
    )
    return found[0] if found else None


class Position(NamedTuple):
    """How far one partition is read.

    consumer: a group of Kafka's, else empty. start_offset None: it was added since. next_offset None: nothing is known of it.
    """

    consumer: str
    topic: str
    partition: int
    start_offset: int | None
    next_offset: int | None
    unread: int | None
    moved_at: datetime | None


def kept_positions(cursor: Cursor[Any], subscription_id: UUID) -> Sequence[Position]:
    """By topic, partition and consumer. Where a place of somebody's own is known, that; else the subscription's."""
    return rows(
        cursor,
        Position,
        """WITH place AS (
               SELECT coalesce(r.consumer, '') AS consumer, topic, partition, o.start_offset,
                      CASE WHEN r.consumer IS NOT NULL THEN r.next_offset WHEN s.protocol <> 'KAFKA' THEN o.next_offset END
                          AS next_offset,
                      CASE WHEN r.consumer IS NOT NULL THEN r.moved_at WHEN s.protocol <> 'KAFKA' THEN o.moved_at END
                          AS moved_at
               FROM (SELECT * FROM subscription_position WHERE subscription_id = %(id)s) o
               FULL JOIN (SELECT * FROM subscription_reading WHERE subscription_id = %(id)s) r USING (topic, partition)
               JOIN subscription s ON s.subscription_id = %(id)s
           )
           SELECT consumer, topic, partition, start_offset, next_offset,
                  CASE WHEN next_offset IS NOT NULL THEN e.end_offset - least(e.end_offset, next_offset) END AS unread, moved_at
           FROM place LEFT JOIN log_end e USING (topic, partition) ORDER BY topic, partition, consumer LIMIT 500""",
        {"id": subscription_id},
    )


class Attempt(NamedTuple):
    """One attempt to deliver."""

    number: int
    event_id: str
    event_type: str
    attempt: int
    started_at: datetime
    duration_ms: int | None
    outcome: str
    reason: str | None
    status: int | None
    retry_at: datetime | None


def kept_attempts(cursor: Cursor[Any], subscription_id: UUID) -> Sequence[Attempt]:
    """Of the highest numbers, and of those that still wait for a retry; the latest first.

    Both by the trace's index on number, so that a trace of millions of rows is not read whole.
    """
    return rows(
        cursor,
        Attempt,
        f"""WITH shown AS (
                (SELECT id FROM subscription_attempt WHERE subscription_id = %(id)s AND number IS NOT NULL
                 ORDER BY number DESC LIMIT {ATTEMPTS_MAX})
                UNION
                (SELECT a.id FROM (SELECT number FROM subscription_delivery WHERE subscription_id = %(id)s AND attempts > 0
                                   ORDER BY number LIMIT {ATTEMPTS_MAX}) AS d
                 JOIN subscription_attempt a ON a.subscription_id = %(id)s AND a.number = d.number
                 LIMIT {20 * ATTEMPTS_MAX})
            )
            SELECT a.number, a.event_id, a.event_type, a.attempt, a.started_at, a.duration_ms, a.outcome, a.reason, a.status,
                   a.retry_at
            FROM subscription_attempt a WHERE a.id = ANY(ARRAY(SELECT id FROM shown))
            ORDER BY a.id DESC LIMIT {ATTEMPTS_MAX}""",  # noqa: S608
        {"id": subscription_id},
    )


class Letter(NamedTuple):
    """A delivery that was given up, without its body."""

    id: int
    number: int
    event_id: str
    event_type: str
    attempts: int
    reason: str
    status: int | None
    message: str
    last_failed_at: datetime


def kept_letters(cursor: Cursor[Any], subscription_id: UUID) -> Page[Letter]:
    """Those that wait for a decision, the oldest first."""
    return page(
        cursor,
        Letter,
        "SELECT id, number, event_id, event_type, attempts, reason, status, message, last_failed_at"
        " FROM subscription_dead_letter WHERE subscription_id = %(id)s AND state = 'waiting' ORDER BY id",
        {"id": subscription_id},
        LETTERS_MAX,
    )
