"""`dujiang filter`: one line on standard output, explanations on standard error."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dujiang.cli.app import app

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/s",
    "type": "科技",
    "time": "2018-04-26T14:48:09+02:00",
    "n": 5,
    "data": [1],
}


@pytest.fixture
def event(tmp_path: Path) -> Path:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(EVENT), "utf-8")
    return file


def filtered(event: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["filter", *arguments, "--event", str(event)])


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("type", '"科技"'),
        ("time", '"2018-04-26T14:48:09+02:00"'),
        ("n", "5"),
        ("--10", "10"),
        ("-'10'", "-10"),
        ("EXISTS data", "false"),
        ("n = 5", "true"),
        ("ABC(", "error: parse"),
        ("1 / 0", "error: math"),
        ("NOT 10", "error: cast"),
        ("missing", "error: missingAttribute"),
        ("NOSUCH()", "error: missingFunction"),
        ("LEFT('abc', -2)", "error: functionEvaluation"),
    ],
)
def test_sql_prints_the_value_or_the_kind_of_the_error(event: Path, expression: str, printed: str) -> None:
    result = filtered(event, "--sql", expression)
    assert (result.exit_code, result.stdout) == (0, f"{printed}\n")


def test_an_error_is_explained_on_standard_error(event: Path) -> None:
    assert filtered(event, "--sql", "x LIKE 1").stderr.startswith("unexpected '1' at character 7")
    assert filtered(event, "--sql", "TRUE").stderr == ""


@pytest.mark.parametrize(
    ("filters", "printed"),
    [
        ([], "true"),
        ([{"exact": {"n": "5"}}], "true"),
        ([{"exact": {"n": "6"}}], "false"),
        ([{"prefix": {"time": "2018-04-26T12"}}], "true"),
    ],
)
def test_filters_prints_whether_the_event_passes(event: Path, tmp_path: Path, filters: Any, printed: str) -> None:
    file = tmp_path / "filters.json"
    file.write_text(json.dumps(filters), "utf-8")
    result = filtered(event, "--filters", str(file))
    assert (result.exit_code, result.stdout) == (0, f"{printed}\n")


def test_what_is_no_filter_or_no_event_ends_with_status_1_and_its_place(event: Path, tmp_path: Path) -> None:
    file = tmp_path / "filters.json"
    file.write_text('[{"exact":{"id":""}}]', "utf-8")
    result = filtered(event, "--filters", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "filters.json: /0/exact/id: the value for 'id' is empty" in result.stderr
    event.write_text('{"specversion":"1.0","id":"1"}', "utf-8")
    result = filtered(event, "--sql", "TRUE")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "event.json: /source: attribute 'source' is missing" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--sql", "TRUE", "--filters", "x.json")])
def test_exactly_one_of_sql_and_filters_is_given(event: Path, arguments: tuple[str, ...]) -> None:
    assert filtered(event, *arguments).exit_code == 2
