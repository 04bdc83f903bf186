"""The package as a whole: the line of `check`, the pydantic types, the doctests."""

import doctest

import pytest
from pydantic import BaseModel, ValidationError

import schemas.identifiers
from schemas.identifiers import CreditCode, OrcidId, RorId, check, orcid, ror, uscc


class Applicant(BaseModel):
    code: CreditCode | None = None
    organisation: RorId | None = None
    person: OrcidId | None = None


@pytest.mark.parametrize("module", [schemas.identifiers, uscc, ror, orcid])
def test_examples_in_the_docstrings_run(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("uscc", "91 340600 MA2PENCC7K\n", "91 340600 MA2PENCC7K valid"),
        ("uscc", "91340600MO2PENCC7K\r\n", "91340600MO2PENCC7K invalid alphabet"),
        ("ror", "https://ror.org/02bfwt286", "https://ror.org/02bfwt286 valid"),
        ("orcid", "https://orcid.org/https://orcid.org/0000-0002-1694-233X\n",
         "https://orcid.org/https://orcid.org/0000-0002-1694-233X invalid doubled_url"),
    ],
)  # fmt: skip
def test_check_repeats_the_id_as_given_and_says_the_verdict(kind: str, text: str, line: str) -> None:
    assert check(kind, text) == line


def test_check_of_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="uscc, ror, orcid"):
        check("isbn", "1")


def test_models_hold_the_canonical_form() -> None:
    applicant = Applicant(code="91 340600 ma2pencc7k", organisation="02BFWT286", person="0000-0002-1694-233x")
    assert applicant.model_dump() == {
        "code": "91340600MA2PENCC7K",
        "organisation": "https://ror.org/02bfwt286",
        "person": "https://orcid.org/0000-0002-1694-233X",
    }


def test_model_error_carries_kind_and_reason() -> None:
    with pytest.raises(ValidationError) as caught:
        Applicant.model_validate({"code": "{91340600MA2PENCC}"})
    (problem,) = caught.value.errors()
    assert (problem["type"], problem["loc"]) == ("uscc_alphabet", ("code",))
    assert problem["msg"].startswith("'{91340600MA2PENCC}' holds '{'")


def test_schema_of_a_model_with_identifiers_can_be_made() -> None:
    schema = Applicant.model_json_schema()
    assert "GB 32100-2015" in str(schema["properties"]["code"])
