"""A contract's `data` as JSON Schema 2020-12.

What no keyword can say is left out (that milestone ids are distinct): all that the gateway takes keeps the schema, and nearly
all that keeps the schema is taken.
"""

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from schemas.contract import Data

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def data_schema(model: type[Data]) -> dict[str, Any]:
    """The schema alone, without `$id`: that carries the prefix of event types, which is a setting."""
    return {"$schema": DIALECT, **model.model_json_schema(schema_generator=_Plain)}


class _Plain(GenerateJsonSchema):
    """Without a title for every field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False
