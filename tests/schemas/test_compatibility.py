"""What each kind of change does to publishers and readers, one row each."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.catalogue import default_registry
from schemas.compatibility import Change, changes, is_breaking
from schemas.json_schema import data_schema

TEXT: dict[str, Any] = {"type": "string", "maxLength": 10}
NUMBER: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 9}


def fields(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (fields(a=TEXT), fields(a=TEXT, b=NUMBER), [Change("/b", "optional field added")]),
        (fields(a=TEXT), fields("b", a=TEXT, b=NUMBER), [Change("/b", "required field added", "publishers")]),
        (fields(a=TEXT, b=NUMBER), fields(a=TEXT), [Change("/b", "field removed", "readers")]),
        (fields(a=TEXT), fields("a", a=TEXT), [Change("/a", "optional field made required", "publishers")]),
        (fields("a", a=TEXT), fields(a=TEXT), [Change("/a", "required field made optional", "readers")]),
        (
            fields(a=TEXT),
            fields(a=NUMBER),
            [Change("/a", "string is no longer accepted", "publishers"), Change("/a", "may now be integer", "readers")],
        ),
        (fields(a=TEXT), fields(a=nullable(TEXT)), [Change("/a", "may now be null", "readers")]),
        (fields(a=nullable(TEXT)), fields(a=TEXT), [Change("/a", "null is no longer accepted", "publishers")]),
        ({"type": "string"}, {"type": ["string", "null"]}, [Change("", "may now be null", "readers")]),
        ({"type": "integer"}, {"type": "number"}, [Change("", "may now be number", "readers")]),
        ({"type": "number"}, {"type": "integer"}, [Change("", "number is no longer accepted", "publishers")]),
        ({}, {"type": "string"}, [Change("", "any is no longer accepted", "publishers")]),
        ({"type": "string"}, {}, [Change("", "may now be any", "readers")]),
        (TEXT, TEXT | {"maxLength": 5}, [Change("", "maxLength 10 became 5", "publishers")]),
        (TEXT, TEXT | {"maxLength": 20}, [Change("", "maxLength 10 became 20", "readers")]),
        (TEXT, {"type": "string"}, [Change("", "maxLength 10 became none", "readers")]),
        (TEXT, TEXT | {"minLength": 1}, [Change("", "minLength none became 1", "publishers")]),
        (NUMBER, NUMBER | {"minimum": -1}, [Change("", "minimum 0 became -1", "readers")]),
        (NUMBER, NUMBER | {"exclusiveMaximum": 9}, [Change("", "exclusiveMaximum none became 9", "publishers")]),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, [Change("", "'b' no longer accepted", "publishers")]),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, [Change("", "may now be 'b'", "readers")]),
        ({"const": "a"}, {"enum": ["a", "b"]}, [Change("", "may now be 'b'", "readers")]),
        (TEXT, TEXT | {"enum": ["a"]}, [Change("", "only 'a' accepted now", "publishers")]),
        (TEXT | {"enum": ["a"]}, TEXT, [Change("", "may now be other than 'a'", "readers")]),
        (TEXT, TEXT | {"format": "date"}, [Change("", "format 'none' became 'date'", "publishers")]),
        (TEXT | {"pattern": "x"}, TEXT, [Change("", "pattern 'x' became 'none'", "readers")]),
        (TEXT | {"pattern": "x"}, TEXT | {"pattern": "y"}, [Change("", "pattern 'x' became 'y'", "publishers")]),
        (
            {"type": "array", "items": NUMBER},
            {"type": "array", "items": NUMBER | {"maximum": 5}},
            [Change("/*", "maximum 9 became 5", "publishers")],
        ),
        (
            {"type": "array", "items": NUMBER},
            {"type": "array", "items": NUMBER, "maxItems": 3},
            [Change("", "maxItems none became 3", "publishers")],
        ),
        (TEXT, TEXT | {"title": "T", "description": "d", "default": "x", "examples": ["y"]}, []),
        (fields("a", "b", a=TEXT, b=TEXT), fields("b", "a", b=TEXT, a=TEXT), []),
        (
            {"anyOf": [TEXT, TEXT | {"pattern": "x"}]},
            {"anyOf": [TEXT, TEXT | {"pattern": "y"}]},
            [Change("", "alternatives of type string changed, which is not judged", "publishers")],
        ),
    ],
)
def test_change_hurts_the_side_that_relied_on_it(old: Any, new: Any, expected: list[Change]) -> None:
    assert changes(old, new) == expected


def test_reference_and_what_it_leads_to_are_the_same() -> None:
    direct = fields(a=TEXT)
    referred = {"$defs": {"A": TEXT}, "type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": []}
    assert changes(direct, referred) == changes(referred, direct) == []


def test_change_behind_a_reference_is_found() -> None:
    def plan(schema: dict[str, Any]) -> dict[str, Any]:
        return {"$defs": {"A": schema}, "type": "array", "items": {"$ref": "#/$defs/A"}}

    assert changes(plan(fields(due=TEXT)), plan(fields("due", due=TEXT))) == [
        Change("/*/due", "optional field made required", "publishers")
    ]


def test_schema_that_holds_itself_is_compared_once() -> None:
    def tree(leaf: dict[str, Any]) -> dict[str, Any]:
        node = fields(leaf=leaf, inner={"$ref": "#/$defs/Node"})
        return {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}

    assert changes(tree(TEXT), tree(NUMBER)) == [
        Change("/leaf", "string is no longer accepted", "publishers"),
        Change("/leaf", "may now be integer", "readers"),
    ]


def test_reference_to_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="leads out of the schema"):
        changes({"$ref": "https://schemas.example/a"}, TEXT)


@pytest.mark.parametrize("wire", sorted(default_registry().contracts))
def test_contract_has_no_change_from_itself(wire: str) -> None:
    schema = data_schema(default_registry().contracts[wire].data)
    Draft202012Validator.check_schema(schema)
    assert changes(schema, schema) == []


_LEAVES = st.one_of(
    st.just({"type": "null"}),
    st.builds(lambda most: {"type": "string", "maxLength": most}, st.integers(0, 3)),
    st.builds(lambda least: {"type": "integer", "minimum": least}, st.integers(-1, 2)),
    st.builds(lambda values: {"enum": values}, st.lists(st.sampled_from(["a", "b", 1]), min_size=1, unique=True)),
    st.just(nullable({"type": "string", "maxLength": 1})),
)
_SCHEMAS = st.builds(
    lambda properties, required: fields(*(name for name in properties if name in required), **properties),
    st.dictionaries(st.sampled_from("xy"), _LEAVES),
    st.sets(st.sampled_from("xy")),
)
_DATA = st.dictionaries(st.sampled_from("xy"), st.sampled_from([None, "", "a", "b", "aaa", -1, 0, 1, 2]))


@given(old=_SCHEMAS, new=_SCHEMAS, data=_DATA)
def test_what_kept_the_old_schema_keeps_a_compatible_new_one(old: Any, new: Any, data: Any) -> None:
    """Those fields that the old one does not name are the exception: nobody could know of them."""
    known = {name: value for name, value in data.items() if name in old["properties"]}
    if not is_breaking(changes(old, new)):
        assert Draft202012Validator(old).is_valid(known) == Draft202012Validator(new).is_valid(known)
