"""The register of subscriptions: functions on a cursor, each part of its caller's transaction.

Gateways change it for partners, commands for operators, workers when an endpoint consents, is gone or fails. Every change
raises `revision`; whoever delivers reads the register every READ_EVERY_S, so a change is in force within EFFECTIVE_S.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Cursor, sql
from psycopg.types.json import Jsonb

from engine.audit import PLATFORM, act_as
from engine.locks import Number
from engine.subscriptions import snapshots
from schemas.subscriptions import Basis, NotAllowed, Order, Place, Protocol, Start, Status, Subscription, after

_COLUMNS: LiteralString = (
    "subscription_id, owner, protocol, state, state_reason, state_by, state_since, validated_at, state_note, "
    "created_at, changed_at, revision, source, types, filters, sink, protocolsettings, config, "
    "start_at, start_instant, expires_at, purpose, legal_basis, approver, granted"
)
_NAMES = _COLUMNS.split(", ")


def add(cursor: Cursor[Any], subscription: Subscription, positions: Mapping[Place, int]) -> None:
    """A new subscription and where it begins."""
    row = {"subscription_id": subscription.id, "owner": subscription.owner, "created_at": subscription.created_at}
    row |= _changeable(subscription)
    cursor.execute(
        sql.SQL("INSERT INTO subscription ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
        ),
        row,
    )
    cursor.execute("INSERT INTO subscription_progress (subscription_id) VALUES (%s)", (subscription.id,))
    begin_at(cursor, subscription.id, positions)


def begin_at(cursor: Cursor[Any], subscription_id: UUID, positions: Mapping[Place, int]) -> None:
    """Where reading begins in these partitions, whatever stood there before."""
    cursor.executemany(
        "INSERT INTO subscription_position (subscription_id, topic, partition, start_offset, next_offset)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (subscription_id, topic, partition)"
        " DO UPDATE SET start_offset = excluded.start_offset, next_offset = excluded.next_offset, moved_at = now()",
        [(subscription_id, topic, partition, offset, offset) for (topic, partition), offset in positions.items()],
    )


def starts(cursor: Cursor[Any], subscription_id: UUID) -> dict[Place, int]:
    """Where the subscription began."""
    cursor.execute(
        "SELECT topic, partition, start_offset FROM subscription_position WHERE subscription_id = %s", (subscription_id,)
    )
    return {Place(topic, partition): offset for topic, partition, offset in cursor.fetchall()}


def find(
    cursor: Cursor[Any], subscription_id: UUID, owner: str | None = None, *, for_update: bool = False
) -> Subscription | None:
    """One subscription; with `owner` only if it is his."""
    query = f"SELECT {_COLUMNS} FROM subscription WHERE subscription_id = %s AND (%s::text IS NULL OR owner = %s)"  # noqa: S608
    cursor.execute(query + (" FOR UPDATE" if for_update else ""), (subscription_id, owner, owner))
    row = cursor.fetchone()
    return None if row is None else _of_row(row)


def listed(cursor: Cursor[Any], owner: str | None, after_id: UUID | None, limit: int) -> list[Subscription]:
    """In the order of their ids, which is no order in time; `after_id` goes on behind one."""
    cursor.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE (%s::text IS NULL OR owner = %s)"  # noqa: S608
        " AND (%s::uuid IS NULL OR subscription_id > %s) ORDER BY subscription_id LIMIT %s",
        (owner, owner, after_id, after_id, limit),
    )
    return [_of_row(row) for row in cursor.fetchall()]


def found(cursor: Cursor[Any], subscription_ids: Collection[UUID]) -> list[Subscription]:
    """Those of them that there are."""
    cursor.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE subscription_id = ANY(%s)",  # noqa: S608
        (list(subscription_ids),),
    )
    return [_of_row(row) for row in cursor.fetchall()]


def in_force(cursor: Cursor[Any], protocols: Collection[Protocol], now: datetime) -> list[Subscription]:
    """All that are to be delivered to, or validated, at this moment: enabled or pending, and not expired."""
    cursor.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE protocol = ANY(%s) AND state IN ('enabled', 'pending_validation')"  # noqa: S608
        " AND (expires_at IS NULL OR expires_at > %s) ORDER BY subscription_id",
        (list(protocols), now),
    )
    return [_of_row(row) for row in cursor.fetchall()]


def revisions(cursor: Cursor[Any]) -> dict[UUID, int]:
    """The cheap look for changes: which subscriptions there are, in which revision."""
    cursor.execute("SELECT subscription_id, revision FROM subscription")
    return dict(cursor.fetchall())


def count(cursor: Cursor[Any], owner: str) -> tuple[int, int]:
    """(the owner's, all), under a lock until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (Number.SUBSCRIPTIONS,))
    cursor.execute("SELECT count(*) FILTER (WHERE owner = %s), count(*) FROM subscription", (owner,))
    own, everyone = cursor.fetchall()[0]
    return own, everyone


def replace_with(cursor: Cursor[Any], subscription: Subscription, now: datetime) -> Subscription:
    """Store a changed subscription under its next revision. The caller read it `for_update`."""
    changed = replace(subscription, revision=subscription.revision + 1, changed_at=now)
    _write(cursor, changed)
    return changed


def move(
    cursor: Cursor[Any], subscription_id: UUID, order: Order, now: datetime, owner: str | None = None
) -> Subscription | NotAllowed | None:
    """Follow an order of the lifecycle and store what comes of it; None: there is no such subscription."""
    found = find(cursor, subscription_id, owner, for_update=True)
    if found is None:
        return None
    status = after(found.status, order, found.protocol, now)
    if isinstance(status, NotAllowed):
        return status
    return found if status is found.status else replace_with(cursor, replace(found, status=status), now)


def note(cursor: Cursor[Any], subscription_id: UUID, text: str) -> None:
    """Why it still is as it is. Nothing that was ordered changes, so its revision does not."""
    cursor.execute(
        "UPDATE subscription SET state_note = %(text)s WHERE subscription_id = %(id)s AND state_note IS DISTINCT FROM %(text)s",
        {"text": text, "id": subscription_id},
    )


def remove(cursor: Cursor[Any], subscription_id: UUID, owner: str) -> bool:
    """Delete it with all that belongs to it; False: there was none."""
    if find(cursor, subscription_id, owner, for_update=True) is None:
        return False
    snapshots.end_backfill(cursor, subscription_id, "cancelled")
    # Before their subscription: the log of changes asks it whose they were.
    cursor.execute("DELETE FROM subscription_secret WHERE subscription_id = %s", (subscription_id,))
    cursor.execute("DELETE FROM subscription WHERE subscription_id = %s", (subscription_id,))
    return True


def expire_due(cursor: Cursor[Any], now: datetime) -> int:
    """Write down what has expired; returns how many. `state_at` counts an expiry from its instant on all the same."""
    act_as(cursor, PLATFORM)
    cursor.execute(
        "UPDATE subscription SET state = 'expired', state_reason = 'expired', state_by = 'platform', state_note = NULL,"
        " state_since = expires_at, changed_at = %(now)s, revision = revision + 1"
        " WHERE expires_at <= %(now)s AND state NOT IN ('expired', 'disabled')",
        {"now": now},
    )
    return cursor.rowcount


def scopes_of(cursor: Cursor[Any], owners: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The rights of partners, for deliveries that no token accompanies. An owner that is missing here has none."""
    cursor.execute("SELECT partner_id, scopes FROM partner WHERE partner_id = ANY(%s)", (list(owners),))
    return {partner_id: tuple(scopes) for partner_id, scopes in cursor.fetchall()}


def _write(cursor: Cursor[Any], subscription: Subscription) -> None:
    row = _changeable(subscription)
    pairs = (sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in row)
    cursor.execute(
        sql.SQL("UPDATE subscription SET {} WHERE subscription_id = {}").format(sql.SQL(", ").join(pairs), subscription.id),
        row,
    )


def _changeable(subscription: Subscription) -> dict[str, Any]:
    """Columns and their values, without what never changes."""
    status, basis = subscription.status, subscription.basis
    return {
        "protocol": subscription.protocol,
        "state": status.state,
        "state_reason": status.reason,
        "state_by": status.by,
        "state_since": status.since,
        "validated_at": status.validated_at,
        "state_note": status.note,
        "changed_at": subscription.changed_at,
        "revision": subscription.revision,
        "source": subscription.source,
        "types": list(subscription.types),
        "filters": Jsonb(list(subscription.filters)),
        "sink": subscription.sink,
        "protocolsettings": Jsonb(dict(subscription.protocolsettings)),
        "config": Jsonb(dict(subscription.config)),
        "start_at": subscription.start.at,
        "start_instant": subscription.start.instant,
        "expires_at": subscription.expires_at,
        "purpose": basis.purpose if basis else None,
        "legal_basis": basis.legal_basis if basis else None,
        "approver": basis.approver if basis else None,
        "granted": list(subscription.granted),
    }


def _of_row(row: tuple[Any, ...]) -> Subscription:
    found = dict(zip(_NAMES, row, strict=True))
    purpose = found["purpose"]
    return Subscription(
        id=found["subscription_id"],
        owner=found["owner"],
        protocol=found["protocol"],
        status=Status(
            found["state"],
            found["state_reason"],
            found["state_by"],
            found["state_since"],
            found["validated_at"],
            found["state_note"],
        ),
        created_at=found["created_at"],
        changed_at=found["changed_at"],
        revision=found["revision"],
        source=found["source"],
        types=tuple(found["types"]),
        filters=found["filters"],
        sink=found["sink"],
        protocolsettings=found["protocolsettings"],
        config=found["config"],
        start=Start(found["start_at"], found["start_instant"]),
        expires_at=found["expires_at"],
        basis=None if purpose is None else Basis(purpose, found["legal_basis"], found["approver"]),
        granted=tuple(found["granted"]),
    )
