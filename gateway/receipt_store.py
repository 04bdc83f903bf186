"""Receipts in PostgreSQL. Requests that come together share a transaction, since each commit costs more than its rows.

The server need not have a commit on its disk before we go on: after a crash of its machine it may have forgotten the last
moments' receipts, and a repeat is then written again, which readers drop by (source, id).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from engine.clock import Clock
from gateway.publisher import Acked
from gateway.receipts import CLAIM_S, Blocked, Claimed, Claims, Settlement
from gateway.store import Grouped, Store

GROUP_MAX: Final = 32
SWEEP_S: Final = 2.0
SWEEP_ROWS_MAX: Final = 10_000  # with SWEEP_S more than a gateway accepts over days


class StoredReceipts:
    """A ReceiptStore on the table `receipt`."""

    def __init__(self, store: Store, clock: Clock, *, kept_days: int) -> None:
        self._store = store
        self._clock = clock
        self._kept = timedelta(days=kept_days)
        self._swept_s = clock.monotonic_s()
        self._claims: Grouped[Claims, Claimed | Blocked] = Grouped(self._claim_all, group_max=GROUP_MAX)
        self._settlements: Grouped[Settlement, None] = Grouped(self._settle_all, group_max=GROUP_MAX)

    async def claim(self, claims: Claims) -> Claimed | Blocked:
        """See ReceiptStore."""
        return await self._claims.call(claims)

    async def settle(self, settlement: Settlement) -> None:
        """See ReceiptStore."""
        await self._settlements.call(settlement)

    async def _claim_all(self, requests: Sequence[Claims]) -> Sequence[Claimed | Blocked]:
        now = self._clock.now()
        return await self._store.call(lambda cursor: claim(cursor, requests, now))

    async def _settle_all(self, settlements: Sequence[Settlement]) -> Sequence[None]:
        now = self._clock.now()
        before = now - self._kept if self._is_sweep_due() else None
        await self._store.call(lambda cursor: settle(cursor, settlements, now, before))
        return [None] * len(settlements)

    def _is_sweep_due(self) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._swept_s < SWEEP_S:
            return False
        self._swept_s = now_s
        return True


class _Row(NamedTuple):
    digest: bytes
    settled_at: datetime | None
    place: Acked | None


def claim(cursor: Cursor[Any], requests: Sequence[Claims], now: datetime) -> list[Claimed | Blocked]:
    """An answer to each request, in order; an earlier one of the group is under way for a later one."""
    wanted: dict[str, bytes] = {}
    for request in requests:
        for identity, digest in request.items():
            wanted.setdefault(identity, digest)
    cursor.execute("SET LOCAL synchronous_commit = off")
    ours = _insert(cursor, wanted, now)
    kept = _rows(cursor, wanted.keys() - ours)
    free = set(ours)
    answers: list[Claimed | Blocked] = []
    for request in requests:
        answer = _judge(request, wanted, kept, free)
        if isinstance(answer, Claimed):
            free -= answer.won
        answers.append(answer)
    _release(cursor, free & ours)
    return answers


def settle(cursor: Cursor[Any], settlements: Sequence[Settlement], now: datetime, before: datetime | None) -> None:
    """Keep the places, give back what was not written, and forget receipts older than `before`."""
    cursor.execute("SET LOCAL synchronous_commit = off")
    settled = [pair for settlement in settlements for pair in settlement.settled.items()]
    if settled:
        places = [place or (None, None, None) for _, place in settled]
        cursor.execute(
            "UPDATE receipt SET settled_at = %s, topic = new.topic, partition = new.partition, record_offset = new.place"
            " FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::bigint[]) AS new (identity, topic, partition, place)"
            " WHERE receipt.identity = new.identity AND receipt.settled_at IS NULL",
            (now, [identity for identity, _ in settled], *(list(column) for column in zip(*places, strict=True))),
        )
    _release(cursor, {identity for settlement in settlements for identity in settlement.released})
    if before is not None:
        cursor.execute(
            "DELETE FROM receipt WHERE identity IN (SELECT identity FROM receipt WHERE claimed_at < %s LIMIT %s)",
            (before, SWEEP_ROWS_MAX),
        )


def _insert(cursor: Cursor[Any], wanted: Claims, now: datetime) -> set[str]:
    """What is now ours. In order of identity, so that two gateways wait for each other and never in a circle."""
    identities = sorted(wanted)
    cursor.execute(
        "INSERT INTO receipt (identity, digest, claimed_at)"
        " SELECT identity, digest, %s FROM unnest(%s::uuid[], %s::bytea[]) AS new (identity, digest) ORDER BY identity"
        " ON CONFLICT (identity) DO UPDATE SET digest = excluded.digest, claimed_at = excluded.claimed_at"
        " WHERE receipt.settled_at IS NULL AND receipt.claimed_at < %s RETURNING identity",
        (now, identities, [wanted[identity] for identity in identities], now - timedelta(seconds=CLAIM_S)),
    )
    return {row[0].hex for row in cursor.fetchall()}


def _rows(cursor: Cursor[Any], identities: Iterable[str]) -> dict[str, _Row]:
    others = list(identities)
    if not others:
        return {}
    cursor.execute(
        "SELECT identity, digest, settled_at, topic, partition, record_offset FROM receipt WHERE identity = ANY(%s::uuid[])",
        (others,),
    )
    return {row[0].hex: _Row(bytes(row[1]), row[2], None if row[3] is None else Acked(*row[3:])) for row in cursor.fetchall()}


def _judge(request: Claims, wanted: Claims, kept: Mapping[str, _Row], free: set[str]) -> Claimed | Blocked:
    settled: dict[str, Acked | None] = {}
    won: set[str] = set()
    for identity, digest in request.items():
        row = kept.get(identity)
        if digest != (wanted[identity] if row is None else row.digest):
            return Blocked(identity, "conflict")
        if row is not None and row.settled_at is not None:
            settled[identity] = row.place
        elif identity in free:
            won.add(identity)
        else:
            # Another request's of this group, another gateway's, or given back while we looked.
            return Blocked(identity, "in_flight")
    return Claimed(frozenset(won), settled)


def _release(cursor: Cursor[Any], identities: set[str]) -> None:
    if identities:
        cursor.execute("DELETE FROM receipt WHERE identity = ANY(%s::uuid[]) AND settled_at IS NULL", (sorted(identities),))
