"""What deliveries of a subscription are signed with, and authorised by: kept as bytes, shown once, replaced with an overlap.

Once a version has ended its bytes are emptied; that there was one stays.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from psycopg import Cursor

from engine.database import named

Kind = Literal["v1", "v1a", "bearer", "oauth2", "plain"]
SECRETS_MAX: Final = 8  # in force at once


class SecretsFull(Exception):
    """Too many in force; end one first."""


class Secret(NamedTuple):
    """One version. `secret`: the key's bytes, the bearer token's, what a token is asked for with, or name and password."""

    version: int
    kind: Kind
    secret: bytes


def add(
    cursor: Cursor[Any],
    subscription_id: UUID,
    kind: Kind,
    secret: bytes,
    public_key: bytes | None,
    now: datetime,
    overlap_ends: datetime | None,
) -> int:
    """A new version beside the present ones of its kind, which end at `overlap_ends`; None leaves them in force.

    Raises SecretsFull, having changed nothing.
    """
    cursor.execute("SELECT 1 FROM subscription WHERE subscription_id = %s FOR UPDATE", (subscription_id,))
    cursor.execute(
        "SELECT coalesce(max(version), 0), count(*) FILTER (WHERE (expires_at IS NULL OR expires_at > %(now)s)"
        " AND NOT (kind = %(kind)s AND coalesce(%(ends)s::timestamptz <= %(now)s, false)))"
        " FROM subscription_secret WHERE subscription_id = %(id)s",
        {"ends": overlap_ends, "id": subscription_id, "kind": kind, "now": now},
    )
    last, in_use = cursor.fetchall()[0]
    if in_use >= SECRETS_MAX:
        raise SecretsFull(f"{SECRETS_MAX} secrets are in force; rotate with a shorter overlap, or wait for one to end")
    if overlap_ends is not None:
        cursor.execute(
            "UPDATE subscription_secret SET expires_at = least(coalesce(expires_at, %(ends)s), %(ends)s)"
            " WHERE subscription_id = %(id)s AND kind = %(kind)s AND (expires_at IS NULL OR expires_at > %(now)s)",
            {"ends": overlap_ends, "id": subscription_id, "kind": kind, "now": now},
        )
    cursor.execute(
        "INSERT INTO subscription_secret (subscription_id, version, kind, secret, public_key, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (subscription_id, last + 1, kind, secret, public_key, now),
    )
    cursor.execute("UPDATE subscription SET revision = revision + 1 WHERE subscription_id = %s", (subscription_id,))
    empty_ended(cursor, now, subscription_id)
    return int(last) + 1


def end(cursor: Cursor[Any], subscription_id: UUID, kind: Kind, now: datetime) -> None:
    """All of a kind, at once."""
    cursor.execute(
        "UPDATE subscription_secret SET expires_at = %(now)s WHERE subscription_id = %(id)s AND kind = %(kind)s"
        " AND (expires_at IS NULL OR expires_at > %(now)s)",
        {"now": now, "id": subscription_id, "kind": kind},
    )
    if cursor.rowcount:
        cursor.execute("UPDATE subscription SET revision = revision + 1 WHERE subscription_id = %s", (subscription_id,))
    empty_ended(cursor, now, subscription_id)


def empty_ended(cursor: Cursor[Any], now: datetime, subscription_id: UUID | None = None) -> int:
    """Forget the bytes of what has ended, of one subscription or of all; returns of how many."""
    cursor.execute(
        "UPDATE subscription_secret SET secret = '' WHERE expires_at <= %s AND secret <> ''"
        " AND (%s::uuid IS NULL OR subscription_id = %s)",
        (now, subscription_id, subscription_id),
    )
    return cursor.rowcount


def in_force(cursor: Cursor[Any], subscription_ids: Iterable[UUID], now: datetime) -> dict[UUID, list[Secret]]:
    """Newest first."""
    cursor.execute(
        "SELECT subscription_id, version, kind, secret FROM subscription_secret WHERE subscription_id = ANY(%s)"
        " AND (expires_at IS NULL OR expires_at > %s) ORDER BY subscription_id, version DESC",
        (list(subscription_ids), now),
    )
    found: dict[UUID, list[Secret]] = {}
    for subscription_id, version, kind, secret in cursor.fetchall():
        found.setdefault(subscription_id, []).append(Secret(version, kind, bytes(secret)))
    return found


def described(cursor: Cursor[Any], subscription_id: UUID) -> list[dict[str, Any]]:
    """All versions without the secrets themselves."""
    cursor.execute(
        "SELECT version, kind, public_key, created_at, expires_at FROM subscription_secret"
        " WHERE subscription_id = %s ORDER BY version",
        (subscription_id,),
    )
    return named(cursor)
