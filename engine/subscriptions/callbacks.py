"""Callbacks by which an endpoint consents later (CloudEvents webhook rule, 4.2): offered, taken once, forgotten. On a cursor.

Of a token only its digest is kept. An offer holds for the revision of the subscription for which it was made.
"""

from collections.abc import Collection
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Cursor


class Offer(NamedTuple):
    """Who may consent by it, and the rate a minute that was asked for."""

    subscription_id: UUID
    asked_per_min: int | None


class Consent(NamedTuple):
    """What came by a callback; `per_min` None is without limit."""

    revision: int
    per_min: int | None


def digest_of(token: str) -> bytes:
    return sha256(token.encode()).digest()


def offer(
    cursor: Cursor[Any], subscription_id: UUID, revision: int, token: str, asked_per_min: int | None, expires_at: datetime
) -> None:
    """Those offered before hold on until they expire: an endpoint may answer late."""
    cursor.execute("DELETE FROM subscription_callback WHERE expires_at <= now() AND consented_at IS NULL")
    cursor.execute(
        "INSERT INTO subscription_callback (token_digest, subscription_id, revision, asked_per_min, expires_at)"
        " SELECT %s, subscription_id, %s, %s, %s FROM subscription WHERE subscription_id = %s",
        (digest_of(token), revision, asked_per_min, expires_at, subscription_id),
    )


def holds(cursor: Cursor[Any], subscription_id: UUID, revision: int, now: datetime) -> bool:
    """Whether an endpoint may still consent by one of its addresses."""
    cursor.execute(
        "SELECT EXISTS (SELECT 1 FROM subscription_callback WHERE subscription_id = %s AND revision = %s"
        " AND consented_at IS NULL AND expires_at > %s)",
        (subscription_id, revision, now),
    )
    return bool(cursor.fetchall()[0][0])


def find(cursor: Cursor[Any], token: str, now: datetime) -> Offer | None:
    """None: used, expired, or of a subscription that no longer waits for this consent. Locked until the transaction ends."""
    cursor.execute(
        "SELECT c.subscription_id, c.asked_per_min FROM subscription_callback c JOIN subscription s USING (subscription_id)"
        " WHERE c.token_digest = %s AND c.consented_at IS NULL AND c.expires_at > %s AND s.revision = c.revision"
        " AND s.state = 'pending_validation' FOR UPDATE OF c",
        (digest_of(token), now),
    )
    row = cursor.fetchone()
    return None if row is None else Offer(*row)


def consent(cursor: Cursor[Any], token: str, per_min: int | None, now: datetime) -> None:
    """Use it up."""
    cursor.execute(
        "UPDATE subscription_callback SET consented_at = %s, granted_per_min = %s WHERE token_digest = %s",
        (now, per_min, digest_of(token)),
    )


def consents(cursor: Cursor[Any], subscription_ids: Collection[UUID]) -> dict[UUID, Consent]:
    """The newest of each."""
    cursor.execute(
        "SELECT subscription_id, revision, granted_per_min FROM subscription_callback"
        " WHERE subscription_id = ANY(%s) AND consented_at IS NOT NULL ORDER BY consented_at",
        (list(subscription_ids),),
    )
    return {subscription_id: Consent(revision, per_min) for subscription_id, revision, per_min in cursor.fetchall()}


def forget(cursor: Cursor[Any], subscription_id: UUID) -> None:
    """All of a subscription: it is decided."""
    cursor.execute("DELETE FROM subscription_callback WHERE subscription_id = %s", (subscription_id,))
