"""Results: on the screen, as a file a day, and as a page. Figures of different runs are never mixed."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs/reference/performance.md"
_HEAD = """# Performance, measured

Written by the benchmarks: the newest run of each. What the figures mean and what was tried stands in
[performance explained](../explanation/performance.md). Columns named `_us` are µs of CPU an event, `rate` is events a second,
delays are ms.
"""


def write(name: str, machine: dict[str, Any], rows: list[dict[str, Any]], *, module: str = "") -> Path:
    """Print the machine; add the rows to today's file in place of an earlier run of the same name; write the page anew.

    `module`: the benchmark, where it is not called like its rows.
    """
    print(describe(machine))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = {
        "command": "python -m " + " ".join([f"benchmarks.{module or name}", *sys.argv[1:]]),
        "machine": machine,
        "rows": rows,
    }
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page())
    return path


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
    columns = list(dict.fromkeys(column for row in run["rows"] for column in row))
    lines = [" | ".join(_cell(row.get(column)) for column in columns) for row in run["rows"]]
    table = [" | ".join(columns), " | ".join("---" for _ in columns), *lines]
    return "\n".join(
        [f"## {name}", "", f"{day}, `{run['command']}`; {describe(run['machine'])}", "", *(f"| {line} |" for line in table), ""]
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).replace("|", "\\|")
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
