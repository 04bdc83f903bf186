"""The official test kit of CESQL 1.0.0, as far as the shared data holds it: 213 of its 275 tests."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.filters import attributes_as_written, cesql

ROOT = Path(__file__).resolve().parents[3]
KIT = Path(os.environ.get("DUJIANG_SHARED") or ROOT.parent / "shared") / "data" / "cesql-tck"
MINIMAL = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


class _Loader(yaml.SafeLoader):
    """Times stay the text they are in the file."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def cases() -> Iterator[Any]:
    for file in sorted(KIT.glob("*.yaml")):
        suite = yaml.load(file.read_text("utf-8"), _Loader)  # noqa: S506 - a subclass of SafeLoader
        for case in suite["tests"]:
            yield pytest.param(case, id=f"{file.stem}: {case['name']}")


@pytest.mark.skipif(not KIT.is_dir(), reason=f"no test kit at {KIT}: set DUJIANG_SHARED to the shared folder")
@pytest.mark.parametrize("case", list(cases()))
def test_the_kit_agrees(case: dict[str, Any]) -> None:
    event = case.get("event") or MINIMAL | case.get("eventOverrides", {})
    # YAML reads the expressions 0 and true as values.
    expression = case["expression"] if isinstance(case["expression"], str) else json.dumps(case["expression"])
    try:
        value, errors = cesql.parse(expression).evaluate(attributes_as_written(json.dumps(event).encode()))
        kinds = [failure.kind for failure in errors[:1]]
    except cesql.ParseError as error:
        value, kinds = case.get("result", False), [error.kind]
    assert kinds == [case["error"]] if "error" in case else not kinds
    assert json.dumps(value) == json.dumps(case.get("result", value))  # 1 is not true here
