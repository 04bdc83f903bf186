"""Each signed token works once, whichever gateway it comes to: its `jti` is remembered until the token has expired.

Only what a registered key signed and the partner's rate let pass gets here, so the table holds no more than the partners'
rates allow within minutes.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Protocol

from psycopg import Cursor

from engine.clock import Clock
from gateway.store import Grouped, Store

GROUP_MAX: Final = 64
SWEEP_S: Final = 2.0
SWEEP_ROWS_MAX: Final = 10_000
_IDENTITY_BYTES: Final = 16


class Use(NamedTuple):
    """The use of a token: 128 bits of whose and which, and when it may be forgotten."""

    identity: str
    kept_until: datetime


def use_of(partner_id: str, jti: str, kept_until: datetime) -> Use:
    """Two partners may draw the same `jti`. An id of a partner holds no space."""
    return Use(blake2b(f"{partner_id} {jti}".encode(), digest_size=_IDENTITY_BYTES).hexdigest(), kept_until)


class Replays(Protocol):
    """Where uses are kept, for all gateways."""

    async def is_first(self, use: Use) -> bool:
        """Whether nobody used it before; it counts as used then. Raises TransientFault or EnvironmentFault."""
        ...


class StoredReplays:
    """Replays on the table `partner_jti`. Requests that come together share a transaction."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._swept_s = clock.monotonic_s()
        self._uses: Grouped[Use, bool] = Grouped(self._all_first, group_max=GROUP_MAX)

    async def is_first(self, use: Use) -> bool:
        """See Replays."""
        return await self._uses.call(use)

    async def _all_first(self, uses: Sequence[Use]) -> Sequence[bool]:
        before = self._clock.now() if self._is_sweep_due() else None
        return await self._store.call(lambda cursor: first_uses(cursor, uses, before))

    def _is_sweep_due(self) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._swept_s < SWEEP_S:
            return False
        self._swept_s = now_s
        return True


def first_uses(cursor: Cursor[Any], uses: Sequence[Use], before: datetime | None) -> list[bool]:
    """An answer to each, in order; of the same use twice the earlier is first. Forget what ended `before`."""
    wanted = {use.identity: use.kept_until for use in reversed(uses)}
    identities = sorted(wanted)  # so that two gateways wait for each other and never in a circle
    cursor.execute(
        "INSERT INTO partner_jti (identity, kept_until)"
        " SELECT * FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (identity, kept_until) ORDER BY identity"
        " ON CONFLICT (identity) DO NOTHING RETURNING identity",
        (identities, [wanted[identity] for identity in identities]),
    )
    ours = {row[0].hex for row in cursor.fetchall()}
    if before is not None:
        cursor.execute(
            "DELETE FROM partner_jti WHERE identity IN (SELECT identity FROM partner_jti WHERE kept_until < %s LIMIT %s)",
            (before, SWEEP_ROWS_MAX),
        )
    answers = []
    for use in uses:
        answers.append(use.identity in ours)
        ours.discard(use.identity)
    return answers
