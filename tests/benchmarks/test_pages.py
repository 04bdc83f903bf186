"""The benchmark of pages says which of them are too slow, and ends with a status that a script sees."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pages, report


def _row(kind: str, name: str, median_ms: float) -> dict[str, Any]:
    return {"kind": kind, "name": name, "median_ms": median_ms, "worst_ms": 9_999.0}


def test_medians_over_their_limit_are_named_and_those_at_it_are_not():
    rows = [
        _row("panel", "a", 200.0),
        _row("panel", "b", 200.1),
        _row("page, first look", "/a", 1_000.0),
        _row("page, first look", "/b", 1_234.0),
        _row("page, kept", "/c", 1_000.1),
        _row("question", "d", 5_000.0),  # its page is judged
    ]
    assert pages.too_slow(rows) == [
        "panel b: 200.1 ms, at most 200",
        "page, first look /b: 1,234.0 ms, at most 1,000",
        "page, kept /c: 1,000.1 ms, at most 1,000",
    ]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where results are written instead of the repository."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "performance.md")
    return tmp_path


def test_what_is_too_slow_ends_the_run_after_its_figures_are_written_down(results: Path):
    rows = [_row("panel", "b", 200.1), _row("page, kept", "/c", 9.0)]
    with pytest.raises(SystemExit) as ended:
        pages.conclude(rows, is_written_down=True)
    assert ended.value.code == "panel b: 200.1 ms, at most 200"  # a text is status 1, said on standard error
    [file] = results.glob("*.json")
    assert json.loads(file.read_text())["pages"]["rows"] == rows


def test_what_is_quick_enough_ends_well(results: Path):
    pages.conclude([_row("panel", "b", 3.0)], is_written_down=True)
    assert "| panel | b | 3 |" in (results / "performance.md").read_text()


def test_a_quick_run_is_judged_too_and_writes_nothing(results: Path):
    with pytest.raises(SystemExit):
        pages.conclude([_row("panel", "b", 200.1)], is_written_down=False)
    assert list(results.iterdir()) == []
