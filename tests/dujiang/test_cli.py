"""Commands that need no services: help, settings, identifiers, replay, topology."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from typer.testing import CliRunner

from dujiang.cli.app import app

Cli = Callable[..., Any]
PROJECT = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/partners/a",
    "type": "gov.stiib.research.application.submitted.v1",
    "subject": "P-1",
    "time": "2026-01-01T00:00:00Z",
    "data": {"call_id": "C", "title": "水网", "lead": "ORG-1", "budget": 5},
}


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))


@pytest.mark.parametrize("path", list(_commands(typer.main.get_command(app))), ids=lambda path: " ".join(path) or "dujiang")
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    assert len(result.stdout.splitlines()) > 5


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"batch__records_max": "0"}, ("batch.records_max", "records a batch", "DUJIANG_BATCH__RECORDS_MAX", "'0'")),
        ({"log_level": "LOUD"}, ("log_level", "DEBUG, INFO, WARNING or ERROR", "DUJIANG_LOG_LEVEL")),
        ({"worker__steps": '["projects"'}, ("worker",)),
        ({"kafka__bootstrp": "x"}, ("DUJIANG_KAFKA__BOOTSTRP", "no such setting")),
    ],
    ids=["out of range", "not one of", "not JSON", "unknown"],
)
def test_a_wrong_setting_is_refused_with_its_name_and_what_helps(
    dujiang: Cli, settings: dict[str, str], parts: tuple[str, ...]
) -> None:
    said = dujiang("settings", **settings)
    assert (said.status, said.out) == (2, "")
    assert "Traceback" not in said.err
    for part in parts:
        assert part in said.err


def test_a_wrong_setting_in_the_file_is_refused_too(dujiang: Cli, tmp_path: Path) -> None:
    (tmp_path / "dujiang.yaml").write_text("batch: {records_max: many}\n")
    said = dujiang("settings", cwd=tmp_path)
    assert said.status == 2
    assert "batch.records_max" in said.err
    assert "dujiang.yaml" in said.err


def test_settings_hide_secrets(dujiang: Cli) -> None:
    said = dujiang("settings", "--json", database__dsn="postgresql://u:planted@h/d", kafka__sasl_password="planted")
    assert said.status == 0
    assert "planted" not in said.out + said.err
    assert {row["setting"] for row in said.rows} >= {"kafka.bootstrap", "gateway.port", "data_dir"}


def test_ids_are_judged_line_by_line(dujiang: Cli) -> None:
    said = dujiang("check-id", "uscc", stdin=b"91340600MA2PENCC7K\n91340600MA2PENCC7L\nshort\n")
    assert said.status == 0
    assert said.out == "91340600MA2PENCC7K valid\n91340600MA2PENCC7L invalid check\nshort invalid length\n"


def test_an_unknown_kind_of_id_names_those_known(dujiang: Cli) -> None:
    said = dujiang("check-id", "isbn")
    assert said.status == 2
    assert "uscc, ror, orcid" in said.err


def test_replay_prints_entities_and_names_the_lines_it_refused(dujiang: Cli, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    lines = [PROJECT, PROJECT | {"id": "e2", "type": "gov.stiib.nothing.v1"}, {key: PROJECT[key] for key in ("id", "source")}]
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\nno json\n")
    said = dujiang("replay", "projects", file, "--as-of", "2026-02-01T00:00:00Z")
    assert said.status == 0
    assert [(row["project_id"], row["state"]) for row in said.rows] == [("P-1", "applied")]
    assert "line 2: refused: type_unknown" in said.err
    assert "line 3: refused: " in said.err
    assert "line 5: refused: " in said.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("replay", "planets", "x"), "projects, calls, alerts"),
        (("replay", "projects", "x", "--as-of", "yesterday"), "2026-06-01T00:00:00Z"),
        (("replay", "projects", "x", "--as-of", "2026-06-01T00:00:00"), "no zone"),
        (("demo", "--for", "soon", "--check"), "30s"),
    ],
    ids=["subject", "instant", "zone", "duration"],
)
def test_wrong_arguments_are_answered_with_right_ones(dujiang: Cli, arguments: tuple[str, ...], part: str) -> None:
    said = dujiang(*arguments)
    assert said.status == 2
    assert part in " ".join(said.err.split())
    assert "Traceback" not in said.err


def test_a_missing_file_is_named(dujiang: Cli) -> None:
    said = dujiang("replay", "projects", "nowhere.jsonl")
    assert said.status == 1
    assert "nowhere.jsonl: No such file" in said.err


def test_topology_draws_every_part(dujiang: Cli) -> None:
    said = dujiang("topology")
    assert said.status == 0
    for part in ("flowchart LR", "connector gtr", "connector eu_calls", "step projects", "sink history", "c_alertmanager -->"):
        assert part in said.out


def test_types_are_listed_without_a_broker(dujiang: Cli) -> None:
    said = dujiang("topics", "list", "--types", "--json", type_prefix="cn.gov")
    assert said.status == 0
    assert "cn.gov.research.project.contracted.v1" in {row["type"] for row in said.rows}
