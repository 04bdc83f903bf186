"""The floor and Dujiang itself, as `benchmarks.drain` runs them."""

import sys

from benchmarks.floor import TABLES
from benchmarks.peers.gauges import Gauge, LedgerGauge, table_finals
from benchmarks.peers.peer import WORKERS, Peer, Place, Program
from benchmarks.peers.traffic import Final

_FLOOR_MOVED = "SELECT coalesce(sum(next_offset - start_offset), 0) FROM floor_ledger"
_OUR_MOVED = "SELECT coalesce(sum(next_offset - start_offset), 0) FROM ledger"
_FLOOR = "SELECT project_id, right(last_id, 3)::int + 1, amount, 0 FROM floor_status"
_OURS = "SELECT project_id, applied + duplicates + superseded + jsonb_array_length(rejected), 0, disbursed FROM project_status"


def _common(place: Place) -> list[str]:
    return ["--bootstrap", place.load.at.bootstrap, "--dsn", place.dsn, "--group", place.group]


def _floor(place: Place) -> list[Program]:
    return [Program([sys.executable, "-m", "benchmarks.floor", *_common(place), "--topic", place.load.topic])]


def _dujiang(place: Place) -> list[Program]:
    command = [sys.executable, "-m", "benchmarks.worker", *_common(place), "--prefix", place.load.at.prefix]
    return [Program(command, one_a_core=True)] * WORKERS


def _floor_gauge(place: Place) -> Gauge:
    return LedgerGauge(place.connection(), _FLOOR_MOVED, place.load.events)


def _our_gauge(place: Place) -> Gauge:
    return LedgerGauge(place.connection(), _OUR_MOVED, place.load.events)


def _floor_finals(place: Place) -> dict[str, Final]:
    return table_finals(place.dsn, _FLOOR)


def _our_finals(place: Place) -> dict[str, Final]:
    return table_finals(place.dsn, _OURS)


FLOOR = Peer(
    "floor",
    "confluent-kafka, msgspec, last event per key, COPY, exact ledger",
    "no rule, no validation beyond types, no duplicate check, no quarantine, no derived events, no metrics; one process",
    _floor,
    tables=TABLES,
    gauge=_floor_gauge,
    finals=_floor_finals,
)
DUJIANG = Peer(
    "dujiang",
    f"projects step, {WORKERS} worker processes as shipped",
    "-",
    _dujiang,
    tables="",
    migrated=True,
    gauge=_our_gauge,
    finals=_our_finals,
    compared=("version", "disbursed"),
)
