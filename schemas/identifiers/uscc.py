"""Unified social credit code 统一社会信用代码: 18 characters that name a legal entity in China.

Sources: GB 32100-2015 (the code and its check character, position 18) and GB 11714-1997 (the organisation code inside,
positions 9 to 17, with a check character of its own at 17). Position 1 is the registering authority, 2 the kind of
entity, 3 to 8 a division code of GB/T 2260: digits, but not looked up, since abolished divisions stay in valid codes.

>>> validate("91 340600 ma2pencc7k")
'91340600MA2PENCC7K'
>>> format("91340600MA2PENCC7K")
'91 340600 MA2PENCC7 K'
>>> is_valid("91340600MA2PENCC7L")
False

Reasons: `length`, `alphabet`, `region`, `organisation_check`, `check`; the first that applies, in this order.
"""

import re
from typing import Final

from schemas.identifiers.errors import IdentifierError, shown

LENGTH: Final = 18
ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # no I, O, S, V, Z

_FORM: Final = re.compile(f"[{ALPHABET}]*")
_REGION: Final = re.compile(r"[0-9]{6}")
# Values for the outer check are places in the alphabet; for the inner one they are plain base 36, so A is 10 in both,
# but J is 18 outside and 19 inside.
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(17))
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_ORGANISATION_CHECKS: Final = "0X987654321"  # by the sum modulo 11
# Full-width forms and lower case, character by character: str.upper() would turn one ligature into two letters.
_FOLDED: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {ord("\u3000"): " "}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def compact(text: str) -> str:
    """Without white space, full-width characters narrowed, letters in upper case. Checks nothing.

    >>> compact("９１ ma")
    '91MA'
    """
    return "".join(text.translate(_FOLDED).split()).translate(_UPPER)


def validate(text: str) -> str:
    """The code in its compact form, which is the canonical one. Raises IdentifierError.

    >>> validate("91340600MO2PENCC7K")
    Traceback (most recent call last):
    schemas.identifiers.errors.IdentifierError: '91340600MO2PENCC7K' holds 'O'; a credit code has no I, O, S, V, Z
    """
    code = compact(text)
    if len(code) != LENGTH:
        raise IdentifierError("length", f"{shown(text)} has {len(code)} characters, a credit code has {LENGTH}")
    if not _FORM.fullmatch(code):
        stranger = next(character for character in code if character not in _VALUES)
        raise IdentifierError("alphabet", f"{shown(text)} holds {shown(stranger)}; a credit code has no I, O, S, V, Z")
    if not _REGION.fullmatch(code, 2, 8):
        raise IdentifierError("region", f"{shown(text)} has {code[2:8]!r} at 3 to 8, expected six digits (GB/T 2260)")
    if code[16] != organisation_check(code[8:16]):
        raise IdentifierError(
            "organisation_check",
            f"{shown(text)} fails the organisation code's check at 17; copy it again from the licence",
        )
    if code[17] != check_character(code[:17]):
        raise IdentifierError("check", f"{shown(text)} fails the check at 18; copy it again from the licence")
    return code


def is_valid(text: str) -> bool:
    try:
        validate(text)
    except IdentifierError:
        return False
    return True


def format(text: str) -> str:  # noqa: A001 - the same four verbs in every identifier module
    """Grouped for reading: authority and kind, region, organisation code, check. Checks nothing."""
    code = compact(text)
    return f"{code[:2]} {code[2:8]} {code[8:17]} {code[17:]}".strip()


def check_character(head: str) -> str:
    """Position 18 for the first 17 characters: (31 - sum(Ci * Wi) mod 31) mod 31, Wi = 3^(i-1) mod 31.

    >>> check_character("91340600MA2PENCC7")
    'K'
    """
    total = sum(_VALUES[character] * weight for character, weight in zip(head, _WEIGHTS, strict=True))
    return ALPHABET[-total % 31]


def organisation_check(head: str) -> str:
    """Position 9 of an organisation code for its first 8: 11 - sum(Ci * Wi) mod 11, where 10 is X and 11 is 0.

    >>> organisation_check("MA2PENCC")
    '7'
    """
    total = sum(int(character, 36) * weight for character, weight in zip(head, _ORGANISATION_WEIGHTS, strict=True))
    return _ORGANISATION_CHECKS[total % 11]
