"""Prometheus' own tool, as the tests call it."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_promtool(*arguments: str) -> tuple[int, str]:
    """Its status and all that it said."""
    result = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr
