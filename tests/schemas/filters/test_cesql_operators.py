"""CESQL, sections 3.4, 3.6 and 3.7: operators, their order, and the casts of their operands."""

from collections.abc import Callable

import pytest

from schemas.filters import cesql

Run = Callable[..., tuple[cesql.Value, str | None]]  # of conftest


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 4 - 3", 3),
        ("100 / 10 / 2", 5),
        ("2 * 7 % 4", 2),
        ("1 + 1 = 2", True),
        ("1 < 2 = TRUE", True),
        ("1 = 1 AND 2 = 2", True),
        ("-2 * 3", -6),
        ("-n LIKE '-_'", True),
        ("NOT TRUE = FALSE", True),
        ("NOT FALSE AND FALSE", False),
        ("NOT EXISTS nothing", True),
        ("NOT NOT TRUE", True),
        ("NOT 'true' IN (FALSE)", True),
        ("1 + 2 IN (2)", 2),
        ("1 + 2 LIKE '2'", 2),
        ("'a' LIKE 'a' IN (TRUE)", True),
        ("1 IN (1) LIKE 'tr%'", True),
        ("EXISTS id LIKE 'true'", True),
        ("TRUE OR TRUE AND FALSE", False),
        ("FALSE AND FALSE OR TRUE", True),
        ("TRUE XOR TRUE OR TRUE", True),
        ("TRUE OR FALSE XOR TRUE", False),
        ("FALSE AND TRUE XOR TRUE", True),
    ],
)
def test_precedence_and_from_left_to_right_within_it(run: Run, expression: str, value: cesql.Value) -> None:
    assert run(expression, n=5) == (value, None)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("-7 / -2", 3),
        ("7 % 3", 1),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("-7 % -3", -1),
        ("0 / 5", 0),
        ("-2147483648 % -1", 0),
        ("2147483646 + 1", 2147483647),
        ("-(-2147483647)", 2147483647),
        ("TRUE + TRUE", 2),
        ("'+5' - '-5'", 10),
        ("-TRUE", -1),
        ("-'+7'", -7),
    ],
)
def test_arithmetic_rounds_towards_zero_and_casts_to_integers(run: Run, expression: str, value: cesql.Value) -> None:
    assert run(expression) == (value, None)


@pytest.mark.parametrize(
    "expression",
    [
        "1 / 0", "1 % 0", "0 / 0", "2147483647 + 1", "-2147483648 - 1", "65536 * 65536", "-2147483648 / -1", "-(-2147483648)",
        "--2147483648", "-n",
    ],
)  # fmt: skip
def test_division_by_zero_and_overflow_are_math_errors(run: Run, expression: str) -> None:
    assert run(expression, n=-2147483648) == (0, "math")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a' = 'A'", False),
        ("'5' = 5", True),
        ("5 = '5'", True),
        ("5 = '05'", False),
        ("'05' = 5", True),
        ("'+5' = 5", True),
        ("TRUE = 'true'", True),
        ("TRUE = 'TRUE'", False),
        ("'TRUE' = TRUE", True),
        ("'TrUe' = TRUE", True),
        ("1 = TRUE", True),
        ("2 = TRUE", True),
        ("0 = FALSE", True),
        ("TRUE = 1", True),
        ("TRUE = 2", False),
        ("FALSE != 1", True),
        ("'a' <> 'b'", True),
        ("'abc' != 'abc'", False),
        ("hop < ttl", True),
        ("ttl < hop", False),
        ("hop = ttl", False),
        ("'9' < '10'", True),
        ("TRUE > FALSE", True),
        ("TRUE >= 1", True),
        ("'-1' <= 0", True),
        ("5 > '4'", True),
    ],
)
def test_equality_casts_to_the_type_on_the_right_and_order_to_integers(run: Run, expression: str, value: cesql.Value) -> None:
    assert run(expression, hop="5", ttl="10") == (value, None)


@pytest.mark.parametrize(
    "text",
    ["abc", "", " 5", "5 ", "5.0", "1e3", "0x10", "--5", "+", "-", "５", "٣", "2147483648", "-2147483649", "9" * 5000, "5\n"],
)
@pytest.mark.parametrize(
    "expression", ["s = 1", "s != 1", "s < 1", "1 > s", "s + 1", "1 - s", "-s", "INT(s)", "ABS(s)", "1 IN (s)"]
)
def test_a_text_that_is_no_32_bit_integer_is_a_cast_error(run: Run, expression: str, text: str) -> None:
    assert run(expression, s=text) in ((0, "cast"), (False, "cast"))


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("-0", 0), ("+5", 5), ("007", 7), ("-2147483648", -(2**31)), ("0" * 99 + "1", 1)]
)
def test_a_text_that_is_one_is_cast(run: Run, text: str, value: cesql.Value) -> None:
    assert run("INT(s)", s=text) == (value, None)


