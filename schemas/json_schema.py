"""A contract's `data` as JSON Schema 2020-12.

What no keyword can say is left out (that milestone ids are distinct): all that the gateway takes keeps the schema, and nearly
all that keeps the schema is taken.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from schemas.contract import Data

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def data_schema(model: type[Data]) -> dict[str, Any]:
    """The schema alone, without `$id`: that carries the prefix of event types, which is a setting."""
    return {"$schema": DIALECT, **model.model_json_schema(schema_generator=_Plain)}


def reached(schema: dict[str, Any], tokens: Sequence[str]) -> list[dict[str, Any]]:
    """The schema's parts for the place in the data that a JSON Pointer's tokens lead to; none: it knows no such place."""
    found = list(_alternatives(schema, schema))
    for token in tokens:
        found = [one for part in found for below in _below(part, token) for one in _alternatives(schema, below)]
    return found


def names_at(schema: dict[str, Any], tokens: Sequence[str]) -> set[str]:
    """The members that an object at this place may have."""
    return {name for part in reached(schema, tokens) for name in part.get("properties", ())}


def _below(part: dict[str, Any], token: str) -> list[dict[str, Any]]:
    properties: dict[str, Any] = part.get("properties", {})
    others = part.get("additionalProperties")
    if token in properties:
        return [properties[token]]
    if isinstance(others, dict):
        return [others]
    items = part.get("items")
    return [items] if isinstance(items, dict) and token.isdecimal() else []


def _alternatives(schema: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A part with its references followed and its alternatives side by side."""
    if "$ref" in part:
        yield from _alternatives(schema, schema["$defs"][part["$ref"].rpartition("/")[2]])
    for one in (*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())):
        yield from _alternatives(schema, one)
    yield part


class _Plain(GenerateJsonSchema):
    """Without a title for every field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False
