"""A contract's model as a msgspec Struct of the same fields, for the quick way: rules read it like the model itself.

msgspec converts a JSON object in a fifth of pydantic's time (docs/explanation/performance.md). The model stays the contract:
what a Struct accepts, the model accepts with equal values; a model that has something a Struct cannot say gets none.
"""

import types
from collections.abc import Callable
from datetime import date
from functools import cache
from inspect import signature
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import annotated_types
import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr
from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo

from schemas.contract import STORABLE, Data, parse_day, parse_instant

Change = Callable[[Any], Any]


class _Unsayable(Exception):
    """A field that a Struct cannot hold to the model's rules."""


def data_of_fact(model: type[Data], data: dict[str, Any]) -> Struct | Data:
    """A JSON object that the model accepts, as every fact carries it, whichever way its event was read."""
    form = struct_of(model)
    return model.model_validate(data) if form is None else msgspec.convert(data, form)


@cache
def struct_of(model: type[Data]) -> type[Struct] | None:
    """The Struct of a model, or None. U+0000 in texts is for the caller to look for: a pattern would cost what is saved."""
    try:
        return _struct(model)
    except _Unsayable:
        return None


def _struct(model: type[Data]) -> type[Struct]:
    found = model.__pydantic_decorators__
    if any((found.validators, found.field_validators, found.root_validators, found.model_validators, found.computed_fields)):
        raise _Unsayable
    hints = get_type_hints(model, include_extras=True)
    fields: list[tuple[str, Any] | tuple[str, Any, None]] = []
    changes: list[tuple[str, tuple[Change, ...]]] = []
    for name, field in model.model_fields.items():
        if field.alias is not None or not (field.is_required() or _may_be_left_out(field)):
            raise _Unsayable
        form, then = _form(hints[name])
        fields.append((name, form) if field.is_required() else (name, form, None))
        if then:
            changes.append((name, then))
    form = msgspec.defstruct(
        model.__name__,
        fields,
        frozen=True,
        gc=False,
        kw_only=True,  # a field that may be left out may stand before others
        namespace={"__post_init__": _post_init(changes)} if changes else None,
    )
    # msgspec (0.22) gathers what it knows of a class when that is first used, and two threads that do so at once end the
    # process (SIGSEGV). So it is used here, before any thread knows it.
    msgspec.json.Decoder(form)
    return form


def _may_be_left_out(field: FieldInfo) -> bool:
    """As the later revisions of a contract have it: null, where a publisher does not know the field."""
    return field.default is None and field.default_factory is None


def _post_init(changes: list[tuple[str, tuple[Change, ...]]]) -> Callable[[Any], None]:
    """The model's own functions on fields, after the types hold. What they raise, msgspec reports."""

    def change(self: Any) -> None:
        for name, functions in changes:
            value = before = getattr(self, name)
            for function in functions:
                value = function(value)
            if value is not before:
                force_setattr(self, name, value)

    return change


def _form(annotation: Any) -> tuple[Any, tuple[Change, ...]]:
    """(type for msgspec, functions to call on the value)."""
    if annotation in (str, int, bool, type(None)) or get_origin(annotation) is Literal:
        return annotation, ()
    if isinstance(annotation, type) and issubclass(annotation, Data):
        return _struct(annotation), ()
    if get_origin(annotation) is Annotated:
        return _annotated(*get_args(annotation))
    parts = [_form(part) for part in get_args(annotation)]
    if get_origin(annotation) in (Union, types.UnionType):
        changing = [then for _, then in parts if then]
        # A function of one member would also be called on the other's values; only null is known to pass the ones we have.
        if changing and not (len(parts) == 2 and type(None) in get_args(annotation) and changing == [(parse_instant,)]):
            raise _Unsayable
        return Union[tuple(form for form, _ in parts)], changing[0] if changing else ()  # noqa: UP007 - made of a tuple
    if get_origin(annotation) is list and not parts[0][1]:
        return list[parts[0][0]], ()  # type: ignore[misc]
    raise _Unsayable


def _annotated(base: Any, *notes: Any) -> tuple[Any, tuple[Change, ...]]:
    limits: dict[str, Any] = {}
    then: list[Change] = []
    for note in notes:
        if isinstance(note, FieldInfo):
            for inner in note.metadata:
                limits |= _limits(inner)
        elif isinstance(note, AfterValidator) and len(signature(note.func).parameters) == 1:
            then.append(cast(Change, note.func))
        elif isinstance(note, BeforeValidator) and note.func is parse_day:
            return date, ()  # msgspec takes YYYY-MM-DD and nothing else, as `parse_day` does
        elif isinstance(note, BeforeValidator) and note.func is parse_instant:
            return str, (parse_instant,)
        else:
            limits |= _limits(note)
    form, before = _form(base)
    return (Annotated[form, Meta(**limits)] if limits else form), (*before, *then)


def _limits(note: Any) -> dict[str, Any]:
    if isinstance(note, StringConstraints):
        if note.pattern not in (None, STORABLE) or note.strip_whitespace or note.to_lower or note.to_upper:
            raise _Unsayable
        return {key: value for key in ("min_length", "max_length") if (value := getattr(note, key)) is not None}
    for kind, key in _BOUNDS:
        if isinstance(note, kind):
            return {key: getattr(note, key)}
    raise _Unsayable


_BOUNDS: tuple[tuple[type[Any], str], ...] = (
    (annotated_types.Ge, "ge"),
    (annotated_types.Gt, "gt"),
    (annotated_types.Le, "le"),
    (annotated_types.Lt, "lt"),
)
