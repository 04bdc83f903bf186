"""ORCID iD: an identifier of a researcher, 16 characters written as a URL.

Source: https://support.orcid.org/hc/en-us/articles/360006897674 (structure of the iD); the last character is a check
after ISO 7064 MOD 11-2 and may be X.

>>> validate("0000-0002-7319-2192")
'https://orcid.org/0000-0002-7319-2192'
>>> compact("http://orcid.org/0000-0002-7319-2192")
'0000-0002-7319-2192'
>>> is_valid("0000-0002-7319-2193")
False

Reasons: `form` (also for `sandbox.orcid.org`, whose iDs name nobody), `doubled_url`
(`https://orcid.org/https://orcid.org/…`, seen in DataCite's own example), `checksum`.
"""

import re
from typing import Final

from schemas.identifiers.errors import IdentifierError, shown

_FORM: Final = re.compile(r"[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]")
_URL: Final = re.compile(r"https?://orcid\.org/", re.IGNORECASE | re.ASCII)


def compact(text: str) -> str:
    """The 16 characters in their four groups, without the URL before them. Checks nothing."""
    bare = text.strip()
    if found := _URL.match(bare):
        bare = bare[found.end() :]
    return f"{bare[:-1]}X" if bare.endswith("x") else bare


def validate(text: str) -> str:
    """The iD as https URL, its canonical form. Takes it bare with hyphens or as http(s) URL. Raises IdentifierError."""
    bare = compact(text)
    if _URL.match(bare):
        raise IdentifierError("doubled_url", f"{shown(text)} holds the address twice; send https://orcid.org/ once")
    if not _FORM.fullmatch(bare):
        raise IdentifierError(
            "form", f"{shown(text)} is not of the form https://orcid.org/0000-0000-0000-000X (hyphens included)"
        )
    if bare[-1] != check_character(bare[:-1]):
        raise IdentifierError("checksum", f"{shown(text)} fails its check character; copy it again from orcid.org")
    return format(bare)


def is_valid(text: str) -> bool:
    try:
        validate(text)
    except IdentifierError:
        return False
    return True


def format(text: str) -> str:  # noqa: A001 - the same four verbs in every identifier module
    """The iD as https URL. Checks nothing."""
    return f"https://orcid.org/{compact(text)}"


def check_character(head: str) -> str:
    """The last character for the 15 digits before it (hyphens do not count).

    >>> check_character("0000-0002-7319-219")
    '2'
    """
    total = 0
    for digit in head.replace("-", ""):
        total = (total + int(digit)) * 2
    return "0123456789X"[(12 - total % 11) % 11]
