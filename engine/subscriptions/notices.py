"""What the platform or an operator did to an owner's subscriptions: its notices, out of the log of changes. On a cursor."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor


class Position(NamedTuple):
    """Of a notice: transactions in the order of their numbers, and the entries of each in theirs."""

    transaction: int
    entry: int


BEGINNING: Final = Position(0, 0)


class Notice(NamedTuple):
    """A subscription came into a state that its owner did not ask for."""

    position: Position
    at: datetime
    subscription_id: str
    state: str
    reason: str | None
    by: str
    note: str | None
    revision: int


def after(cursor: Cursor[Any], owner: str, position: Position, limit: int) -> list[Notice]:
    """Those behind a position, in order. Whoever goes on behind the last one misses none.

    Transactions end in any order, so those are shown before which no other can come any more. A number that this server has not
    given yet comes from the one that the database was restored from, which docs/runbook/database-away.md has raised.
    """
    cursor.execute(
        """
        SELECT transaction, id, at, thing_id, after ->> 'state', after ->> 'state_reason',
               CASE actor WHEN 'platform' THEN 'platform' ELSE 'operator' END, after ->> 'state_note',
               (after ->> 'revision')::bigint
        FROM audit_entry
        WHERE partner = %s AND (transaction, id) > (%s, %s) AND thing = 'subscription' AND verb = 'changed'
          AND after ->> 'state' IS NOT NULL AND actor <> 'partner:' || partner
          AND (transaction < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
               OR transaction >= (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint)
        ORDER BY transaction, id LIMIT %s
        """,
        (owner, *position, limit),
    )
    return [Notice(Position(transaction, entry), *rest) for transaction, entry, *rest in cursor.fetchall()]
