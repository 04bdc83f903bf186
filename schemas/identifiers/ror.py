"""ROR: an identifier of a research organisation, written as a URL.

Source: https://ror.readme.io/docs/identifier: `https://ror.org/` + `0` + six characters of Crockford's base 32 + two
check digits after ISO/IEC 7064 (98 - n * 100 mod 97).

>>> validate("02BFWT286")
'https://ror.org/02bfwt286'
>>> compact("https://ror.org/02bfwt286")
'02bfwt286'
>>> is_valid("https://ror.org/02bfwt287")
False

Reasons: `form`, `checksum`.
"""

import re
from typing import Final

from schemas.identifiers.errors import IdentifierError, shown

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # no i, l, o, u
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_FORM: Final = re.compile(f"0([{_ALPHABET}]{{6}})([0-9]{{2}})")
_URL: Final = re.compile(r"(?:https?://)?ror\.org/", re.IGNORECASE | re.ASCII)


def compact(text: str) -> str:
    """The nine characters, lower case, without the URL before them. Checks nothing."""
    bare = text.strip()
    if found := _URL.match(bare):
        bare = bare[found.end() :]
    # Only ASCII has a lower case here: the Kelvin sign would become a 'k'.
    return bare.lower() if bare.isascii() else bare


def validate(text: str) -> str:
    """The id as URL, its canonical form. Takes it bare or as URL, in any case. Raises IdentifierError."""
    bare = compact(text)
    found = _FORM.fullmatch(bare)
    if found is None:
        raise IdentifierError("form", f"{shown(text)} is not of the form https://ror.org/0 + six characters + two digits")
    if found[2] != check_digits(found[1]):
        raise IdentifierError("checksum", f"{shown(text)} fails its check digits; copy it again from ror.org")
    return format(bare)


def is_valid(text: str) -> bool:
    try:
        validate(text)
    except IdentifierError:
        return False
    return True


def format(text: str) -> str:  # noqa: A001 - the same four verbs in every identifier module
    """The id as URL. Checks nothing."""
    return f"https://ror.org/{compact(text)}"


def check_digits(middle: str) -> str:
    """The two check digits for the six characters after the leading 0.

    >>> check_digits("2bfwt2")
    '86'
    """
    number = 0
    for character in middle:
        number = number * 32 + _VALUES[character]
    return f"{98 - number * 100 % 97:02d}"
