"""One worker draining so many events, while one thing grows."""

import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.harness import Bench, create_topics, load_topic, say, schema
from benchmarks.peers.gauges import LedgerGauge
from benchmarks.peers.measure import Watched, watched
from benchmarks.peers.peer import Program
from benchmarks.scale.fills import fill_history, fill_projects, payments
from benchmarks.scale.steps_worker import step_topic
from benchmarks.traffic import Event, status_events
from schemas.topics import FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE

_MOVED = "SELECT coalesce(sum(next_offset - start_offset), 0) FROM ledger WHERE topic LIKE "


@dataclass(frozen=True)
class Cell:
    """CPU in microseconds an event."""

    part: str
    size: int
    events: int
    rate: int
    worker_us: float
    database_us: float
    broker_us: float
    peak_mib: int


def keys(at: Bench, sizes: tuple[int, ...], events: int) -> list[Cell]:
    """Payments on random ones of so many stored projects. The worker remembers 200,000; the others are read again."""
    cells, filled = [], 0
    with schema(at) as dsn:
        for turn, size in enumerate(sizes):
            fill_projects(dsn, filled + 1, size)
            filled = size
            fresh = loaded(at, payments(events, size, turn))
            cells.append(_cell("keys", size, events, drained(fresh, dsn, events)))
    return cells


def history(at: Bench, sizes: tuple[int, ...], events: int) -> list[Cell]:
    """The event history alone, beside so many stored events."""
    cells, filled = [], 0
    with schema(at) as dsn:
        for turn, size in enumerate(sizes):
            if size > filled:
                fill_history(dsn, filled + 1, size)
                filled = size
            fresh = loaded(at, payments(events, max(1, events // 10), turn))
            cells.append(_cell("history", size, events, drained(fresh, dsn, events, "--parts", "history", *_HISTORY_TOPICS)))
    return cells


_HISTORY_TOPICS = ("--topics", PROJECT_EVENT.name)


def partitions(at: Bench, sizes: tuple[int, ...], events: int) -> list[Cell]:
    """The projects step on a topic of so many partitions."""
    cells = []
    for size in sizes:
        fresh = loaded(at, status_events(events, max(1, events // 10)), partitions=size)
        with schema(at) as dsn:
            cells.append(_cell("partitions", size, events, drained(fresh, dsn, events)))
    return cells


def steps(at: Bench, sizes: tuple[int, ...], events: int) -> list[Cell]:
    """So many copies of the projects step in one worker, each with a topic of its own and its share of the events."""
    cells = []
    for size in sizes:
        fresh = _renamed(at)
        topics = [replace(PROJECT_EVENT, name=step_topic(number)) for number in range(size)]
        create_topics(fresh, (PROJECT_STATE, FINDING_EVENT, *topics))
        share = max(10, events // size)
        for number, topic in enumerate(topics):
            load_topic(
                fresh, fresh.topic(topic.name), _for_step(number, status_events(share, max(1, share // 10), seed=number))
            )
        with schema(at) as dsn:
            seen = drained(fresh, dsn, share * size, "--steps", str(size), module="benchmarks.scale.steps_worker")
        cells.append(_cell("steps", size, share * size, seen))
    return cells


def _for_step(number: int, events: Iterable[Event]) -> Iterator[Event]:
    """Projects of a step's own: all copies write one table."""
    mark = b"S%02d-" % number
    for event in events:
        yield Event(mark + event.key, event.value.replace(b'"P-', b'"' + mark + b"P-"))


def loaded(at: Bench, events: Iterable[Event], partitions: int | None = None) -> Bench:
    """The events in fresh topics."""
    fresh = _renamed(at)
    create_topics(fresh, (PROJECT_EVENT,), partitions)
    create_topics(fresh, (PROJECT_STATE, FINDING_EVENT))
    load_topic(fresh, fresh.topic(PROJECT_EVENT.name), events)
    return fresh


def _renamed(at: Bench) -> Bench:
    return replace(at, prefix=f"{at.prefix}.{secrets.token_hex(2)}")


def drained(at: Bench, dsn: str, events: int, *more: str, module: str = "benchmarks.worker") -> Watched:
    """One worker until the ledger has moved over all."""
    command = [sys.executable, "-m", module, "--bootstrap", at.bootstrap, "--dsn", dsn, "--prefix", at.prefix]
    program = Program([*command, "--group", f"{at.prefix}.scale", *more])
    with _gauge(at, dsn, events) as gauge, TemporaryDirectory(prefix="dujiang-scale-") as folder:
        return watched(at, [program], gauge, events, Path(folder))


@contextmanager
def _gauge(at: Bench, dsn: str, events: int) -> Iterator[LedgerGauge]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield LedgerGauge(connection, f"{_MOVED} '{at.prefix}.%'", events)


def _cell(part: str, size: int, events: int, seen: Watched) -> Cell:
    cell = Cell(
        part,
        size,
        events,
        round(seen.rate),
        round(seen.micros(seen.used.worker), 1),
        round(seen.micros(seen.used.database), 1),
        round(seen.micros(seen.used.broker), 1),
        round(seen.peak_mib),
    )
    say(f"{part} {size:,}: {cell.rate:,}/s  CPU us/event worker {cell.worker_us} database {cell.database_us}")
    return cell
