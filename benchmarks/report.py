"""Results as a file a day and as a page; figures of different runs are never mixed."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write(name: str, machine: dict[str, Any], rows: list[dict[str, Any]]) -> Path:
    """Add a benchmark's rows to today's file, in place of an earlier run of the same name."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = {"command": "python -m " + " ".join([f"benchmarks.{name}", *sys.argv[1:]]), "machine": machine, "rows": rows}
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    return path
