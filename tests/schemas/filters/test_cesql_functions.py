"""CESQL, section 3.5: functions, how a call is dispatched, and what they return beside an error."""

from collections.abc import Callable

import pytest

from schemas.filters import cesql
from schemas.filters.limits import TEXT_CHARS_MAX

Run = Callable[..., tuple[cesql.Value, str | None]]  # of conftest


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("ABS(0)", 0),
        ("ABS(-2147483647)", 2147483647),
        ("ABS('-5')", 5),
        ("ABS(TRUE)", 1),
        ("LENGTH('abc')", 3),
        ("LENGTH('')", 0),
        ("LENGTH('科技😀')", 3),
        ("LENGTH(5)", 1),
        ("LENGTH(-50)", 3),
        ("LENGTH(TRUE)", 4),
        ("CONCAT()", ""),
        ("CONCAT('a', 1, TRUE, -5)", "a1true-5"),
        ("CONCAT_WS(',')", ""),
        ("CONCAT_WS(',', 'a')", "a"),
        ("CONCAT_WS(', ', 'a', 'b', 1)", "a, b, 1"),
        ("CONCAT_WS('', 'a', 'b')", "ab"),
        ("CONCAT_WS(1, 'a', 'b')", "a1b"),
        ("CONCAT_WS(',', '', '')", ","),
        ("LOWER('ÄBC')", "äbc"),
        ("UPPER('äbc')", "ÄBC"),
        ("LOWER(TRUE)", "true"),
        ("UPPER(TRUE)", "TRUE"),
        ("TRIM('')", ""),
        ("TRIM('a b')", "a b"),
        ("TRIM('\t\u00a0\u3000\u2003 a \u2028\u0085\r\n')", "a"),
        ("TRIM('\x1f\u200ba\x00')", "\x1f\u200ba\x00"),
        ("TRIM(5)", "5"),
        ("LEFT('abc', 0)", ""),
        ("LEFT('abc', 3)", "abc"),
        ("LEFT('abc', '2')", "ab"),
        ("LEFT(12345, 2)", "12"),
        ("RIGHT('abc', 0)", ""),
        ("RIGHT('abc', 1)", "c"),
        ("RIGHT('abc', 3)", "abc"),
        ("RIGHT('', 5)", ""),
        ("RIGHT('', 0)", ""),
        ("SUBSTRING('abcdef', 1)", "abcdef"),
        ("SUBSTRING('abcdef', 6)", "f"),
        ("SUBSTRING('abcdef', -1)", "f"),
        ("SUBSTRING('abcdef', -6)", "abcdef"),
        ("SUBSTRING('abcdef', 0)", ""),
        ("SUBSTRING('', 0)", ""),
        ("SUBSTRING('abcdef', 0, 3)", ""),
        ("SUBSTRING('abcdef', 2, 0)", ""),
        ("SUBSTRING('abcdef', 2, 100)", "bcdef"),
        ("SUBSTRING('abcdef', 2, 2147483647)", "bcdef"),
        ("SUBSTRING('abcdef', -3, 2)", "de"),
        ("SUBSTRING('abcdef', -3, 100)", "def"),
        ("SUBSTRING('科技局', 2, 1)", "技"),
        ("SUBSTRING(12345, '2', '3')", "234"),
        ("INT('+5')", 5),
        ("INT('-5')", -5),
        ("INT(-5)", -5),
        ("BOOL('TrUe')", True),
        ("BOOL('FALSE')", False),
        ("STRING(5)", "5"),
        ("STRING('a')", "a"),
        ("STRING(007)", "7"),
        ("INT(STRING(INT('7')))", 7),
        ("IS_INT('5')", True),
        ("IS_INT('x')", False),
        ("IS_INT(TRUE)", True),
        ("IS_BOOL('TRUE')", True),
        ("IS_BOOL('1')", False),
        ("IS_BOOL(1)", True),
    ],
)
def test_value(run: Run, expression: str, value: cesql.Value) -> None:
    assert run(expression) == (value, None)
    assert type(run(expression)[0]) is type(value)


@pytest.mark.parametrize(
    ("expression", "value", "kind"),
    [
        ("ABS(-2147483648)", 2147483647, "math"),
        ("ABS('x')", 0, "cast"),
        ("LEFT('abc', -1)", "abc", "functionEvaluation"),
        ("RIGHT('abc', -1)", "abc", "functionEvaluation"),
        ("LEFT('abc', 'x')", "", "cast"),
        ("SUBSTRING('abc', 4)", "", "functionEvaluation"),
        ("SUBSTRING('abc', -4)", "", "functionEvaluation"),
        ("SUBSTRING('', 1)", "", "functionEvaluation"),
        ("SUBSTRING('abc', 4, 1)", "", "functionEvaluation"),
        ("SUBSTRING('abc', 1, -1)", "", "functionEvaluation"),
        ("SUBSTRING('abc', 0, -1)", "", "functionEvaluation"),
        ("SUBSTRING('abc', 'x')", "", "cast"),
        ("INT('')", 0, "cast"),
        ("BOOL('')", False, "cast"),
        ("LENGTH(missing)", 0, "missingAttribute"),
        ("UPPER(missing)", "", "missingAttribute"),
        ("BOOL(missing)", False, "missingAttribute"),
        ("INT(missing)", 0, "missingAttribute"),
        ("STRING(missing)", "", "missingAttribute"),
        ("IS_INT(missing)", False, "missingAttribute"),
        ("CONCAT('a', missing)", "", "missingAttribute"),
        ("LENGTH(LEFT('abc', -1))", 0, "functionEvaluation"),
        ("LEFT(missing, -1)", "", "missingAttribute"),
        ("LEFT(1 / 0, 'x')", "", "math"),
    ],
)
def test_a_function_that_fails_returns_a_value_of_its_type(run: Run, expression: str, value: cesql.Value, kind: str) -> None:
    assert run(expression) == (value, kind)


@pytest.mark.parametrize(
    "expression",
    [
        "NOSUCH()", "nosuch(1)", "IS_STRING('a')", "ABS()", "ABS(1, 2)", "LENGTH()", "LENGTH('a', 'b')", "CONCAT_WS()",
        "LEFT('a')", "LEFT('a', 1, 1)", "SUBSTRING('a')", "SUBSTRING('a', 1, 1, 1)", "INT()", "NOSUCH(missing)",
        "ABS(missing, missing)", "NOSUCH(1 / 0)",
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_dispatched_is_false_and_evaluates_nothing(run: Run, expression: str) -> None:
    assert run(expression) == (False, "missingFunction")


def test_an_attribute_may_be_named_like_a_function(run: Run) -> None:
    assert run("length(length) + left", length="abc", left=1) == (4, None)


def test_a_function_builds_no_text_without_bounds(run: Run) -> None:
    big = "x" * (TEXT_CHARS_MAX // 2)
    assert run("LENGTH(CONCAT(s, s))", s=big) == (TEXT_CHARS_MAX, None)
    assert run("CONCAT(s, s, 'x')", s=big) == ("", "functionEvaluation")
    assert run("CONCAT_WS(s, 'a', 'b', 'c')", s=big) == ("", "functionEvaluation")
