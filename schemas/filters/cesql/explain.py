"""Parse errors in words: what stands there, what may stand there, in English and Chinese."""

import re
from collections.abc import Set as AbstractSet
from typing import Final

from schemas.cloudevents.errors import quoted
from schemas.filters.cesql.errors import ParseError
from schemas.filters.limits import EXPRESSION_CHARS_MAX, EXPRESSION_NESTING_MAX, IN_MEMBERS_MAX

_WORD: Final = re.compile(r"[A-Za-z0-9_]+|.", re.DOTALL)


def unexpected(text: str, position: int, expected: AbstractSet[str]) -> ParseError:
    """The error of a token that does not fit; `expected` are the grammar's terminals that would."""
    if not text.strip(" \t\r\n"):
        return ParseError("empty", 0, "the expression is empty; write for example type = 'x'", "表达式为空，请填写表达式")
    wanted, wanted_zh = _wanted(expected)
    if position >= len(text):
        return ParseError(
            "syntax",
            len(text),
            f"the expression ends at character {len(text)}, where {wanted} is missing",
            f"表达式在第 {len(text)} 个字符处结束，此处缺少{wanted_zh}",
        )
    found = _WORD.match(text, position)
    shown = quoted(found[0] if found else text[position])
    if text[position] in "'\"" and "STRING" in expected:
        return ParseError(
            "unterminated_string",
            position,
            f"the string that begins at character {position} has no closing quote; add {text[position]}",
            f"第 {position} 个字符处的字符串没有结束引号，请补上 {text[position]}",
        )
    return ParseError(
        "syntax",
        position,
        f"unexpected {shown} at character {position}, where {wanted} is expected",
        f"第 {position} 个字符处的 {shown} 不合语法，此处应为{wanted_zh}",
    )


def _wanted(expected: AbstractSet[str]) -> tuple[str, str]:
    if "INTEGER" in expected:
        return "a value (attribute, literal, function, NOT, EXISTS or '(')", "一个值（属性、字面量、函数或左括号等）"
    if "NAME" in expected:
        return "an attribute's name of letters and digits", "属性名（字母和数字）"
    if "STRING" in expected:
        return "a string in quotes (the pattern of LIKE is a literal)", "带引号的字符串（LIKE 的模式只能是字面量）"
    if "LPAR" in expected:
        return "a list in parentheses", "括号中的列表"
    if "LOGIC" in expected:
        return "an operator", "运算符"
    if "COMMA" in expected:
        return "',' or ')'", "逗号或右括号"
    if "RPAR" in expected:
        return "')'", "右括号"
    if "$END" in expected:
        return "the end of the expression", "表达式的结尾"
    return "LIKE or IN", "LIKE 或 IN"


def reserved_word(name: str, position: int) -> ParseError:
    return ParseError(
        "reserved_word",
        position,
        f"unexpected {name} at character {position}: it is an operator, no function; write a value before it",
        f"第 {position} 个字符处的 {name} 是运算符，不是函数，其前缺少一个值",
    )


def integer_range(digits: str, position: int) -> ParseError:
    shown = quoted(str(digits))
    return ParseError(
        "integer_range",
        position,
        f"the integer {shown} at character {position} is outside -2147483648..2147483647; compare as a string",
        f"第 {position} 个字符处的整数 {shown} 超出 32 位有符号整数范围，请改用字符串比较",
    )


def too_long(chars: int) -> ParseError:
    return ParseError(
        "too_long",
        EXPRESSION_CHARS_MAX,
        f"the expression has {chars} characters, at most {EXPRESSION_CHARS_MAX} are taken; shorten or split it",
        f"表达式有 {chars} 个字符，最多 {EXPRESSION_CHARS_MAX} 个，请缩短或拆分",
    )


def too_deep(position: int) -> ParseError:
    return ParseError(
        "too_deep",
        position,
        f"the expression nests deeper than {EXPRESSION_NESTING_MAX} at character {position}; flatten it",
        f"表达式在第 {position} 个字符处的嵌套超过 {EXPRESSION_NESTING_MAX} 层，请简化",
    )


def too_many_members(members: int, position: int) -> ParseError:
    return ParseError(
        "too_many_members",
        position,
        f"the list of IN at character {position} has {members} elements, at most {IN_MEMBERS_MAX} are taken; split it",
        f"第 {position} 个字符处的 IN 列表有 {members} 个元素，最多 {IN_MEMBERS_MAX} 个，请拆分",
    )
