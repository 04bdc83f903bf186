"""What an event costs as things grow, and where more workers end.

  python -m benchmarks.scale                 keys 10^4-10^7, history 0-10M rows, partitions 1-64, steps 1-20, simulation
  python -m benchmarks.scale --quick         the small end of each, nothing written
  python -m benchmarks.scale --parts keys simulation

keys: payments on random ones of so many projects that are in the state table already. history: the event history beside so
many rows. partitions: the projects step on one topic. steps: copies of the projects step in one worker, each with its own
topic and an equal share of the events. simulation: service times measured on this machine, fed into a model of 1-200 workers;
see `simulation` for what it assumes.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks import report
from benchmarks.harness import Bench, bench, machine, say
from benchmarks.scale.cells import Cell, history, keys, partitions, steps
from benchmarks.scale.service import measured
from benchmarks.scale.simulation import CASES, WORKERS, Outcome, Times, in_words, simulated

MILLION = 1_000_000
FULL: dict[str, tuple[int, ...]] = {
    "keys": (10_000, 100_000, MILLION, 10 * MILLION),
    "history": (0, MILLION, 10 * MILLION),
    "partitions": (1, 4, 8, 16, 64),
    "steps": (1, 5, 10, 20),
}
SMALL: dict[str, tuple[int, ...]] = {
    "keys": (10_000, 30_000),
    "history": (0, 30_000),
    "partitions": (1, 8),
    "steps": (1, 5),
}
MEASURES: dict[str, Callable[[Bench, tuple[int, ...], int], list[Cell]]] = {
    "keys": keys,
    "history": history,
    "partitions": partitions,
    "steps": steps,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--events", type=int, default=400_000, help="a cell")
    parser.add_argument("--parts", nargs="+", default=[*MEASURES, "simulation"], choices=[*MEASURES, "simulation"])
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that every process of ours is ended too
    events = 30_000 if arguments.quick else arguments.events
    sizes = SMALL if arguments.quick else FULL
    cells: list[Cell] = []
    times: Times | None = None
    with bench() as at:
        for part in arguments.parts:
            if part == "simulation":
                times = measured(at, events)
            else:
                cells += MEASURES[part](at, sizes[part], events)
    outcomes = _simulated(times) if times else []
    print(_table(cells))
    if times:
        print(in_words(times, outcomes))
    if not arguments.quick:
        report.write("scale", machine(), _rows(cells, times, outcomes))


def _simulated(times: Times) -> list[Outcome]:
    say("simulating")
    return [simulated(times, case, workers) for case in CASES for workers in WORKERS]


def _rows(cells: list[Cell], times: Times | None, outcomes: list[Outcome]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [asdict(cell) for cell in cells]
    if times:
        rows.append({"part": "simulation", "service_times": asdict(times)})
        rows += [{"part": "simulation"} | asdict(outcome) for outcome in outcomes]
    return rows


def _table(cells: list[Cell]) -> str:
    lines = [
        "| what | size | events | events/s | CPU us/event worker / database / broker | MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {cell.part} | {cell.size:,} | {cell.events:,} | {cell.rate:,} |"
        f" {cell.worker_us} / {cell.database_us} / {cell.broker_us} | {cell.peak_mib:,} |"
        for cell in cells
    ]
    return "\n".join(lines) if cells else ""


if __name__ == "__main__":
    main()
