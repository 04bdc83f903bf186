"""CESQL, sections 1.2, 3.2 and 3.3: values beside errors, and what a filter makes of them."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.filters import cesql

Run = Callable[..., tuple[cesql.Value, str | None]]  # of conftest


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("missing", False),
        ("(missing)", False),
        ("true AND (missing = '')", False),
        ("missing = ''", False),
        ("missing != 2", False),
        ("missing <> missing", False),
        ("2 < missing", False),
        ("missing * 5", 0),
        ("1 / missing", 0),
        ("missing / 0", 0),
        ("missing % 'abc'", 0),
        ("'abc' + missing", 0),
        ("-missing", 0),
        ("NOT missing", False),
        ("'abc' = missing", False),
        ("missing AND TRUE", False),
        ("missing OR TRUE", False),
        ("missing XOR TRUE", False),
        ("data", False),
    ],
)
def test_a_missing_attribute_gives_the_zero_value_of_what_uses_it(expression: str, value: cesql.Value) -> None:
    result = cesql.parse(expression).evaluate({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"})
    assert json.dumps(result.value) == json.dumps(value)
    assert {failure.kind for failure in result.errors} == {"missingAttribute"}


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("1 / 0 + missing", "math"),
        ("missing + 1 / 0", "missingAttribute"),
        ("1 / 0 = 'abc' + 1", "math"),
        ("'abc' AND missing", "cast"),
        ("'abc' OR missing", "cast"),
        ("NOSUCH(1) = missing", "missingFunction"),
        ("LEFT('abc', -1) = missing", "functionEvaluation"),
    ],
)
def test_the_first_error_from_the_left_comes_first(run: Run, expression: str, kind: str) -> None:
    assert run(expression)[1] == kind


def test_an_error_says_what_failed() -> None:
    (failure,) = cesql.parse("int(hop) < 5").evaluate({"hop": "five"}).errors
    assert (failure.kind, failure.message) == ("cast", "the string 'five' is no 32-bit integer")
    (failure,) = cesql.parse("missing").evaluate({}).errors
    assert failure.message == "the event has no attribute 'missing'"


@pytest.mark.parametrize("expression", ["TRUE", "1 = 1", "flag", "NOT FALSE"])
def test_a_filter_passes_true(expression: str) -> None:
    assert cesql.parse(expression).matches({"flag": True})


@pytest.mark.parametrize(
    "expression", ["FALSE", "1", "'true'", "text", "missing", "NOT 10", "NOT 'abc'", "missing OR TRUE", "NOSUCH()"]
)
def test_a_filter_passes_neither_other_types_nor_errors(expression: str) -> None:
    assert not cesql.parse(expression).matches({"text": "true"})


WORDS = [
    "AND", "or", "XOR", "NOT", "LIKE", "IN", "EXISTS", "TRUE", "false", "=", "!=", "<>", "<", "<=", ">", ">=", "+", "-", "*",
    "/", "%", "(", ")", ",", "1", "-5", "2147483647", "'a'", '"b%_"', r"'\''", "''", "a", "missing", "n", "LENGTH(",
    "SUBSTRING(", "CONCAT(", "LEFT(", "INT(", "ABS(", "BOOL(", "NOSUCH(", " ", "'", "_", "科",
]  # fmt: skip
ATTRIBUTES: dict[str, cesql.Value] = {"a": "text", "n": -2147483648, "b": True}


def survives(expression: str) -> None:
    try:
        parsed = cesql.parse(expression)
    except cesql.ParseError as error:
        refused = error
    else:
        _evaluates(parsed)
        return
    assert 0 <= refused.position <= len(expression)
    assert refused.message
    assert refused.message_zh


def _evaluates(parsed: cesql.Expression) -> None:
    value, errors = parsed.evaluate(ATTRIBUTES)
    assert type(value) in (str, int, bool)
    assert type(value) is not int or -(2**31) <= value < 2**31
    assert parsed.evaluate(ATTRIBUTES) == (value, errors)
    assert parsed.matches(ATTRIBUTES) is (value is True and not errors)


@given(st.text(max_size=40))
@example("\ud800")
@example("'\ud800'")
@example("\x00")
def test_any_text_parses_or_is_refused_with_its_position(expression: str) -> None:
    survives(expression)


@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
def test_any_mixture_of_words_parses_or_is_refused_and_never_raises_when_evaluated(expression: str) -> None:
    survives(expression)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["AND", "OR", "XOR", "=", "!=", "<", ">=", "+", "-", "*", "/", "%"])
    calls = st.sampled_from(["ABS", "LENGTH", "LOWER", "TRIM", "INT", "BOOL", "STRING", "CONCAT", "NOSUCH"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda parts: "({} {} {})".format(*parts)),
        st.tuples(st.sampled_from(["NOT", "-"]), inner).map(" ".join),
        st.tuples(calls, inner).map(lambda parts: "{}({})".format(*parts)),
        st.tuples(st.sampled_from(["LEFT", "RIGHT", "SUBSTRING"]), inner, inner).map(lambda parts: "{}({}, {})".format(*parts)),
        st.tuples(inner, st.sampled_from(["LIKE", "NOT LIKE"])).map(lambda parts: "({} {} '%t_')".format(*parts)),
        st.tuples(inner, inner, inner).map(lambda parts: "({} IN ({}, {}))".format(*parts)),
    )


@given(
    st.recursive(st.sampled_from(["a", "b", "n", "missing", "0", "-1", "'5'", "'true'", "''", "TRUE"]), _grown, max_leaves=12)
)
def test_every_expression_of_the_grammar_parses_and_evaluates(expression: str) -> None:
    cesql.parse(expression)
    survives(expression)
