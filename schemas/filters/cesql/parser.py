"""From text to nodes: the published grammar, run by lark's LALR parser (no recursion, no backtracking)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, v_args

from schemas.cloudevents.attributes import INT32_MAX, INT32_MIN
from schemas.filters.cesql import explain
from schemas.filters.cesql.nodes import (
    Arithmetic,
    Attribute,
    Call,
    Comparison,
    Exists,
    In,
    Like,
    Literal,
    Logic,
    Negative,
    Node,
    Not,
)
from schemas.filters.limits import EXPRESSION_CHARS_MAX, IN_MEMBERS_MAX

_ESCAPE: Final = re.compile(r"\\([\s\S])|''|\"\"")
# These can stand where a function's name may; the other keywords never reach that rule.
_RESERVED: Final = frozenset(("AND", "OR", "XOR", "IN", "LIKE"))
_INTEGER_DIGITS_MAX: Final = len(str(INT32_MAX))


def parse_nodes(text: str) -> Node:
    """The expression's root. Raises ParseError."""
    if len(text) > EXPRESSION_CHARS_MAX:
        raise explain.too_long(len(text))
    try:
        return _parser().parse(text)  # type: ignore[return-value]  # lark's stubs know trees only
    except UnexpectedInput as error:
        raise _explained(text, error) from None


@cache
def _parser() -> Lark:
    return Lark.open_from_package(
        __package__, "grammar.lark", parser="lalr", lexer="contextual", transformer=_Nodes(), maybe_placeholders=False
    )


def _explained(text: str, error: UnexpectedInput) -> Exception:
    position: int | None
    if isinstance(error, UnexpectedCharacters):
        expected, position = set(error.allowed or ()), error.pos_in_stream
    else:
        expected = set(getattr(error, "expected", ()))
        token = getattr(error, "token", None)
        position = token.start_pos if isinstance(token, Token) and token.type != "$END" else None
    return explain.unexpected(text, len(text) if position is None else position, expected)


@v_args(inline=True)
class _Nodes(Transformer[Token, Node]):
    """One method a rule of the grammar."""

    def logic(self, first: Node, *rest: Any) -> Node:
        return Logic(first, tuple((str(token).upper(), node) for token, node in _pairs(rest)), _at(rest[0]))

    def comparison(self, first: Node, *rest: Any) -> Node:
        return Comparison(first, _pairs(rest), _at(rest[0]))

    def addition(self, first: Node, *rest: Any) -> Node:
        return Arithmetic(first, _pairs(rest), _at(rest[0]))

    multiplication = addition

    def like(self, operand: Node, like: Token, pattern: Token) -> Node:
        return Like(operand, _unquoted(pattern), negated=False, at=_at(like))

    def not_like(self, operand: Node, _: Token, like: Token, pattern: Token) -> Node:
        return Like(operand, _unquoted(pattern), negated=True, at=_at(like))

    def contained(self, operand: Node, word: Token, *members: Node) -> Node:
        return In(operand, _bounded(members, word), negated=False, at=_at(word))

    def not_contained(self, operand: Node, _: Token, word: Token, *members: Node) -> Node:
        return In(operand, _bounded(members, word), negated=True, at=_at(word))

    def negation(self, word: Token, operand: Node) -> Node:
        return Not(operand, _at(word))

    def negative(self, minus: Token, operand: Node) -> Node:
        return Negative(operand, _at(minus))

    def call(self, name: Token, *arguments: Node) -> Node:
        if name.upper() in _RESERVED:
            raise explain.reserved_word(name, _at(name))
        return Call(name.upper(), arguments, _at(name))

    def exists(self, _: Token, name: Token) -> Node:
        return Exists(name.lower())

    def attribute(self, name: Token) -> Node:
        """Names of attributes are lower case, and an expression is not case-sensitive: `SOURCE` is `source`."""
        return Attribute(name.lower())

    def boolean(self, word: Token) -> Node:
        return Literal(word.lower() == "true")

    def integer(self, digits: Token) -> Node:
        significant = digits.lstrip("+-").lstrip("0")
        if len(significant) > _INTEGER_DIGITS_MAX or not INT32_MIN <= int(digits) <= INT32_MAX:
            raise explain.integer_range(digits, _at(digits))
        return Literal(int(digits))

    def text(self, literal: Token) -> Node:
        return Literal(_unquoted(literal))


def _at(token: Token) -> int:
    return token.start_pos or 0


def _pairs(rest: Sequence[Any]) -> tuple[tuple[Any, Node], ...]:
    return tuple(zip(rest[::2], rest[1::2], strict=True))


def _bounded(members: tuple[Node, ...], word: Token) -> tuple[Node, ...]:
    if len(members) > IN_MEMBERS_MAX:
        raise explain.too_many_members(len(members), _at(word))
    return members


def _unquoted(literal: Token) -> str:
    r"""The text between the quotes.

    Only the quote that delimits needs an escape: `\'` in '...' (2.2), or doubled as the published lexer has it. Every
    other backslash stands for itself, `\\` for two, as the test kit's `'ab\c'` shows.
    """
    quote, inner = literal[0], literal[1:-1]
    if quote not in inner:
        return inner
    return _ESCAPE.sub(lambda found: quote if found[0] in (f"\\{quote}", quote * 2) else found[0], inner)
