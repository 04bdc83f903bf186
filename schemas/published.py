"""Contracts as they were published: `schemas/published/<name>.v<major>.<revision>.json`, one file for each revision.

A file never changes. A compatible change of the code adds the next revision (`make contracts`); a breaking one is refused there
and by the tests, and needs a new major version in the type's name (docs/how-to/change-a-contract.md).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.compatibility import Change
from schemas.compatibility import changes as schema_changes
from schemas.contract import Contract
from schemas.json_schema import data_schema

FOLDER: Final = Path(__file__).parent / "published"


@dataclass(frozen=True)
class Revision:
    """A contract at one time. `name` has the major version and no prefix: `research.project.contracted.v1`."""

    name: str
    number: int
    topics: tuple[str, ...]
    is_internal: bool
    schema: Mapping[str, Any]

    @property
    def file_name(self) -> str:
        return f"{self.name}.{self.number}.json"

    def text(self) -> str:
        """The file's content."""
        held = {
            "contract": self.name,
            "revision": self.number,
            "topics": self.topics,
            "internal": self.is_internal,
            "schema": self.schema,
        }
        return json.dumps(held, indent=1, ensure_ascii=False) + "\n"

    def is_same_as(self, other: "Revision") -> bool:
        """But for the number."""
        return (self.topics, self.is_internal, self.schema) == (other.topics, other.is_internal, other.schema)


Revisions = Mapping[str, tuple[Revision, ...]]


def load(folder: Path = FOLDER) -> Revisions:
    """Every published revision by contract, the oldest first. Raises ValueError for a file that is none."""
    found: dict[str, list[Revision]] = {}
    for path in folder.glob("*.json"):
        revision = read(path)
        found.setdefault(revision.name, []).append(revision)
    return {name: tuple(sorted(found[name], key=lambda revision: revision.number)) for name in sorted(found)}


def read(path: Path) -> Revision:
    """One file. Raises ValueError when it is no published contract."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Revision(held["contract"], held["revision"], tuple(held["topics"]), held["internal"], held["schema"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: no published contract ({error!r})") from None


def of_code(contract: Contract, known: Revisions) -> Revision:
    """The contract as the code has it: its newest published revision, or the one that comes next."""
    published = known.get(contract.versioned_name, ())
    number = published[-1].number + 1 if published else 1
    schema = data_schema(contract.data)
    present = Revision(contract.versioned_name, number, contract.topic_names, contract.is_internal, schema)
    return published[-1] if published and published[-1].is_same_as(present) else present


def revisions_of(contract: Contract, known: Revisions) -> tuple[Revision, ...]:
    """All of a contract, the code's last."""
    published, present = known.get(contract.versioned_name, ()), of_code(contract, known)
    return published if present in published else (*published, present)


def between(old: Revision, new: Revision) -> list[Change]:
    """What changed from one to the other, places in the event."""
    found = [Change(f"/data{change.place}", change.what, change.breaks) for change in schema_changes(old.schema, new.schema)]
    if old.topics != new.topics:
        # Readers read topics; an entity's log is one topic, so adding one is no less a break than moving.
        found.append(Change("/type", f"topics {', '.join(old.topics)} became {', '.join(new.topics)}", "readers"))
    if old.is_internal != new.is_internal:
        now = "only the platform publishes it now" if new.is_internal else "others may publish it now"
        found.append(Change("/type", now, "publishers" if new.is_internal else "readers"))
    return found


def since(known: Revisions, contracts: Iterable[Contract]) -> dict[str, list[Change]]:
    """By contract, what the code changed since the newest revision; only contracts with a change."""
    newest = {name: revisions[-1] for name, revisions in known.items()}
    return differences(newest, {contract.versioned_name: of_code(contract, known) for contract in contracts})


def differences(before: Mapping[str, Revision], after: Mapping[str, Revision]) -> dict[str, list[Change]]:
    """By contract, what changed between two sets of them; only contracts with a change."""
    found = {}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found[name] = [Change("/type", "contract removed", "publishers")]
        elif name not in before:
            found[name] = [Change("/type", "contract added")]
        else:
            found[name] = between(before[name], after[name])
    return {name: changes for name, changes in found.items() if changes}
