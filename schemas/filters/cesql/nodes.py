"""What a CESQL expression consists of. `at` is the position of a node's operator or name, in characters from 0."""

from collections.abc import Mapping
from dataclasses import dataclass

Value = str | int | bool
# The context attributes of an event by name; values are exactly str, int or bool.
Attributes = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str


@dataclass(frozen=True, slots=True)
class Exists:
    name: str


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Node"
    at: int


@dataclass(frozen=True, slots=True)
class Negative:
    operand: "Node"
    at: int


@dataclass(frozen=True, slots=True)
class Like:
    operand: "Node"
    pattern: str
    negated: bool
    at: int


@dataclass(frozen=True, slots=True)
class In:
    operand: "Node"
    members: tuple["Node", ...]
    negated: bool
    at: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Binary operators of equal precedence, from left to right: `first op operand op operand ...`."""

    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]
    at: int


@dataclass(frozen=True, slots=True)
class Logic(Chain):
    """AND, OR, XOR."""


@dataclass(frozen=True, slots=True)
class Comparison(Chain):
    """=, !=, <>, <, <=, >, >=."""


@dataclass(frozen=True, slots=True)
class Arithmetic(Chain):
    """*, /, % or +, -."""


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple["Node", ...]
    at: int


Node = Literal | Attribute | Exists | Not | Negative | Like | In | Logic | Comparison | Arithmetic | Call
