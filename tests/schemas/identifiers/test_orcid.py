"""ORCID iDs: ISO 7064 MOD 11-2, URL forms, the doubled URL of DataCite's example."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import IdentifierError, orcid


@pytest.mark.parametrize(
    "text",
    ["0000-0002-1694-233X", "0000-0002-1694-233x", "https://orcid.org/0000-0002-1694-233X",
     "http://orcid.org/0000-0002-1694-233X", "HTTPS://ORCID.org/0000-0002-1694-233x", " 0000-0002-1694-233X\n"],
)  # fmt: skip
def test_every_spelling_gives_the_same_url(text: str) -> None:
    assert orcid.validate(text) == "https://orcid.org/0000-0002-1694-233X"
    assert orcid.format(text) == "https://orcid.org/0000-0002-1694-233X"
    assert orcid.compact(text) == "0000-0002-1694-233X"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "form"),
        ("000000021694233X", "form"),
        ("0000-0002-1694-23X3", "form"),
        ("0000-0002-1694-233", "form"),
        ("0000-0002-1694-٢33X", "form"),
        ("https://orcid.org/", "form"),
        ("https://example.org/0000-0002-1694-233X", "form"),
        ("https://orcid.org/0000-0002-1694-233X/", "form"),
        ("https://orcid.org/https://orcid.org/0000-0002-1694-233X", "doubled_url"),
        ("https://orcid.org/http://orcid.org/0000-0002-1694-233X", "doubled_url"),
        ("0000-0002-1694-2339", "checksum"),
        ("0000-0000-0000-0000", "checksum"),
    ],
)
def test_refusal_names_its_reason(text: str, reason: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        orcid.validate(text)
    assert caught.value.reason == reason
    assert not orcid.is_valid(text)


def test_record_of_the_sandbox_has_a_valid_path_but_a_url_that_is_not_taken(shared_data: Path) -> None:
    record = json.loads((shared_data / "orcid/record-full-3.0.json").read_text(encoding="utf-8"))
    identifier = record["orcid-identifier"]
    assert identifier["uri"] == f"https://sandbox.orcid.org/{identifier['path']}"
    assert orcid.validate(identifier["path"]) == f"https://orcid.org/{identifier['path']}"
    assert not orcid.is_valid(identifier["uri"])  # iDs of the sandbox name nobody


def test_only_placeholders_of_the_samples_fail(shared_data: Path) -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in (shared_data / "orcid").iterdir() if path.suffix in (".json", ".xml")
    )
    found = set(re.findall(r"\b[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]\b", text))
    assert {one for one in found if not orcid.is_valid(one)} == {"0000-0000-0000-0000", "8888-8888-8888-8888"}
    assert len(found) > 3


@given(st.text(alphabet="0123456789", min_size=15, max_size=15), st.integers(0, 14), st.integers(1, 9))
def test_any_single_substitution_is_noticed(digits: str, place: int, shift: int) -> None:
    def dashed(text: str) -> str:
        return "-".join(text[start : start + 4] for start in range(0, 16, 4))

    check = orcid.check_character(digits)
    assert orcid.is_valid(dashed(digits + check))
    other = str((int(digits[place]) + shift) % 10)
    assert not orcid.is_valid(dashed(digits[:place] + other + digits[place + 1 :] + check))


@given(st.text())
def test_any_text_is_answered_with_an_id_or_a_reason(text: str) -> None:
    assert orcid.is_valid(text) in (True, False)
