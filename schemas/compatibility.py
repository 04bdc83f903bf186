"""What a change of a JSON Schema does to those who rely on the old one. Pure; for the keywords that our contracts use.

A contract has two sides, and both have written code for it: publishers send what it accepts, readers meet what it accepts.
So a known field may neither become narrower (a publisher is refused, an old record cannot be replayed) nor wider (a reader
meets what it never saw). Optional fields may be added, since readers ignore fields that they do not know. Anything else
needs a new major version (docs/adr/0010).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Schema = Mapping[str, Any]
Side = Literal["publishers", "readers"]


@dataclass(frozen=True)
class Change:
    """One difference. `place` is a path into the data, `*` for any item of a list; `breaks` is None where nobody is hurt."""

    place: str
    what: str
    breaks: Side | None = None


# They explain and do not decide.
_ANNOTATIONS: Final = frozenset(
    {"$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples", "deprecated"}
)
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_JUDGED: Final = frozenset({"type", "enum", "const", "anyOf", "$ref", "properties", "required", "items", *_UPPER, *_LOWER})
_INFINITE: Final = float("inf")


def changes(old: Schema, new: Schema) -> list[Change]:
    """Every difference between two whole schemas, in the old one's order. Raises ValueError for a reference to elsewhere."""
    return list(_Comparison(old, new).between(old, new, ""))


def is_breaking(found: list[Change]) -> bool:
    """Whether anybody is hurt."""
    return any(change.breaks for change in found)


class _Comparison:
    """Two documents whose references are followed."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new
        self._open: set[tuple[str, str]] = set()  # pairs of references under comparison: a schema may hold itself

    def between(self, old: Schema, new: Schema, place: str) -> Iterator[Change]:
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if pair in self._open:
            return
        if any(pair):
            self._open.add(pair)
        yield from self._alternatives(_alternatives(self._old, old), _alternatives(self._new, new), place)
        self._open.discard(pair)

    def _alternatives(self, old: list[Schema], new: list[Schema], place: str) -> Iterator[Change]:
        """What stands on both sides is compared by JSON type; two alternatives of one type only when they stay the same."""
        before, after = _by_type(old), _by_type(new)
        for kind in before:
            if kind not in after:
                if not _covers(after, kind):
                    yield Change(place, f"{kind} is no longer accepted", "publishers")
            elif len(before[kind]) == len(after[kind]) == 1:
                yield from self._one(before[kind][0], after[kind][0], place)
            elif before[kind] != after[kind]:
                yield Change(place, f"alternatives of type {kind} changed, which is not judged", "publishers")
        for kind in after:
            if kind not in before and not _covers(before, kind):
                yield Change(place, f"may now be {kind}", "readers")

    def _one(self, old: Schema, new: Schema, place: str) -> Iterator[Change]:
        """Two schemas of the same JSON type."""
        yield from _values(old, new, place)
        yield from _bounds(old, new, place)
        yield from _others(old, new, place)
        yield from self._fields(old, new, place)
        if "items" in old or "items" in new:
            yield from self.between(old.get("items", {}), new.get("items", {}), f"{place}/*")

    def _fields(self, old: Schema, new: Schema, place: str) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            at = f"{place}/{name}"
            if name not in after:
                yield Change(at, "field removed", "readers")
                continue
            if name in needed_after - needed_before:
                yield Change(at, "optional field made required", "publishers")
            if name in needed_before - needed_after:
                yield Change(at, "required field made optional", "readers")
            yield from self.between(before[name], after[name], at)
        for name in after:
            if name not in before and name in needed_after:
                yield Change(f"{place}/{name}", "required field added", "publishers")
            elif name not in before:
                yield Change(f"{place}/{name}", "optional field added")


def _alternatives(document: Schema, schema: Schema) -> list[Schema]:
    """A schema as a flat list of what it may be, references followed, one JSON type each ("any" where none is named)."""
    reference = schema.get("$ref")
    if reference is not None:
        return _alternatives(document, _target(document, reference))
    if "anyOf" in schema:
        return [inner for one in schema["anyOf"] for inner in _alternatives(document, one)]
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return [{**schema, "type": kind} for kind in kinds]
    return [schema]


def _target(document: Schema, reference: str) -> Schema:
    if not reference.startswith("#/"):
        raise ValueError(f"{reference!r} leads out of the schema; only references to its own parts can be compared")
    found: Any = document
    for part in reference[2:].split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    target: Schema = found
    return target


def _by_type(alternatives: list[Schema]) -> dict[str, list[Schema]]:
    sorted_out: dict[str, list[Schema]] = {}
    for one in alternatives:
        sorted_out.setdefault(one.get("type", "any"), []).append(one)
    return sorted_out


def _covers(kinds: Mapping[str, list[Schema]], kind: str) -> bool:
    """Whether a type that is not among them is part of one that is."""
    return "any" in kinds or (kind == "integer" and "number" in kinds)


def _values(old: Schema, new: Schema, place: str) -> Iterator[Change]:
    """Listed values: `enum`, or `const` for one."""
    before, after = _listed(old), _listed(new)
    if before is None and after is None:
        return
    if before is None:
        yield Change(place, f"only {_told(after)} accepted now", "publishers")
    elif after is None:
        yield Change(place, f"may now be other than {_told(before)}", "readers")
    else:
        gone = [value for value in before if value not in after]
        come = [value for value in after if value not in before]
        if gone:
            yield Change(place, f"{_told(gone)} no longer accepted", "publishers")
        if come:
            yield Change(place, f"may now be {_told(come)}", "readers")


def _listed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _told(values: list[Any] | None) -> str:
    return ", ".join(map(repr, values or ()))


def _bounds(old: Schema, new: Schema, place: str) -> Iterator[Change]:
    for names, sign in ((_UPPER, 1), (_LOWER, -1)):
        for name in names:
            before, after = (one.get(name, sign * _INFINITE) for one in (old, new))
            if before != after:
                is_narrower = sign * (after - before) < 0
                shown = f"{name} {old.get(name, 'none')} became {new.get(name, 'none')}"
                yield Change(place, shown, "publishers" if is_narrower else "readers")


def _others(old: Schema, new: Schema, place: str) -> Iterator[Change]:
    """Keywords that are either there or not (format, pattern, uniqueItems …): a new one narrows, a lost one widens."""
    for name in [*old, *(name for name in new if name not in old)]:
        if name in _ANNOTATIONS or name in _JUDGED or old.get(name) == new.get(name):
            continue
        shown = f"{name} {old.get(name, 'none')!r} became {new.get(name, 'none')!r}"
        yield Change(place, shown, "readers" if name not in new else "publishers")
