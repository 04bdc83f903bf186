"""What a peer is: how it is prepared and started, how its progress is seen, and what it does less than Dujiang."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.harness import CORES
from benchmarks.peers.gauges import Gauge, TableGauge, table_finals
from benchmarks.peers.traffic import Final, Load
from schemas.topics import PROJECT_EVENT

# Workers, tasks or threads of each peer that shares out partitions; Dujiang has no more of them than the others.
WORKERS = min(CORES, PROJECT_EVENT.partitions)


class UnavailableError(Exception):
    """The peer cannot run on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Place:
    """One run's surroundings: its events, its schema, a name of its own, a folder that goes with it, and the cache."""

    load: Load
    dsn: str
    group: str
    folder: Path
    cache: Path

    def connection(self) -> psycopg.Connection[Any]:
        """For looking on."""
        return psycopg.connect(self.dsn, autocommit=True)

    def database(self) -> "Database":
        """The DSN in parts, for clients that do not read it."""
        parts = conninfo_to_dict(self.dsn)
        return Database(
            str(parts["host"]),
            int(parts.get("port") or 5432),
            str(parts["dbname"]),
            str(parts["user"]),
            str(parts.get("password") or ""),
            str(parts["options"]).rpartition("=")[2],
        )


@dataclass(frozen=True)
class Database:
    host: str
    port: int
    name: str
    user: str
    password: str
    schema: str


@dataclass(frozen=True)
class Program:
    """A command and what its environment has besides ours. one_a_core: it and its like are kept to a core each."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    one_a_core: bool = False


STATUS_TABLE = """
CREATE TABLE status (
  project_id text PRIMARY KEY, version bigint NOT NULL, last_type text, last_id text, source text, event_time timestamptz,
  amount bigint, milestone text, remark text) WITH (fillfactor = 60)
"""


def status_gauge(place: Place) -> Gauge:
    return TableGauge(place.connection(), place.load.last)


def status_finals(place: Place) -> dict[str, Final]:
    return table_finals(place.dsn, "SELECT project_id, version, amount, 0 FROM status")


def nothing_to_prepare(_cache: Path) -> None:
    """What it needs is installed with us."""


@dataclass(frozen=True)
class Peer:
    """events_max keeps a slow peer to about twenty seconds. `compared` names the fields of Final that its end state shows."""

    name: str
    setup: str
    less: str
    programs: Callable[[Place], list[Program]]
    events_max: int = 10**9
    tables: str = STATUS_TABLE
    migrated: bool = False
    needs_flat: bool = False
    prepare: Callable[[Path], None] = nothing_to_prepare
    gauge: Callable[[Place], Gauge] = status_gauge
    finals: Callable[[Place], dict[str, Final]] = status_finals
    compared: tuple[str, ...] = ("version", "amount")
