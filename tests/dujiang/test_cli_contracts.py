"""`dujiang contracts`: what is promised, what a change breaks, and what is written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dujiang.cli.app import app
from schemas import published
from schemas.catalogue import default_registry

DISBURSED = "research.funds.disbursed.v1"


def contracts(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["contracts", *map(str, arguments)])


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def schema(tmp_path: Path, name: str, **properties: Any) -> Path:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"type": "object", "properties": properties, "required": []}))
    return path


def test_list_names_every_type_with_its_revision() -> None:
    listed = rows(contracts("list", "--json"))
    assert [row["type"] for row in listed] == list(default_registry().contracts)
    assert listed[0] == {
        "type": "gov.stiib.research.application.submitted.v1",
        "revision": 1,
        "topics": ["research.project.event"],
        "internal": False,
        "deprecated_on": None,
        "sunset_on": None,
    }


@pytest.mark.parametrize("name", [DISBURSED, f"gov.stiib.{DISBURSED}"])
def test_show_prints_the_schema(name: str) -> None:
    assert json.loads(contracts("show", name).stdout) == published.load()[DISBURSED][-1].schema


@pytest.mark.parametrize("arguments", [("nothing.v1",), (DISBURSED, "--revision", "99")])
def test_show_of_what_is_not_there_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    result = contracts("show", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_diff_of_the_published_contracts_and_the_code_is_empty() -> None:
    result = contracts("diff", published.FOLDER)
    assert (result.exit_code, result.stdout) == (0, "")


def test_diff_of_an_added_optional_field_ends_with_0(tmp_path: Path) -> None:
    old = schema(tmp_path, "old", a={"type": "string"})
    new = schema(tmp_path, "new", a={"type": "string"}, b={"type": "string"})
    result = contracts("diff", old, new, "--json")
    assert result.exit_code == 0
    assert rows(result) == [{"contract": "old", "place": "/data/b", "change": "optional field added", "breaks": None}]


def test_diff_of_a_removed_field_ends_with_1_and_says_whom_it_breaks(tmp_path: Path) -> None:
    old = schema(tmp_path, "old", a={"type": "string"}, b={"type": "string"})
    new = schema(tmp_path, "new", a={"type": "string"})
    result = contracts("diff", old, new, "--json")
    assert result.exit_code == 1
    assert rows(result) == [{"contract": "old", "place": "/data/b", "change": "field removed", "breaks": "readers"}]


def test_diff_of_one_published_file_compares_it_with_the_code(tmp_path: Path) -> None:
    held = json.loads((published.FOLDER / f"{DISBURSED}.1.json").read_text())
    held["schema"]["properties"]["amount"]["maximum"] += 1
    path = tmp_path / "older.json"
    path.write_text(json.dumps(held))
    result = contracts("diff", path, "--json")
    assert result.exit_code == 1
    assert [(row["contract"], row["place"], row["breaks"]) for row in rows(result)] == [
        (DISBURSED, "/data/amount", "publishers")
    ]


def test_diff_of_two_types_compares_them() -> None:
    result = contracts("diff", "research.project.suspended.v1", "research.project.resumed.v1", "--json")
    assert result.exit_code == 1
    assert [(row["place"], row["change"]) for row in rows(result)] == [("/data/reason", "field removed")]


def test_diff_of_folders_finds_what_was_removed(tmp_path: Path) -> None:
    for path in published.FOLDER.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / f"{DISBURSED}.1.json").unlink()
    result = contracts("diff", published.FOLDER, tmp_path, "--json")
    assert result.exit_code == 1
    assert rows(result) == [{"contract": DISBURSED, "place": "/type", "change": "contract removed", "breaks": "publishers"}]


@pytest.mark.parametrize("text", ["{", "[]", '{"contract": "x"}'])
def test_diff_of_a_file_that_is_no_schema_is_wrong_usage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    result = contracts("diff", path, DISBURSED)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "broken.json" in result.stderr


def test_diff_of_a_bare_schema_needs_the_other_side(tmp_path: Path) -> None:
    assert contracts("diff", schema(tmp_path, "old", a={"type": "string"})).exit_code == 2


def test_diff_of_nothing_known_is_wrong_usage() -> None:
    assert contracts("diff", "nowhere").exit_code == 2


def test_publish_writes_every_contract_once(tmp_path: Path) -> None:
    assert contracts("publish", tmp_path / "made").exit_code == 0
    first = [replace(revisions[-1], number=1) for revisions in published.load().values()]
    assert {path.name: path.read_text() for path in (tmp_path / "made").iterdir()} == {
        revision.file_name: revision.text() for revision in first
    }
    again = contracts("publish", tmp_path / "made")
    assert (again.exit_code, again.stdout) == (0, "")


def republished(folder: Path, change: Any) -> Result:
    """Publish into a folder whose first revision of DISBURSED was another."""
    contracts("publish", folder)
    path = folder / f"{DISBURSED}.1.json"
    held = json.loads(path.read_text())
    change(held["schema"])
    path.write_text(json.dumps(held))
    return contracts("publish", folder)


def test_publish_adds_a_revision_for_a_compatible_change(tmp_path: Path) -> None:
    def describe(schema: Any) -> None:
        schema["description"] = "In other words."

    result = republished(tmp_path, describe)
    assert (result.exit_code, result.stdout) == (0, f"wrote {tmp_path / DISBURSED}.2.json\n")
    newest = published.load(tmp_path)[DISBURSED][-1]
    assert (newest.number, newest.schema) == (2, published.load()[DISBURSED][-1].schema)


def test_publish_refuses_a_breaking_change_and_writes_nothing(tmp_path: Path) -> None:
    def loosen(schema: Any) -> None:
        schema["required"].remove("amount")
        del schema["properties"]["amount"]

    result = republished(tmp_path, loosen)
    assert result.exit_code == 1
    assert f"{DISBURSED}: /data/amount: required field added (breaks publishers)" in result.stderr
    assert len(list(tmp_path.iterdir())) == len(default_registry().contracts)
