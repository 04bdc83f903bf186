"""What an event costs as things grow, and where more workers end.

  python -m benchmarks.scale                             all parts, written to docs/reference/performance.md, a table a part,
                                                         each cell three times by turns (some half an hour)
  python -m benchmarks.scale --quick                     the small end of each, nothing written
  python -m benchmarks.scale --only keys workers --keys 10000 1000000

keys: payments to projects that are in the state table already, 10,000 of so many and all of them. history: the event history
beside so many rows. partitions: the projects step on a topic of so many. steps: copies of the projects step in one worker, each
with its own topic and an equal share of the events. workers: service times measured on this machine, fed into a model of 1-200
workers; see `simulation` for what it assumes. The number of events is the same in every cell.
"""

import argparse
import signal
import sys
from dataclasses import asdict
from typing import Any

from benchmarks import report
from benchmarks.harness import Bench, bench, machine, say
from benchmarks.scale.cells import MEASURES, Cell, growth_in_words, warm_up
from benchmarks.scale.service import measured
from benchmarks.scale.simulation import WORKERS, in_words, ladder, sidelines, simulated

MILLION = 1_000_000
FULL: dict[str, tuple[int, ...]] = {
    "keys": (10_000, 100_000, MILLION, 10 * MILLION),
    "history": (0, MILLION, 10 * MILLION),
    "partitions": (1, 8, 64),
    "steps": (1, 5, 20),
}
QUICK: dict[str, tuple[int, ...]] = {
    "keys": (10_000, 100_000),
    "history": (0, 100_000),
    "partitions": (1, 8),
    "steps": (1, 5),
}
EVENTS, EVENTS_QUICK, WARM_UP_EVENTS = 200_000, 30_000, 100_000
RUNS = 3
SIZES = {"keys": "keys_stored", "history": "rows_before"}  # what a part's sizes are called, where it is not the part's name
PARTS = (*FULL, "workers")


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that every process of ours is ended too
    with bench() as at:
        warm_up(at, min(arguments.events, WARM_UP_EVENTS))
        for part in arguments.only:
            if part == "workers":
                _workers(at, arguments.events, is_written=not arguments.quick)
            else:
                _growth(at, part, tuple(sorted(getattr(arguments, part))), arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--events", type=int, help=f"a cell; {EVENTS:,}")
    parser.add_argument("--runs", type=int, help=f"of each cell; {RUNS}")
    for part, sizes in FULL.items():
        parser.add_argument(f"--{part}", nargs="+", type=int, help=" ".join(map(str, sizes)))
    arguments = parser.parse_args()
    arguments.events = arguments.events or (EVENTS_QUICK if arguments.quick else EVENTS)
    arguments.runs = arguments.runs or (1 if arguments.quick else RUNS)
    for part, sizes in (QUICK if arguments.quick else FULL).items():
        setattr(arguments, part, getattr(arguments, part) or sizes)
    return arguments


def _growth(at: Bench, part: str, sizes: tuple[int, ...], arguments: argparse.Namespace) -> None:
    """One part, written as soon as it is there."""
    found: list[Cell] = []
    for _ in range(arguments.runs):
        cells = MEASURES[part](at, sizes, arguments.events)
        print(_table(part, cells))
        if part == "keys":
            print(growth_in_words(cells))
        found += cells
    if not arguments.quick:
        rows, by = [_row(part, cell) for cell in found], (SIZES.get(part, part), "keys_touched")
        is_whole = sizes == FULL[part] and arguments.events >= EVENTS and arguments.runs >= RUNS
        report.write(f"scale_{part}", machine(), rows, module="scale", by=by, is_whole=is_whole)


def _workers(at: Bench, events: int, *, is_written: bool) -> None:
    times = measured(at, events)
    say("simulating")
    rungs = ladder(times)
    outcomes = [simulated(times, case, workers) for case in (*rungs, *sidelines(rungs[-1])) for workers in WORKERS]
    print(in_words(outcomes))
    if is_written:
        report.write("scale_times", machine(), [asdict(times)], module="scale")
        report.write("scale_workers", machine(), [asdict(outcome) for outcome in outcomes], module="scale")


def _row(part: str, cell: Cell) -> dict[str, Any]:
    """What grows stands first, under its name."""
    return {SIZES.get(part, part): cell.size} | {name: value for name, value in asdict(cell).items() if name != "size"}


def _table(part: str, cells: list[Cell]) -> str:
    size = SIZES.get(part, part)
    lines = [
        f"| {size} | keys touched | events | events/s | CPU us/event worker + database + broker | ratio | rows | WAL | MiB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {cell.size:,} | {cell.keys_touched:,} | {cell.events:,} | {cell.rate:,} | {cell.worker_us} + {cell.database_us} +"
        f" {cell.broker_us} = {cell.total_us} | {cell.ratio} | {cell.rows_written} | {cell.wal_bytes:,} | {cell.peak_mib:,} |"
        for cell in cells
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
