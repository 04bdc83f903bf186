"""Unified social credit code: both check characters, and the spellings people type."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import IdentifierError, uscc

ACCEPTED = {"valid", "valid_after_normalise"}
REASONS = {"invalid_checksum": {"organisation_check", "check"}, "invalid_format": {"alphabet"}}


def reason_of(text: str) -> str:
    with pytest.raises(IdentifierError) as caught:
        uscc.validate(text)
    return caught.value.reason


def test_every_shared_vector_comes_out_as_expected(shared_data: Path) -> None:
    with (shared_data / "ids/dev/uscc_vectors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 181
    for row in rows:
        if row["expected"] in ACCEPTED:
            assert uscc.validate(row["code"]) == uscc.compact(row["code"])
            assert uscc.is_valid(row["code"])
        else:
            assert reason_of(row["code"]) in REASONS[row["expected"]], row


def test_valid_vectors_are_already_canonical(shared_data: Path) -> None:
    with (shared_data / "ids/dev/uscc_vectors.csv").open(encoding="utf-8", newline="") as file:
        codes = [row["code"] for row in csv.DictReader(file) if row["expected"] == "valid"]
    assert [uscc.validate(code) for code in codes] == codes


@pytest.mark.parametrize(
    "text",
    [
        "92340603ma2pbmcg0u",
        "92340603 MA2PBMCG0 U",
        "\t92340603MA2PBMCG0U\n",
        "９２３４０６０３ＭＡ２ＰＢＭＣＧ０Ｕ",
        "92340603ｍａ２ｐｂｍｃｇ０ｕ",
        "92340603\u3000MA2PBMCG0U",
    ],
)
def test_case_spaces_and_width_do_not_matter(text: str) -> None:
    assert uscc.validate(text) == "92340603MA2PBMCG0U"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "length"),
        ("91340600MA2PENCC7", "length"),
        ("91340600MA2PENCC7KK", "length"),
        ("91340600MO2PENCC7K", "alphabet"),
        ("91340600MA2PENCC7中", "alphabet"),
        ("91340600MA2PENCC7٣", "alphabet"),  # an Arabic digit is no digit here
        ("9134A600MA2PENCC7K", "region"),
        ("91340600MA2PENCC8K", "organisation_check"),
        ("91340600MA2PENCC7L", "check"),
        ("913406\x0000MA2PENCC7", "alphabet"),
        ("91340600MA2PENCC\ufb00", "length"),  # the ligature ff is one character, not two letters
    ],
)
def test_refusal_names_its_reason(text: str, reason: str) -> None:
    assert reason_of(text) == reason


def test_remainder_zero_gives_check_character_zero() -> None:
    heads = (f"913101{number:02d}00000000" for number in range(100))
    zeros = [head for head in heads if uscc.check_character(head + uscc.organisation_check(head[8:])) == "0"]
    head = zeros[0] + uscc.organisation_check(zeros[0][8:])
    assert uscc.validate(f"{head}0") == f"{head}0"


def test_outer_values_skip_the_missing_letters_and_inner_ones_do_not() -> None:
    assert uscc.ALPHABET.index("Y") == 30
    assert uscc.organisation_check("MA2PENCC") == "7"  # M is 22 in base 36, 21 in the outer alphabet
    assert uscc.check_character("91340600MA2PENCC7") == "K"


def test_an_unknown_or_abolished_division_is_not_refused() -> None:
    head = "91" + "999999" + "00000000"
    head += uscc.organisation_check(head[8:])
    assert uscc.is_valid(head + uscc.check_character(head))


def test_format_groups_for_reading_and_compact_undoes_it() -> None:
    assert uscc.format("91340600ma2pencc7k") == "91 340600 MA2PENCC7 K"
    assert uscc.compact(uscc.format("91340600MA2PENCC7K")) == "91340600MA2PENCC7K"


@given(st.text(alphabet=uscc.ALPHABET, min_size=10, max_size=10), st.integers(0, 999999), st.integers(0, 17), st.data())
def test_any_single_substitution_is_noticed(ends: str, region: int, place: int, data: st.DataObject) -> None:
    head = f"{ends[:2]}{region:06d}{ends[2:]}"
    head += uscc.organisation_check(head[8:16])
    code = head + uscc.check_character(head)
    assert uscc.validate(code) == code
    other = data.draw(st.sampled_from([character for character in uscc.ALPHABET if character != code[place]]))
    assert not uscc.is_valid(code[:place] + other + code[place + 1 :])


@given(st.text())
def test_any_text_is_answered_with_a_code_or_a_reason(text: str) -> None:
    assert uscc.is_valid(text) in (True, False)
