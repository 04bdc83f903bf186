"""`dujiang contracts`: list, show, diff, publish. Needs no services."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dujiang.cli.context import AsJson
from dujiang.cli.output import fail, show, speaks, stderr

if TYPE_CHECKING:
    from schemas.compatibility import Change
    from schemas.published import Revision
    from schemas.registry import Registry

app = typer.Typer(no_args_is_help=True, help="Contracts: what every event type promises.")

_SIDE = "A file or folder of published contracts, a JSON Schema, or an event type."


@app.command("list")
@speaks
def list_contracts(as_json: AsJson = False) -> None:
    """Every event type: its newest revision, its topics, and until when it is good."""
    from schemas import published

    known = published.load()
    rows = [
        {
            "type": wire,
            "revision": published.of_code(contract, known).number,
            "topics": list(contract.topic_names),
            "internal": contract.is_internal,
            "deprecated_on": contract.deprecated_on,
            "sunset_on": contract.sunset_on,
        }
        for wire, contract in _registry().contracts.items()
    ]
    show(rows, as_json=as_json)


@app.command("show")
@speaks
def show_contract(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="With or without the prefix.")],
    revision: Annotated[int | None, typer.Option(help="An older one; default: the newest.")] = None,
) -> None:
    """The JSON Schema of an event type's `data`."""
    from schemas import published

    registry = _registry()
    contract = registry.contracts.get(_wire(registry, event_type))
    if contract is None:
        fail(f"no event type {event_type!r}; `dujiang contracts list` shows all", 2)
    revisions = published.revisions_of(contract, published.load())
    found = [one for one in revisions if revision in (None, one.number)]
    if not found:
        fail(f"{event_type} has the revisions 1 to {revisions[-1].number}", 2)
    typer.echo(json.dumps(found[-1].schema, indent=2, ensure_ascii=False))


@app.command()
@speaks
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_SIDE)],
    new: Annotated[str | None, typer.Argument(metavar="NEW", help=f"{_SIDE} Default: the code's contracts.")] = None,
    as_json: AsJson = False,
) -> None:
    """What changed from OLD to NEW, and whom each change breaks: publishers, readers, or nobody. Status 1 when it breaks any.

    Adding an optional field breaks nobody. Everything else about a known field does, and needs a new major version.
    """
    registry = _registry()
    before = _side(registry, old)
    after = _all(registry) if new is None else _side(registry, new)
    if new is None and not Path(old).is_dir():
        after = {name: revision for name, revision in after.items() if name in before}
        if not after:
            fail(f"{old}: the code has no contract of that name; give NEW as well", 2)
    rows = [
        {"contract": name, "place": change.place, "change": change.what, "breaks": change.breaks}
        for name, changes in _differences(before, after).items()
        for change in changes
    ]
    show(rows, as_json=as_json, empty="no change")
    raise typer.Exit(1 if any(row["breaks"] for row in rows) else 0)


@app.command()
@speaks
def publish(
    folder: Annotated[Path, typer.Argument(help="Where the published contracts stand; `schemas/published` in the sources.")],
) -> None:
    """Write the next revision of every contract that the code changed; nothing, with status 1, when a change breaks anybody."""
    from schemas import published

    contracts = list(_registry().contracts.values())
    known = published.load(folder)
    broken = [
        f"{name}: {change.place}: {change.what} (breaks {change.breaks})"
        for name, changes in published.since(known, contracts).items()
        for change in changes
        if change.breaks
    ]
    if broken:
        for line in broken:
            stderr.print(line, soft_wrap=True, markup=False)
        fail("nothing written; take the change back, or give the changed contract a new major version")
    folder.mkdir(parents=True, exist_ok=True)
    for contract in contracts:
        revision = published.of_code(contract, known)
        path = folder / revision.file_name
        if not path.exists():
            path.write_text(revision.text(), encoding="utf-8")
            typer.echo(f"wrote {path}")


def _registry() -> "Registry":
    from dujiang.settings import load
    from schemas.catalogue import default_registry

    return default_registry(load().type_prefix)


def _wire(registry: "Registry", event_type: str) -> str:
    prefix = f"{registry.prefix}."
    return event_type if event_type.startswith(prefix) else prefix + event_type


def _all(registry: "Registry") -> "dict[str, Revision]":
    from schemas import published

    known = published.load()
    return {contract.versioned_name: published.of_code(contract, known) for contract in registry.contracts.values()}


def _side(registry: "Registry", given: str) -> "dict[str, Revision]":
    """What OLD or NEW names, by contract. Ends with status 2 when it is nothing of the kind."""
    from schemas import published

    path = Path(given)
    try:
        if path.is_dir():
            return {name: revisions[-1] for name, revisions in published.load(path).items()}
        if path.is_file():
            found = _from_file(path)
            return {found.name: found}
    except ValueError as error:
        fail(str(error), 2)
    contract = registry.contracts.get(_wire(registry, given))
    if contract is None:
        fail(f"{given}: no such file, folder or event type", 2)
    found = published.of_code(contract, published.load())
    return {found.name: found}


def _from_file(path: Path) -> "Revision":
    """A published contract, or a bare JSON Schema under the file's name."""
    from schemas import published

    try:
        held: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if isinstance(held, dict) and "contract" not in held:
        return published.Revision(path.stem, 0, (), False, held)
    return published.read(path)


def _differences(before: "dict[str, Revision]", after: "dict[str, Revision]") -> "dict[str, list[Change]]":
    """By contract; one against one is compared whatever their names are."""
    from schemas import published

    if len(before) == len(after) == 1:
        (name, old), (new,) = next(iter(before.items())), after.values()
        return {name: published.between(old, new)}
    return published.differences(before, after)
