"""Identifiers that events carry, each checked by its own rule and given in its canonical form.

`CreditCode`, `RorId` and `OrcidId` are pydantic types; `uscc`, `ror` and `orcid` hold the rules: `compact`, `validate`,
`format`, `is_valid`.
"""

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from schemas.identifiers import orcid, ror, uscc
from schemas.identifiers.errors import IdentifierError

__all__ = ["KINDS", "CreditCode", "IdentifierError", "OrcidId", "RorId", "check", "orcid", "ror", "uscc"]

KINDS: Final[dict[str, Callable[[str], str]]] = {
    "uscc": uscc.validate,
    "ror": ror.validate,
    "orcid": orcid.validate,
}


def check(kind: str, text: str) -> str:
    """One line about one identifier: `ID valid` or `ID invalid REASON`, with ID as given but for its line end.

    Raises ValueError for a kind that is not in KINDS.

    >>> check("uscc", "91 340600 ma2pencc7k\\n")
    '91 340600 ma2pencc7k valid'
    >>> check("ror", "02bfwt287")
    '02bfwt287 invalid checksum'
    """
    validate = KINDS.get(kind)
    if validate is None:
        raise ValueError(f"the kind {kind!r} is not known; take one of {', '.join(KINDS)}")
    given = text.rstrip("\r\n")
    try:
        validate(given)
    except IdentifierError as error:
        return f"{given} invalid {error.reason}"
    return f"{given} valid"


def _checked(kind: str) -> AfterValidator:
    """The rule as a pydantic validator; the error's type is `<kind>_<reason>`."""
    validate = KINDS[kind]

    def canonical(text: str) -> str:
        try:
            return validate(text)
        except IdentifierError as error:
            raise PydanticCustomError(f"{kind}_{error.reason}", "{message}", {"message": str(error)}) from None

    return AfterValidator(canonical)


CreditCode = Annotated[
    str,
    _checked("uscc"),
    Field(description="unified social credit code, GB 32100-2015", examples=["91340600MA2PENCC7K"]),
]
RorId = Annotated[
    str,
    _checked("ror"),
    Field(description="ROR id as URL", examples=["https://ror.org/02bfwt286"]),
]
OrcidId = Annotated[
    str,
    _checked("orcid"),
    Field(description="ORCID iD as URL", examples=["https://orcid.org/0000-0002-7319-2192"]),
]
