"""All tokens in force, in memory, never older than FRESH_S: looked at on every request, so a revocation holds within it.

The whole table and not single tokens: whoever sends made-up tokens then costs the database nothing.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from psycopg import Cursor

from engine.clock import Clock
from engine.errors import Fault
from gateway.identity import Identity, Partner
from gateway.limits import Allowance
from gateway.store import Store

FRESH_S: Final = 5.0
RETRY_S: Final = 1.0  # those who waited for a read that failed do not each try it again
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
        self._known: Mapping[bytes, Identity] = {}
        self._read_s: float | None = None
        self._failed: tuple[float, Fault] | None = None
        self._reading = asyncio.Lock()

    async def find(self, digest: bytes) -> Identity | None:
        """See Directory."""
        if self._is_stale():
            async with self._reading:
                if self._is_stale():
                    await self._read()
        found = self._known.get(digest)
        return found if found is not None and found.expires_at > self._clock.now() else None

    async def _read(self) -> None:
        asked_s = self._clock.monotonic_s()
        if self._failed is not None and asked_s - self._failed[0] < RETRY_S:
            raise self._failed[1]
        try:
            self._known = await self._store.call(lambda cursor: tokens_in_force(cursor, self._clock.now()))
        except Fault as fault:
            self._failed = self._clock.monotonic_s(), fault
            raise
        self._read_s = asked_s

    def _is_stale(self) -> bool:
        return self._read_s is None or self._clock.monotonic_s() - self._read_s >= FRESH_S


def tokens_in_force(cursor: Cursor[Any], now: datetime) -> dict[bytes, Identity]:
    """Digest to identity. The commands issue no more than TOKENS_MAX."""
    cursor.execute("SELECT partner_id, scopes, sources, events_per_s, burst_events, events_per_day FROM partner")
    partners = {row[0]: Partner(row[0], tuple(row[1]), tuple(row[2]), Allowance(*row[3:])) for row in cursor.fetchall()}
    cursor.execute(
        "SELECT digest, partner_id, scopes, expires_at FROM partner_token"
        " WHERE revoked_at IS NULL AND expires_at > %s LIMIT %s",
        (now, TOKENS_MAX),
    )
    return {
        bytes(digest): Identity(partners[partner_id], tuple(scopes), expires_at)
        for digest, partner_id, scopes, expires_at in cursor.fetchall()
    }
