"""CESQL, section 2: what is an expression, and what an error says about a text that is none."""

from collections.abc import Callable

import pytest

from schemas.filters import cesql
from schemas.filters.limits import EXPRESSION_CHARS_MAX, EXPRESSION_NESTING_MAX, IN_MEMBERS_MAX

Run = Callable[..., tuple[cesql.Value, str | None]]  # of conftest


def refusal(expression: str) -> cesql.ParseError:
    with pytest.raises(cesql.ParseError) as caught:
        cesql.parse(expression)
    return caught.value


@pytest.mark.parametrize("expression", ["aNd", "AND", "and"])
def test_keywords_have_no_case(run: Run, expression: str) -> None:
    assert run(f"true {expression} true") == (True, None)


@pytest.mark.parametrize("expression", ["LENGTH('abc')", "length('abc')", "LeNgTh ( 'abc' )", "length\n\t\r('abc')"])
def test_function_names_have_no_case_and_may_stand_apart_from_the_parenthesis(run: Run, expression: str) -> None:
    assert run(expression) == (3, None)


def test_attribute_names_have_no_case_because_those_of_events_are_lower(run: Run) -> None:
    assert run("SOURCE = source AND Source = '/s'") == (True, None)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("0", 0),
        ("+5", 5),
        ("-5", -5),
        ("007", 7),
        ("2147483647", 2147483647),
        ("-2147483648", -2147483648),
        ("TrUe", True),
        ("FALSE", False),
        ("''", ""),
        ('""', ""),
        ("'科技'", "科技"),
        ("'a\nb'", "a\nb"),
        (r"'it\'s'", "it's"),
        (r'"say \"hi\""', 'say "hi"'),
        ("'it''s'", "it's"),
        ('"a""b"', 'a"b'),
        ("''''", "'"),
        (r"'a\"b'", r"a\"b"),
        (r'"a\'b"', r"a\'b"),
        ("'a\"b'", 'a"b'),
        ('"a\'b"', "a'b"),
        (r"'a\nb'", r"a\nb"),
        (r"'a\\b'", r"a\\b"),
        (r"'a\\'", r"a\\"),
        ("'TRUE AND ('", "TRUE AND ("),
    ],
)
def test_literals(run: Run, literal: str, value: cesql.Value) -> None:
    assert run(literal) == (value, None)
    assert type(run(literal)[0]) is type(value)


@pytest.mark.parametrize("digits", ["2147483648", "-2147483649", "+2147483648", "9" * 4000, "0" * 20 + "2147483648"])
def test_integer_literal_outside_32_bits_is_no_expression(digits: str) -> None:
    error = refusal(f"n = {digits}")
    assert (error.reason, error.position) == ("integer_range", 4)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("4-1", 3),
        ("4 -1", 3),
        ("4+1", 5),
        ("4 + +1", 5),
        ("4--1", 5),
        ("- 1", -1),
        ("---1", -1),
        ("5%3*2", 4),
        ("n-1", 6),
        ("-n", -7),
    ],
)
def test_a_sign_is_an_operator_where_an_operator_stands(run: Run, expression: str, value: cesql.Value) -> None:
    assert run(expression, n=7) == (value, None)


@pytest.mark.parametrize("name", ["a", "1a", "20", "int", "length", "nota", "inx", "trueish", "or1", "x" * 40])
def test_names_of_letters_and_digits_are_attributes(run: Run, name: str) -> None:
    expected = 20 if name == "20" else "v"  # digits alone are a number
    assert run(name, **{name: "v"}) == (expected, None)
    assert run(f"EXISTS {name}", **{name: "v"}) == (True, None)


@pytest.mark.parametrize("name", ["and", "or", "xor", "like", "in"])
def test_operators_of_two_operands_are_names_where_an_operand_stands(run: Run, name: str) -> None:
    assert run(f"{name} = 'v' AND EXISTS {name}", **{name: "v"}) == (True, None)


@pytest.mark.parametrize("name", ["not", "exists", "true", "false"])
def test_the_other_keywords_can_be_asked_for_only(run: Run, name: str) -> None:
    assert run(f"EXISTS {name}", **{name: "v"}) == (True, None)
    assert run(f"EXISTS {name}") == (False, None)


