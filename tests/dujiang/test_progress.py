"""How far long work is, at a terminal and in a log."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from dujiang.cli.progress import CANCELLED_STATUS, Line, lines_of, shown_here, so_far, told
from engine.works import Step


def _step(done: int, elapsed_s: float, total: int | None = 300) -> Step:
    return Step("ingest", "gtr a.csv", done, total, elapsed_s)


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [(1_200, None, "1,200"), (1_200, 3_000, "1,200 of about 3,000, 40%"), (12, 10, "12 of about 10, 100%"), (0, 0, "0")],
)
def test_so_far_is_told_with_what_is_known(done: int, total: int | None, said: str) -> None:
    assert so_far(done, total) == said


def test_rate_is_told_once_there_is_one() -> None:
    assert told(_step(30, 0.5)) == "ingest gtr a.csv: 30 of about 300, 10%"
    assert told(_step(30, 2)) == "ingest gtr a.csv: 30 of about 300, 10%, 15 a second"


def test_terminal_sees_one_line_drawn_anew() -> None:
    out = io.StringIO()
    line = Line(out, is_terminal=True)
    line(_step(30, 0.5))
    line(_step(60, 0.9))
    line.end()
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("60 of about 300, 20%\n")


def test_log_sees_plain_lines_and_few() -> None:
    out = io.StringIO()
    line = Line(out, is_terminal=False)
    for second in range(25):
        line(_step(second, float(second)))
    line.end()
    assert [said.split(":")[1] for said in out.getvalue().splitlines()] == [
        " 10 of about 300, 3%, 1 a second",
        " 20 of about 300, 6%, 1 a second",
    ]
    assert "\r" not in out.getvalue()


def test_records_of_a_folder_are_counted_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n2\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("3\n", encoding="utf-8")
    (tmp_path / ".hidden").write_text("4\n", encoding="utf-8")
    assert lines_of(tmp_path) == 3
    assert lines_of(tmp_path / "missing") is None


def test_what_keeps_nothing_ends_anywhere_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, shown_here("replay", "projects a.jsonl", [b"1", b"2"], 2) as lines:
        _interrupted_after_one(lines)
    assert ended.value.exit_code == CANCELLED_STATUS
    assert capsys.readouterr().err == "cancelled; nothing is kept of it\n"


def _interrupted_after_one(lines: Iterator[bytes]) -> None:
    assert next(lines) == b"1"
    raise KeyboardInterrupt
