"""What one worker's event costs while one thing grows, and how that compares with the smallest."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from benchmarks.harness import Bench, create_topics, load_topic, say, schema
from benchmarks.scale.drains import Drain, drained, loaded, renamed
from benchmarks.scale.fills import fill_history, fill_projects, payments
from benchmarks.scale.steps_worker import step_topic
from benchmarks.traffic import Event, status_events
from schemas.topics import FINDING_EVENT, PROJECT_EVENT, PROJECT_STATE

TOUCHED = 10_000
STEP_BATCH = 1_000
GROWTH_MAX = 0.2  # the aim: of an event's cost, from 10^4 to 10^7 keys


@dataclass(frozen=True)
class Cell:
    """One drain. By event: `_us` (microseconds of CPU), wal_bytes, and rows_written, as a key's events in a batch share a row.
    `ratio`: total_us beside that of the smallest size.
    """

    size: int
    keys_touched: int
    events: int
    rate: int
    worker_us: float
    database_us: float
    broker_us: float
    total_us: float
    rows_written: float
    wal_bytes: int
    peak_mib: int
    ratio: float = 1.0


def keys(at: Bench, sizes: tuple[int, ...], events: int) -> list[Cell]:
    """Payments to projects that are in the state table already: to TOUCHED of so many, and to all of them.

    With TOUCHED ones, evenly spread over the table, the events and what a batch holds are alike at every size, and what grows
    is the table. With all of them fewer events meet a key in their batch or in memory (50,000 keys), so rows written and rows
    read grow, too. The first touch of a page after a checkpoint logs it whole; there is one before each drain.
    """
    found, filled, turn = [], 0, 0
    with schema(at) as dsn:
        for size in sizes:
            fill_projects(dsn, filled + 1, size)
            filled = size
            for touched in sorted({min(TOUCHED, size), size}):
                turn += 1
                fresh = loaded(at, payments(events, size, touched, turn))
                found.append(_cell("keys", size, touched, drained(fresh, dsn, events)))
    narrow = compared([cell for cell in found if cell.keys_touched <= TOUCHED])
    wide = compared([cell for cell in found if cell.keys_touched == cell.size])
    return narrow + [cell for cell in wide if cell.keys_touched > TOUCHED]


def history(at: Bench, sizes: tuple[int, ...], events: int) -> list[Cell]:
    """The event history alone, beside so many stored events."""
    found, filled = [], 0
    with schema(at) as dsn:
        for turn, size in enumerate(sizes):
            if size > filled:
                fill_history(dsn, filled + 1, size)
                filled = size
            fresh = loaded(at, payments(events, TOUCHED, TOUCHED, turn))
            drain = drained(fresh, dsn, events, "--parts", "history", "--topics", PROJECT_EVENT.name)
            found.append(_cell("history", size, TOUCHED, drain))
    return compared(found)


def partitions(at: Bench, sizes: tuple[int, ...], events: int) -> list[Cell]:
    """The projects step on a topic of so many partitions."""
    found, projects = [], max(1, events // 10)
    for size in sizes:
        fresh = loaded(at, status_events(events, projects), partitions=size)
        with schema(at) as dsn:
            found.append(_cell("partitions", size, projects, drained(fresh, dsn, events)))
    return compared(found)


def steps(at: Bench, sizes: tuple[int, ...], events: int) -> list[Cell]:
    """So many copies of the projects step in one worker, each with a topic of its own and its share of the events.

    All together have as many partitions at every size, so that as many of a key's events meet in a batch. Batches are of
    STEP_BATCH: one step would fill larger ones than twenty can, and a first batch is not clocked.
    """
    found, partitions_in_all = [], PROJECT_EVENT.partitions * max(sizes)
    for size in sizes:
        share = max(10, events // size)
        fresh, topics = renamed(at), [replace(PROJECT_EVENT, name=step_topic(number)) for number in range(size)]
        create_topics(fresh, (PROJECT_STATE, FINDING_EVENT))
        create_topics(fresh, topics, partitions_in_all // size)
        for number, topic in enumerate(topics):
            load_topic(fresh, fresh.topic(topic.name), _for_step(number, status_events(share, share // 10, seed=number)))
        with schema(at) as dsn:
            more = ("--steps", str(size), "--records-max", str(STEP_BATCH))
            drain = drained(fresh, dsn, share * size, *more, module="benchmarks.scale.steps_worker", steps=size)
        found.append(_cell("steps", size, share // 10 * size, drain))
    return compared(found)


MEASURES: dict[str, Callable[[Bench, tuple[int, ...], int], list[Cell]]] = {
    "keys": keys,
    "history": history,
    "partitions": partitions,
    "steps": steps,
}


def warm_up(at: Bench, events: int) -> None:
    """A broker that was just started compiles its code first, and the first cell would pay for it."""
    fresh = loaded(at, status_events(events, max(1, events // 10)))
    with schema(at) as dsn:
        drained(fresh, dsn, events)


def _for_step(number: int, events: Iterable[Event]) -> Iterator[Event]:
    """Projects of a step's own: all copies write one table."""
    mark = b"S%02d-" % number
    for event in events:
        yield Event(mark + event.key, event.value.replace(b'"P-', b'"' + mark + b"P-"))


def compared(cells: list[Cell]) -> list[Cell]:
    """With their ratio to the first."""
    return [replace(cell, ratio=round(cell.total_us / cells[0].total_us, 2)) for cell in cells]


def growth_in_words(cells: list[Cell]) -> str:
    """How an event's cost grew over the keys, beside the aim."""
    lines = []
    for what, series in (
        (f"{TOUCHED:,} of them touched", [cell for cell in cells if cell.keys_touched <= TOUCHED]),
        ("all of them touched", [cell for cell in cells if cell.keys_touched == cell.size]),
    ):
        if len(series) > 1:
            first, last = series[0], series[-1]
            lines.append(
                f"keys {first.size:,} -> {last.size:,}, {what}: {first.total_us} -> {last.total_us} us an event,"
                f" {last.ratio - 1:+.0%} (aim: at most {GROWTH_MAX:+.0%})"
            )
    return "\n".join(lines)


def _cell(part: str, size: int, touched: int, drain: Drain) -> Cell:
    seen = drain.seen
    worker_us, database_us, broker_us = (
        round(seen.micros(cpu_s), 1) for cpu_s in (seen.used.worker, seen.used.database, seen.used.broker)
    )
    cell = Cell(
        size,
        touched,
        seen.clocked,
        round(seen.rate),
        worker_us,
        database_us,
        broker_us,
        round(worker_us + database_us + broker_us, 1),
        round(drain.rows_written, 3),
        round(drain.wal_bytes),
        round(seen.peak_mib),
    )
    say(
        f"{part} {size:,} ({touched:,} keys): {cell.rate:,}/s  CPU us/event worker {worker_us} database {database_us}"
        f" broker {broker_us}  rows {cell.rows_written} WAL {cell.wal_bytes} bytes"
    )
    return cell