@pytest.mark.parametrize(
    "expression",
    [
        "", " \t\r\n", "(", ")", "()", "1 +", "+ 1", "* 1", "1 1", "'a' 'b'", "true false", "(1", "1)", "((1)", "1,2",
        "f(", "f(1", "f(1,", "f(,1)", "f(1,)", "f()(", "f1(1)", "_f(1)", "a_b", "a.b", "a-",
        "'abc", '"abc', "'abc\\'", "'abc\"",
        "x LIKE 123", "x LIKE y", "x LIKE", "x LIKE ('a')", "x LIKE LOWER('a')", "x NOT", "x NOT = 1", "LIKE 'a'",
        "x IN", "x IN ()", "x IN 1", "x IN (1,)", "x IN (1", "x NOT IN ()", "x IN y", "x IS y",
        "EXISTS", "EXISTS 'a'", "EXISTS (a)", "EXISTS a b", "EXISTS f(1)", "NOT", "true AND", "AND (true)",
        "true AND OR false", "true && false", "1 == 1", "1 => 1", "1 ! 1", "1 < > 2", "1.5", "1e5x y", "a;b", "[1]", "-- 1x x",
        "科技", "naïve", "a\u00a0= 1", "a\v= 1", "\ufefftrue", "a = ?", "a -- b c", "TRUE(1)", "'a'b'",
    ],
)  # fmt: skip
def test_other_texts_do_not_parse(run: Run, expression: str) -> None:
    assert run(expression) == (False, "parse")


@pytest.mark.parametrize(
    ("expression", "reason", "position", "words"),
    [
        ("", "empty", 0, "is empty"),
        ("type = ", "syntax", 7, "ends at character 7, where a value"),
        ("ABC(", "syntax", 4, "ends at character 4, where a value"),
        ("(1 = 1", "syntax", 6, "where ')' is missing"),
        ("type 'x'", "syntax", 5, 'unexpected "\'" at character 5, where an operator is expected'),
        ("type == 'x'", "syntax", 6, "unexpected '=' at character 6, where a value"),
        ("type = 'x", "unterminated_string", 7, "has no closing quote; add '"),
        ("x LIKE 123", "syntax", 7, "unexpected '123' at character 7, where a string in quotes"),
        ("f(1", "syntax", 3, "where ',' or ')' is missing"),
        ("1)", "syntax", 1, "where the end of the expression is expected"),
        ("x IN 1", "syntax", 5, "where a list in parentheses"),
        ("x NOT 1", "syntax", 6, "where LIKE or IN"),
        ("EXISTS 'a'", "syntax", 7, "where an attribute's name"),
        ("true AND OR (1)", "reserved_word", 9, "unexpected OR at character 9"),
        ("naïve = 1", "syntax", 2, "unexpected 'ï' at character 2"),
    ],
)
def test_an_error_says_where_and_what(expression: str, reason: str, position: int, words: str) -> None:
    error = refusal(expression)
    assert (error.kind, error.reason, error.position) == ("parse", reason, position)
    assert words in error.message
    assert any("\u4e00" <= character <= "\u9fff" for character in error.message_zh)


def test_an_expression_may_be_long_but_not_longer() -> None:
    assert cesql.parse("1" + " " * (EXPRESSION_CHARS_MAX - 1)).evaluate({}).value == 1
    assert refusal("1" + " " * EXPRESSION_CHARS_MAX).reason == "too_long"


@pytest.mark.parametrize("wrap", ["NOT {}", "-{}", "ABS({})", "1+({})", "{} LIKE 'a'", "{} IN (1)", "1 = ({})", "x AND ({})"])
def test_nesting_is_limited(wrap: str) -> None:
    expression = "x"
    for _ in range(EXPRESSION_NESTING_MAX):
        expression = wrap.format(expression)
    cesql.parse(expression).evaluate({})
    assert refusal(wrap.format(expression)).reason == "too_deep"


@pytest.mark.parametrize(("chain", "value"), [("1" + "+1" * 2000, 2001), ("1" + "=1" * 2000, True), ("n" + "*n" * 900, 1)])
def test_a_chain_of_operators_does_not_nest(run: Run, chain: str, value: cesql.Value) -> None:
    assert run(chain, n=1) == (value, None)


def test_bare_parentheses_do_not_nest(run: Run) -> None:
    assert run("(" * 2000 + "5" + ")" * 2000) == (5, None)


def test_the_deepest_mixture_evaluates_without_running_out_of_stack(run: Run) -> None:
    expression = "n"
    for _ in range(EXPRESSION_NESTING_MAX // 2 - 1):
        expression = f"(({expression}) = 1 = 1 = 1 = 1 + 1 - 1) AND TRUE"
    assert run(expression, n=1) == (True, None)


def test_a_list_of_in_is_limited() -> None:
    cesql.parse(f"1 IN ({','.join('1' * IN_MEMBERS_MAX)})")
    error = refusal(f"1 IN ({','.join('1' * (IN_MEMBERS_MAX + 1))})")
    assert (error.reason, error.position) == ("too_many_members", 2)