@pytest.mark.parametrize("text", ["abc", "", "1", "0", " true", "true ", "yes", "t"])
@pytest.mark.parametrize(
    "expression", ["s = TRUE", "s AND TRUE", "s OR FALSE", "s XOR TRUE", "TRUE AND s", "BOOL(s)", "TRUE IN (s)"]
)
def test_a_text_that_is_neither_true_nor_false_is_a_cast_error(run: Run, expression: str, text: str) -> None:
    assert run(expression, s=text) == (False, "cast")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'TRUE' AND 'true'", True),
        ("1 AND TRUE", True),
        ("0 OR 7", True),
        ("1 XOR 1", False),
        ("NOT 'FALSE'", True),
        ("TRUE XOR FALSE XOR TRUE", False),
    ],
)
def test_logic_casts_to_booleans(run: Run, expression: str, value: cesql.Value) -> None:
    assert run(expression) == (value, None)


@pytest.mark.parametrize("expression", ["NOT 10", "NOT 0", "NOT n", "NOT LENGTH('')", "NOT 'abc'"])
def test_not_of_an_integer_is_a_cast_error_as_the_test_kit_has_it(run: Run, expression: str) -> None:
    assert run(expression, n=1) == (True, "cast")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("FALSE AND missing", False),
        ("FALSE AND 1 / 0 = 1", False),
        ("TRUE OR missing", True),
        ("TRUE OR NOSUCH(1)", True),
        ("FALSE AND missing OR TRUE", True),
        ("TRUE OR missing AND TRUE", True),
        ("FALSE AND missing AND missing", False),
    ],
)
def test_and_and_or_evaluate_no_further_than_needed(run: Run, expression: str, value: cesql.Value) -> None:
    assert run(expression) == (value, None)


@pytest.mark.parametrize(
    "expression", ["TRUE AND missing", "FALSE OR missing", "TRUE XOR missing", "FALSE XOR missing", "missing OR TRUE"]
)
def test_what_is_evaluated_may_fail(run: Run, expression: str) -> None:
    assert run(expression) == (False, "missingAttribute")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("5 IN (1, 5)", True),
        ("5 NOT IN (1, 5)", False),
        ("5 IN (1, 2)", False),
        ("5 IN ('05', '5')", True),
        ("'5' IN (5)", True),
        ("'05' IN (5)", False),
        ("TRUE IN ('TRUE')", True),
        ("'TRUE' IN (TRUE)", False),
        ("TRUE IN (5)", True),
        ("1 IN (TRUE)", True),
        ("'a' IN ('b', id, LOWER('A'))", True),
        ("'a' NOT IN ('b', 'c')", True),
        ("id IN ('1', missing)", True),
        ("1 IN (1, 'abc')", True),
        ("(1 IN (2)) IN (FALSE)", True),
    ],
)
def test_in_casts_to_the_type_on_the_left_and_stops_at_the_first_match(run: Run, expression: str, value: cesql.Value) -> None:
    assert run(expression) == (value, None)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("missing IN (1)", "missingAttribute"),
        ("missing NOT IN (1)", "missingAttribute"),
        ("'x' IN (missing, 'x')", "missingAttribute"),
        ("'x' NOT IN (missing)", "missingAttribute"),
        ("1 IN ('abc', 1)", "cast"),
        ("1 IN (1 / 0)", "math"),
    ],
)
def test_in_fails_with_an_element_before_the_match(run: Run, expression: str, kind: str) -> None:
    assert run(expression) == (False, kind)


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "ID", "Type"])
def test_required_attributes_always_exist(run: Run, name: str) -> None:
    assert run(f"EXISTS {name}") == (True, None)


@pytest.mark.parametrize("name", ["time", "subject", "myext", "data"])
def test_others_exist_when_they_are_there(run: Run, name: str) -> None:
    assert run(f"EXISTS {name}") == (False, None)


@pytest.mark.parametrize("value", ["", 0, False])
def test_an_attribute_with_a_zero_value_exists_and_keeps_its_type(run: Run, value: cesql.Value) -> None:
    assert run("EXISTS x", x=value) == (True, None)
    assert run("x", x=value) == (value, None)
    assert type(run("x", x=value)[0]) is type(value)
