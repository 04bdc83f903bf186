"""The expression as its users see it: parsed once, evaluated for each event."""

from __future__ import annotations

from typing import NamedTuple

from schemas.filters.cesql.compiler import Evaluate, compile_node
from schemas.filters.cesql.errors import Failure
from schemas.filters.cesql.nodes import Attributes, Value
from schemas.filters.cesql.parser import parse_nodes


class Evaluation(NamedTuple):
    """A value always, and what went wrong on the way, in order. More than one error is a courtesy: the first decides."""

    value: Value
    errors: tuple[Failure, ...]


class Expression:
    """An expression that parses. Immutable, so threads may share it."""

    __slots__ = ("_evaluate", "text")

    def __init__(self, text: str, evaluate: Evaluate) -> None:
        self.text = text
        self._evaluate = evaluate

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate(self, attributes: Attributes) -> Evaluation:
        """Value and errors for an event's attributes (`attributes_of`). Never raises, changes nothing."""
        failures: list[Failure] = []
        value = self._evaluate(attributes, failures)
        return Evaluation(value, tuple(failures))

    def matches(self, attributes: Attributes) -> bool:
        """As a filter (norm, 1.2): true only for a Boolean true without errors."""
        failures: list[Failure] = []
        return self._evaluate(attributes, failures) is True and not failures


def parse(text: str) -> Expression:
    """Raises ParseError.

    >>> parse("int(hop) < int(ttl) AND type LIKE 'gov.%'").evaluate({"hop": "5", "ttl": "10", "type": "gov.x"}).value
    True
    """
    return Expression(text, compile_node(parse_nodes(text)))
