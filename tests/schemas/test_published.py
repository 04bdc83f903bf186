"""Published contracts hold: what partners were promised is what the code does."""

from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import create_model

from schemas import published
from schemas.catalogue import default_registry
from schemas.compatibility import Change
from schemas.contract import Contract, Data, NoData, Text
from schemas.topics import CALL_EVENT, PROJECT_EVENT


class Plain(Data):
    """As it was published."""

    reason: Text


class Longer(Plain):
    """With a field that readers may ignore."""

    note: Text | None = None


class Narrower(Plain):
    """With a field that publishers do not send."""

    note: Text


PLAIN = Contract("research.project.tried", 1, Plain, (PROJECT_EVENT,))


def first(contract: Contract) -> published.Revisions:
    """The contract as published once."""
    return {contract.versioned_name: (published.of_code(contract, {}),)}


def test_code_keeps_every_published_contract() -> None:
    """When this fails: take the change back, or give the contract a new major version (docs/how-to/change-a-contract.md)."""
    found = published.since(published.load(), default_registry().contracts.values())
    assert {name: broken for name, changes in found.items() if (broken := [one for one in changes if one.breaks])} == {}


def test_what_the_code_has_is_published() -> None:
    """When this fails: `make contracts`, and commit what it writes."""
    known = published.load()
    newest = {name: revisions[-1] for name, revisions in known.items()}
    contracts = default_registry().contracts.values()
    assert newest == {contract.versioned_name: published.of_code(contract, known) for contract in contracts}


def test_files_are_named_by_what_they_hold_and_written_as_the_command_writes_them() -> None:
    paths = sorted(published.FOLDER.glob("*.json"))
    assert paths
    for path in paths:
        revision = published.read(path)
        assert (path.name, path.read_text()) == (revision.file_name, revision.text())


def test_revisions_count_from_one_and_each_keeps_the_one_before() -> None:
    for revisions in published.load().values():
        assert [revision.number for revision in revisions] == list(range(1, len(revisions) + 1))
        for old, new in pairwise(revisions):
            assert not any(change.breaks for change in published.between(old, new))


def test_unchanged_contract_is_its_published_revision() -> None:
    assert published.of_code(PLAIN, first(PLAIN)).number == 1
    assert published.since(first(PLAIN), [PLAIN]) == {}


def test_added_optional_field_is_the_next_revision_and_breaks_nobody() -> None:
    changed = replace(PLAIN, data=Longer)
    assert published.of_code(changed, first(PLAIN)).number == 2
    assert published.since(first(PLAIN), [changed]) == {
        "research.project.tried.v1": [Change("/data/note", "optional field added")]
    }


def test_revisions_of_a_changed_contract_are_the_old_one_and_the_new() -> None:
    (old,) = first(PLAIN)[PLAIN.versioned_name]
    changed = replace(PLAIN, data=Longer)
    new = published.of_code(changed, first(PLAIN))
    assert published.revisions_of(changed, first(PLAIN)) == (old, new)
    assert published.revisions_of(changed, {PLAIN.versioned_name: (old, new)}) == (old, new)


@pytest.mark.parametrize(
    ("changed", "change"),
    [
        (replace(PLAIN, data=Narrower), Change("/data/note", "required field added", "publishers")),
        (replace(PLAIN, data=NoData), Change("/data/reason", "field removed", "readers")),
        (
            replace(PLAIN, topics=(CALL_EVENT,)),
            Change("/type", "topics research.project.event became research.call.event", "readers"),
        ),
        (replace(PLAIN, is_internal=True), Change("/type", "only the platform publishes it now", "publishers")),
    ],
)
def test_broken_promise_is_found(changed: Contract, change: Change) -> None:
    assert published.since(first(PLAIN), [changed]) == {"research.project.tried.v1": [change]}


def test_new_major_beside_the_old_one_breaks_nobody() -> None:
    second = replace(PLAIN, major=2, data=Narrower)
    assert published.since(first(PLAIN), [PLAIN, second]) == {"research.project.tried.v2": [Change("/type", "contract added")]}


def test_new_major_in_place_of_the_old_one_breaks_its_publishers() -> None:
    second = replace(PLAIN, major=2, data=Narrower)
    assert published.since(first(PLAIN), [second])["research.project.tried.v1"] == [
        Change("/type", "contract removed", "publishers")
    ]


@pytest.mark.parametrize("wire", sorted(default_registry().contracts))
def test_any_required_field_more_would_be_found(wire: str) -> None:
    """The net holds for the contracts that there are, not only for made-up ones."""
    contract = default_registry().contracts[wire]
    grown: Any = create_model("Grown", __base__=contract.data, invented=(Text, ...))
    found = published.since(published.load(), [replace(contract, data=grown)])[contract.versioned_name]
    assert [change for change in found if change.breaks] == [Change("/data/invented", "required field added", "publishers")]


def test_file_that_holds_no_contract_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"contract": "x"}')
    with pytest.raises(ValueError, match=r"x\.json: no published contract"):
        published.load(tmp_path)


@pytest.mark.parametrize(
    "days",
    [
        {"sunset_on": date(2027, 1, 1)},
        {"deprecated_on": date(2027, 1, 2), "sunset_on": date(2027, 1, 1)},
    ],
)
def test_sunset_without_an_earlier_deprecation_is_refused(days: dict[str, date]) -> None:
    with pytest.raises(ValueError, match="a sunset needs a deprecation"):
        replace(PLAIN, **days)
