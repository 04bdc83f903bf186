"""What the live view shows, read from PostgreSQL and the workers' health pages at a low rate."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import psycopg
from psycopg import Connection, Cursor

from dujiang.demo.account import snapshot
from dujiang.wiring import STORES, Services
from engine.ledger import Account, accounts
from schemas.alerts import SEVERITIES
from streams import projects

OVERLAY_SHARE_MAX = 0.03  # of the time; overlays want every project looked at
OVERLAY_EVERY_S = 3.0
REASONS_MAX = 2


@dataclass(frozen=True)
class Figures:
    """All of one look. `alerts`: by severity: firing and open, acknowledged, ended but unseen."""

    projects: dict[str, int] = field(default_factory=dict)
    overlays: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    outcomes: list[Account] = field(default_factory=list)
    quarantine: list[tuple[str, int]] = field(default_factory=list)
    quarantined: int = 0
    lag: dict[str, int] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()


class Reader:
    """Holds one connection, opened again when it breaks. `read` blocks; call it from one thread at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._connection: Connection[Any] | None = None
        self._overlays: dict[str, int] = {}
        self._overlays_due_s = 0.0

    def read(self) -> Figures:
        """The present figures. Raises psycopg.Error; the next call opens another connection."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = snapshot(self._services)
            with self._connection.transaction(), self._connection.cursor() as cursor:
                return self._figures(cursor)
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _figures(self, cursor: Cursor[Any]) -> Figures:
        cursor.execute("SELECT coalesce(state, 'waiting'), count(*) FROM project_status GROUP BY 1")
        states = dict(cursor.fetchall())
        cursor.execute("SELECT coalesce(phase, 'unknown'), count(*) FROM call_status GROUP BY 1 ORDER BY 1")
        calls = dict(cursor.fetchall())
        cursor.execute("SELECT reason, count(*) FROM quarantine WHERE state = 'waiting' GROUP BY 1 ORDER BY 2 DESC, 1")
        waiting = cursor.fetchall()
        return Figures(
            projects=dict(sorted(states.items(), key=lambda item: -item[1])),
            overlays=self._overlays_of(cursor),
            calls=calls,
            alerts=_alerts(cursor),
            outcomes=_by_step(accounts(cursor, {})),
            quarantine=waiting[:REASONS_MAX],
            quarantined=sum(count for _, count in waiting),
        )

    def _overlays_of(self, cursor: Cursor[Any]) -> dict[str, int]:
        """They hold at an instant, so they are computed from all projects, the seldomer the more there are."""
        began = time.monotonic()
        if began < self._overlays_due_s:
            return self._overlays
        now = datetime.now(UTC)
        found: Counter[str] = Counter()
        for _, entity in STORES["projects"].scan(cursor):
            found.update(projects.overlays(entity.state, now))
        self._overlays = dict(found.most_common())
        took = time.monotonic() - began
        self._overlays_due_s = time.monotonic() + max(OVERLAY_EVERY_S, took / OVERLAY_SHARE_MAX)
        return self._overlays


async def with_health(figures: Figures, session: aiohttp.ClientSession, urls: Sequence[str]) -> Figures:
    """Add the workers' lag by step, and what troubles them."""
    lag: Counter[str] = Counter()
    troubles: list[str] = []
    for url in urls:
        try:
            async with session.get(f"{url}/health/ready", timeout=aiohttp.ClientTimeout(total=1)) as response:
                runners = (await response.json())["runners"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
            troubles.append(f"no answer from the worker at {url}")
            continue
        for runner in runners:
            lag[runner["name"]] += runner["lag"]
            troubles += [f"{runner['name']} is {runner['condition']}: {runner['message']}"] if runner["message"] else []
            troubles += [f"{runner['name']}: {why}" for why in runner["paused"].values()]
    return replace(figures, lag=dict(lag), troubles=tuple(troubles))


def _alerts(cursor: Cursor[Any]) -> dict[str, tuple[int, int, int]]:
    cursor.execute(
        "SELECT severity, count(*) FILTER (WHERE condition = 'firing' AND handling = 'open'),"
        " count(*) FILTER (WHERE condition = 'firing' AND handling = 'acknowledged'),"
        " count(*) FILTER (WHERE condition <> 'firing') FROM alert_status"
        " WHERE handling <> 'closed' AND severity IS NOT NULL GROUP BY 1"
    )
    found = {severity: (fresh, taken, ended) for severity, fresh, taken, ended in cursor.fetchall()}
    return {severity: found.get(severity, (0, 0, 0)) for severity in reversed(SEVERITIES)}


def _by_step(found: Sequence[Account]) -> list[Account]:
    """One account a step: a sink has one for each of its topics."""
    sums: dict[str, list[int]] = {}
    for account in found:
        so_far = sums.setdefault(account.step, [0] * (len(account) - 2))
        sums[account.step] = [one + other for one, other in zip(so_far, account[2:], strict=True)]
    return [Account(step, "*", *values) for step, values in sums.items()]
