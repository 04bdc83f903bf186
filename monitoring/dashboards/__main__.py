"""`python -m monitoring.dashboards` writes the files that Grafana reads; `--check` says which are out of date."""

import argparse
import sys
from pathlib import Path

from monitoring.dashboards import DASHBOARDS
from monitoring.dashboards.built import as_json

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if a file is out of date")
    is_check = parser.parse_args().check
    wanted = {f"{declared.uid}.json": as_json(declared) for declared in DASHBOARDS}
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if is_check:
        if stale:
            print(f"out of date in monitoring/grafana/dashboards: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
        print(f"wrote monitoring/grafana/dashboards/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
