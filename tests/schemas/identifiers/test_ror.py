"""ROR ids: form, checksum, and the whole of the sample data."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import IdentifierError, ror


@pytest.mark.parametrize(
    "text",
    ["02bfwt286", "02BFWT286", "https://ror.org/02bfwt286", "HTTPS://ROR.ORG/02BFWT286", "http://ror.org/02bfwt286",
     "ror.org/02bfwt286", " https://ror.org/02bfwt286\n"],
)  # fmt: skip
def test_every_spelling_gives_the_same_url(text: str) -> None:
    assert ror.validate(text) == "https://ror.org/02bfwt286"
    assert ror.format(text) == "https://ror.org/02bfwt286"
    assert ror.compact(text) == "02bfwt286"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "form"),
        ("https://ror.org/", "form"),
        ("12bfwt286", "form"),  # does not begin with 0
        ("02bfwt28", "form"),
        ("02bfwt2866", "form"),
        ("02bfwi286", "form"),  # i, l, o and u are not in the alphabet
        ("02bfwt2٨6", "form"),
        ("0\u212abfwt286", "form"),  # the Kelvin sign is no k
        ("https://ror.org/https://ror.org/02bfwt286", "form"),
        ("https://example.org/02bfwt286", "form"),
        ("02bfwt287", "checksum"),
        ("02bfwt268", "checksum"),
        ("https://ror.org/02fbwt286", "checksum"),
    ],
)
def test_refusal_names_its_reason(text: str, reason: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        ror.validate(text)
    assert caught.value.reason == reason
    assert not ror.is_valid(text)


def test_every_id_of_a_search_answer_is_valid_and_canonical(shared_data: Path) -> None:
    text = (shared_data / "ror/records_search_v2.json").read_text(encoding="utf-8")
    ids = re.findall(r'"(https://ror\.org/[^"]*)"', text)
    assert len(ids) > 100
    assert [ror.validate(one) for one in ids] == ids


def test_every_id_of_the_affiliations_is_valid_and_canonical(shared_data: Path) -> None:
    rows = json.loads((shared_data / "ror/dev/affiliations_crossref_2024-02-19.json").read_text(encoding="utf-8"))
    ids = [one for row in rows for one in row["ror_ids"]]
    assert len(ids) > 1000
    assert [ror.validate(one) for one in ids] == ids


@given(st.text(alphabet="0123456789abcdefghjkmnpqrstvwxyz", min_size=6, max_size=6), st.integers(0, 99))
def test_exactly_one_pair_of_check_digits_fits(middle: str, pair: int) -> None:
    fits = f"{pair:02d}" == ror.check_digits(middle)
    assert ror.is_valid(f"0{middle}{pair:02d}") is fits


@given(st.text())
def test_any_text_is_answered_with_an_id_or_a_reason(text: str) -> None:
    assert ror.is_valid(text) in (True, False)
