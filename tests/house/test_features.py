"""docs/reference/features.md: every feature of the comparison has its row, and the tests that it names are there."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

FEATURES = 56
STATUSES = {"yes", "partly", "not yet"}
ROW = re.compile(r"\| (\d+) \| (.+?) \| (.+?) \| (.+?) \| (.*?) ?\|\Z")


class Row(NamedTuple):
    number: int
    feature: str
    status: str
    where: str
    tests: tuple[str, ...]


@pytest.fixture(scope="module")
def rows(root: Path) -> list[Row]:
    lines = (root / "docs/reference/features.md").read_text(encoding="utf-8").splitlines()
    matched = [match for line in lines if (match := ROW.match(line))]
    return [Row(int(one[1]), one[2], one[3], one[4], tuple(re.findall(r"`([^`]+)`", one[5]))) for one in matched]


def test_every_feature_has_its_row_in_order(rows: list[Row]) -> None:
    assert [row.number for row in rows] == list(range(1, FEATURES + 1))


def test_what_is_there_is_shown_by_a_test_and_what_is_not_says_what_it_needs(rows: list[Row]) -> None:
    assert {row.status for row in rows} <= STATUSES
    assert [row.number for row in rows if row.status != "not yet" and not row.tests] == []
    assert [row.number for row in rows if row.status == "not yet" and (row.tests or not row.where.startswith("needs: "))] == []


def test_every_test_that_is_named_is_there(rows: list[Row], root: Path) -> None:
    named = sorted({test for row in rows for test in row.tests})
    assert [test for test in named if not _is_there(root / "tests", test)] == []


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("house/test_features.py", True),
        ("house/test_features.py::test_every_test_that_is_named_is_there", True),
        ("house/test_features.py::test_that_was_renamed", False),
        ("house/test_features.py::ROW", False),
        ("house/test_nothing.py", False),
        ("gateway/test_limits.py::TestQuota::test_new_day_begins_at_midnight_utc", True),
        ("gateway/test_limits.py::test_new_day_begins_at_midnight_utc", False),
        ("gateway/test_limits.py::TestRate::test_new_day_begins_at_midnight_utc", False),
    ],
)
def test_stale_name_is_found_out(root: Path, test: str, found: bool) -> None:
    assert _is_there(root / "tests", test) is found


def _is_there(folder: Path, test: str) -> bool:
    """Whether `path::Class::test` names something that pytest would collect."""
    name, *parts = test.split("::")
    path = folder / name
    if not path.is_file():
        return False
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef = ast.parse(path.read_text(encoding="utf-8"))
    for part in parts:
        inner = {one.name: one for one in node.body if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}
        if part not in inner or not part.lower().startswith("test"):
            return False
        node = inner[part]
    return True
