"""All tokens in force, in memory: looked at on every request."""

from datetime import datetime
from typing import Any, Final, Protocol

from psycopg import Cursor

from engine.clock import Clock
from gateway.identity import Identity, Partner
from gateway.limits import Allowance
from gateway.snapshot import Snapshot
from gateway.sources import Register
from gateway.store import Store

TOKENS_MAX: Final = 10_000


class Directory(Protocol):
    """Where identities come from."""

    async def find(self, digest: bytes) -> Identity | None:
        """Whose token this is, if it is in force. Raises TransientFault or EnvironmentFault when that cannot be known."""
        ...


class StoredDirectory:
    """A Directory on the tables `partner` and `partner_token`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known = Snapshot(store, clock, tokens_in_force)

    async def find(self, digest: bytes) -> Identity | None:
        """See Directory."""
        found = (await self._known.get()).get(digest)
        return found if found is not None and found.expires_at > self._clock.now() else None

    async def partners(self) -> list[str]:
        """The ids of all, whatever they may. Raises as `find`."""
        return sorted(await self._store.call(registered))


def tokens_in_force(cursor: Cursor[Any], now: datetime) -> dict[bytes, Identity]:
    """Digest to identity. The commands issue no more than TOKENS_MAX."""
    known = registered(cursor)
    cursor.execute(
        "SELECT digest, partner_id, scopes, expires_at FROM partner_token"
        " WHERE revoked_at IS NULL AND expires_at > %s LIMIT %s",
        (now, TOKENS_MAX),
    )
    return {
        bytes(digest): Identity(known[partner_id], tuple(scopes), expires_at)
        for digest, partner_id, scopes, expires_at in cursor.fetchall()
    }


def registered(cursor: Cursor[Any]) -> dict[str, Partner]:
    """Every partner by its id."""
    cursor.execute("SELECT partner_id, scopes, sources, events_per_s, burst_events, events_per_day FROM partner")
    found = cursor.fetchall()
    register = Register({row[0]: row[2] for row in found})
    return {
        partner_id: Partner(
            partner_id,
            tuple(scopes),
            tuple(sources),
            Allowance(*limits),
            frozenset(other for lower in register.own(partner_id).values() for other in lower).difference(sources),
        )
        for partner_id, scopes, sources, *limits in found
    }
