"""Results: on the screen, as a file a day, and as a page. Figures of different runs are never mixed."""

import json
import statistics
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs/reference/performance.md"
_HEAD = """# Performance, measured

Written by the benchmarks: the newest of each; one that was run in part stands beside the whole one. Several runs stand as their
median (lowest–highest). What the figures mean and what was tried stands in
[performance explained](../explanation/performance.md). Columns named `_us` are µs of CPU an event, `rate` is events a second,
delays are ms, and `seconds` and CPU beside them include twenty seconds of warm-up; `peak_mib` is that of the largest worker
process, among peers the sum of all their processes.
"""


def write(
    name: str,
    machine: dict[str, Any],
    rows: list[dict[str, Any]],
    *,
    module: str = "",
    by: Sequence[str] = (),
    is_whole: bool = True,
) -> Path:
    """Print the table; add the rows to today's file in place of an earlier run of the same name; write the page anew.

    module: the benchmark, where it is not called like its rows. by: columns that several runs of the same thing have in
    common. is_whole: False for a part of the benchmark, which takes no whole one's place.
    """
    if not is_whole:
        name = f"{name}, in part"
    print(describe(machine))
    print("\n".join(_table(rows, by)))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = {
        "command": "python -m " + " ".join([f"benchmarks.{module or name}", *sys.argv[1:]]),
        "machine": machine,
        "by": list(by),
        "rows": rows,
    }
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page())
    return path


def is_whole(chosen: Namespace, usual: Namespace) -> bool:
    """Whether a benchmark runs at least as it does without options: all of each list, as much of each number."""
    return all(_covers(getattr(chosen, name), value) for name, value in vars(usual).items())


def _covers(chosen: Any, usual: Any) -> bool:
    if isinstance(usual, list):
        return set(chosen) >= set(usual)
    if isinstance(usual, int) and not isinstance(usual, bool):
        return bool(chosen >= usual)
    return bool(chosen == usual)


def describe(machine: dict[str, Any]) -> str:
    """One line."""
    versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
    return (
        f"machine: {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']},"
        f" Python {machine['python']}; {versions}"
    )


def page() -> str:
    """The newest results of every benchmark, in Markdown."""
    newest: dict[str, tuple[str, dict[str, Any]]] = {}
    for path in sorted(RESULTS.glob("*.json")):
        newest |= {name: (path.stem, run) for name, run in json.loads(path.read_text()).items()}
    return "\n".join([_HEAD, *(_part(name, day, run) for name, (day, run) in sorted(newest.items()))])


def _part(name: str, day: str, run: dict[str, Any]) -> str:
    head = f"{day}, `{run['command']}`; {describe(run['machine'])}"
    return "\n".join([f"## {name}", "", head, "", *_table(run["rows"], run.get("by", ())), ""])


def _table(rows: list[dict[str, Any]], by: Sequence[str]) -> list[str]:
    """One line a row; with `by`, one for all rows that have these columns in common, in the order of their first."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if by:
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(tuple(row[column] for column in by), []).append(row)
        others = [column for column in columns if column not in by]
        columns = [*by, "runs", *others]
        lines = [
            [*map(_cell, key), str(len(runs)), *(_spread([run[column] for run in runs]) for column in others)]
            for key, runs in groups.items()
        ]
    else:
        lines = [[_cell(row.get(column)) for column in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *lines)]


def _spread(values: Sequence[float]) -> str:
    """Median (lowest–highest)."""
    if len(set(values)) == 1:
        return _cell(values[0])
    return f"{_cell(statistics.median(values))} ({_cell(min(values))}–{_cell(max(values))})"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).replace("|", "\\|")
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
