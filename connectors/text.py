"""Mojibake: UTF-8 that somebody read as Windows-1252 and wrote as UTF-8 again (`â€“` for `–`)."""

import re

# What the first bytes of a UTF-8 sequence look like in Windows-1252: `â€` for most punctuation, `Ã` or `Â` and a byte
# of 80-BF for Latin letters and signs.
_SIGNS = re.compile("â€|[ÃÂ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")


def has_mojibake(text: str) -> bool:
    """Whether a text shows the signs."""
    return not text.isascii() and _SIGNS.search(text) is not None


def repaired(text: str) -> str | None:
    """The text as it was meant, or None when the whole of it cannot be read so."""
    raw = bytearray()
    for char in text:
        try:
            raw += char.encode("cp1252")
        except UnicodeEncodeError:
            # The five bytes that Windows-1252 leaves open come through as C1 controls.
            if ord(char) > 0xFF:
                return None
            raw.append(ord(char))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
