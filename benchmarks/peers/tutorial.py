"""Faust as its tutorial writes it, three ways: an upsert an event, `take` with many rows a statement, a table without SQL."""

import json
import sys

from benchmarks.peers.gauges import Gauge, GroupGauge
from benchmarks.peers.peer import Peer, Place, Program
from benchmarks.peers.traffic import Final, latest

TABLE = "projects"


def _app(mode: str, place: Place) -> Program:
    settings = ["--bootstrap", place.load.at.bootstrap, "--topic", place.load.topic, "--group", place.group, "--dsn", place.dsn]
    command = [sys.executable, "-m", "benchmarks.peers.faust_app", mode, *settings, "--data", str(place.folder / "faust")]
    return Program(command, {"FAUST_LOOP": "uvloop"})


def _each(place: Place) -> list[Program]:
    return [_app("each", place)]


def _take(place: Place) -> list[Program]:
    return [_app("take", place)]


def _table(place: Place) -> list[Program]:
    return [_app("table", place)]


def _group_gauge(place: Place) -> Gauge:
    return GroupGauge(place.load, place.group)


def _changelog(place: Place) -> dict[str, Final]:
    def decode(key: bytes, value: bytes) -> tuple[str, Final]:
        row = json.loads(value)
        return json.loads(key), Final(row["version"], row["amount"], row["disbursed"])

    return latest(place.load.at.bootstrap, f"{place.group}-{TABLE}-changelog", decode)


_LESS = (
    "no rule, no ledger (at least once), no quarantine (a malformed or failing event is acknowledged and lost), no derived"
    " events; one process"
)

EACH = Peer(
    "faust-each",
    "agent, Record, one upsert and commit an event",
    _LESS,
    _each,
    events_max=10_000,
)
TAKE = Peer(
    "faust",
    "agent, Record, take(500, within=1), executemany upsert",
    _LESS,
    _take,
    events_max=60_000,
)
IN_TABLE = Peer(
    "faust-table",
    "agent, Record, Table with changelog, in memory",
    f"no table in SQL, {_LESS}; all state in memory, read again from the changelog after a rebalance",
    _table,
    events_max=30_000,
    tables="",
    gauge=_group_gauge,
    finals=_changelog,
    compared=("version", "amount", "disbursed"),
)
