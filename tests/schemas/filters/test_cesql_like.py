"""CESQL, section 3.4.3: the patterns of LIKE."""

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.filters import cesql
from schemas.filters.cesql.errors import Failure
from schemas.filters.cesql.like import matcher

Run = Callable[..., tuple[cesql.Value, str | None]]  # of conftest


def like(text: str, pattern: str) -> bool:
    failures: list[Failure] = []
    answer = matcher(pattern)(text, failures)
    assert not failures
    return answer


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", ""), ("", "%"), ("", "%%"), ("a", "_"), ("abc", "%"), ("abc", "a%"), ("abc", "%c"), ("abc", "%b%"), ("abc", "a%c"),
        ("ab", "a%b"), ("aab", "%ab"), ("abab", "%ab"), ("abcabd", "%ab_"), ("a.c", "a.c"), ("a%c", r"a\%c"), ("a_c", r"a\_c"),
        (r"a\c", r"a\c"), ("a\\", "a\\"), (r"a\\", r"a\\"), ("\\%", r"\\%"), ("\\_", r"\\_"), ("%", r"\%"), ("a\nb", "a_b"),
        ("a\nb", "a%"), ("科技局", "科_局"), ("😀", "_"), ("aXbXc", "a%b_c"), ("mississippi", "m%iss%ip%"), ("^$.*", "^$.*"),
        ("a1b22c", "a_b__c"), ("xaxbx", "%a%b%"), ("ab", "%_%_%"),
    ],
)  # fmt: skip
def test_matches(text: str, pattern: str) -> None:
    assert like(text, pattern)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", "_"), ("a", ""), ("ab", "_"), ("ABC", "abc"), ("abc", "b%"), ("abc", "%b"), ("a", "a%a"), ("abc", r"a\%c"),
        ("abc", r"a\_c"), ("abc", "a.c"), ("\\x", r"\\%"), ("abd\n", "abd"), ("ab", "%b%a%"), ("a", "%_%_%"), ("aB", "a_%b"),
        (r"\%", r"\%"), ("ab", "a\\b"),
    ],
)  # fmt: skip
def test_does_not_match(text: str, pattern: str) -> None:
    assert not like(text, pattern)


@given(st.text("ab%_\\\n", max_size=12), st.text("ab%_\\", max_size=8))
def test_agrees_with_a_plain_translation_to_a_regular_expression(text: str, pattern: str) -> None:
    tokens = re.findall(r"\\[%_]|[\s\S]", pattern)
    plain = "".join({"%": ".*", "_": "."}.get(token) or re.escape(token[-1]) for token in tokens)
    assert like(text, pattern) is (re.fullmatch(plain, text, re.DOTALL) is not None)


def test_the_left_operand_is_cast_to_text_and_the_pattern_never(run: Run) -> None:
    assert run("234 LIKE '2%'") == (True, None)
    assert run("-5 LIKE '-_'") == (True, None)
    assert run("TRUE LIKE 'true'") == (True, None)
    assert run("TRUE LIKE 'TRUE'") == (False, None)
    assert run("n NOT LIKE '1_'", n=10) == (False, None)
    assert run("n LIKE 10", n=10) == (False, "parse")


@pytest.mark.parametrize("expression", ["missing LIKE '%'", "missing NOT LIKE 'a'", "missing LIKE ''"])
def test_a_missing_attribute_matches_no_pattern(run: Run, expression: str) -> None:
    assert run(expression) == (False, "missingAttribute")


@pytest.mark.parametrize("pattern", [r"it\'s%", "it''s%"])
def test_quotes_are_undone_before_the_pattern_is_read(run: Run, pattern: str) -> None:
    assert run(f"subject LIKE '{pattern}'", subject="it's here") == (True, None)


@pytest.mark.parametrize("pattern", ["%a%a%a%a%a%a%a%a%a%b", "%a_a%a_a%a_a%a_ab", "a%a%a%a%a%a%a%ac"])
def test_no_pattern_runs_away(pattern: str) -> None:
    matches, begin = matcher(pattern), time.process_time()
    assert not matches("a" * 50_000, [])
    assert time.process_time() - begin < 2


def test_too_much_work_is_a_generic_error_and_false(run: Run) -> None:
    assert run(f"subject LIKE '%{'a_' * 100}%'", subject="a" * 10_000) == (False, "generic")
    assert run(f"subject NOT LIKE '%{'a_' * 100}%'", subject="a" * 10_000) == (False, "generic")
