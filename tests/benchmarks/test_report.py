"""The page of results."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report

MACHINE = {"cores": 2, "cpu": "C", "memory_gib": 4.0, "system": "S", "python": "3", "versions": {"a": "1"}}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "performance.md")
    return tmp_path / "performance.md"


def _row(workers: int, rate: float, mib: int = 7) -> dict[str, Any]:
    return {"workers": workers, "rate": rate, "mib": mib}


def _lines(page: Path) -> list[str]:
    return [line for line in page.read_text().splitlines() if line.startswith(("| ", "## "))]


def test_runs_of_the_same_thing_stand_as_median_and_range(page: Path) -> None:
    """In the order of their first, however they were interleaved; what is alike in all has no range."""
    rows = [_row(2, 50_000.0), _row(1, 30.0), _row(2, 61_000.0), _row(1, 40.0), _row(2, 52_000.0), _row(1, 31.5)]
    report.write("drain", MACHINE, rows, by=("workers",))
    assert _lines(page) == [
        "## drain",
        "| workers | runs | rate | mib |",
        "| --- | --- | --- | --- |",
        "| 2 | 3 | 52,000 (50,000–61,000) | 7 |",
        "| 1 | 3 | 31.5 (30–40) | 7 |",
    ]


def test_a_part_stands_beside_the_whole(page: Path) -> None:
    report.write("drain", MACHINE, [_row(1, 30.0)])
    report.write("drain", MACHINE, [_row(1, 99.0)], is_whole=False)
    assert [line for line in _lines(page) if "30" in line or "99" in line or line.startswith("##")] == [
        "## drain",
        "| 1 | 30 | 7 |",
        "## drain, in part",
        "| 1 | 99 | 7 |",
    ]


@pytest.mark.parametrize(
    ("chosen", "whole"),
    [
        ({}, True),
        ({"runs": 5, "workers": [2, 1, 8]}, True),
        ({"runs": 1}, False),
        ({"workers": [2]}, False),
        ({"max": 9}, False),
    ],
)
def test_a_run_is_whole_that_lacks_nothing_of_the_usual(chosen: dict[str, Any], whole: bool) -> None:
    usual = {"runs": 3, "workers": [1, 2], "max": None, "quick": False}
    assert report.is_whole(Namespace(**usual | chosen), Namespace(**usual)) is whole


def test_a_newer_whole_takes_the_place_of_an_older(page: Path) -> None:
    report.write("drain", MACHINE, [_row(1, 30.0)])
    report.write("drain", MACHINE, [_row(1, 40.0)])
    assert _lines(page)[-1] == "| 1 | 40 | 7 |"
    assert len(_lines(page)) == 4


def test_what_was_written_is_told(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.write("drain", MACHINE, [_row(1, 30.0)])
    assert capsys.readouterr().out.splitlines() == [
        "machine: 2 cores of C, 4.0 GiB, S, Python 3; a 1",
        "| workers | rate | mib |",
        "| --- | --- | --- |",
        "| 1 | 30 | 7 |",
    ]
