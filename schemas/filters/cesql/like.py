r"""The pattern of LIKE (norm, 3.4.3): `%` any characters, `_` one, `\%` and `\_` themselves, all else itself.

No translation to `.*`: that backtracks without bound. Between two `%` stands a segment of fixed length, and the leftmost
place for each, one after the other, decides.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from schemas.filters.cesql.errors import Failure
from schemas.filters.limits import LIKE_STEPS_MAX

Matcher = Callable[[str, list[Failure]], bool]

# An escaped wildcard, a wildcard, or a run of neither. A backslash before anything else is a character like any other.
_TOKEN: Final = re.compile(r"\\[%_]|[%_]|\\|[^\\%_]+")


class _Segment(NamedTuple):
    """What stands between two `%`: `plain` without `_`, else `wild`."""

    length: int
    plain: str | None
    wild: re.Pattern[str]

    def stands_at(self, text: str, start: int) -> bool:
        if self.plain is not None:
            return text.startswith(self.plain, start)
        return self.wild.match(text, start) is not None

    def find(self, text: str, start: int, end: int) -> int:
        if self.plain is not None:
            return text.find(self.plain, start, end)
        found = self.wild.search(text, start, end)
        return found.start() if found else -1


def matcher(pattern: str) -> Matcher:
    """The pattern as a predicate over whole texts."""
    first, *others = _segments(pattern)
    if not others:
        return _whole(first)
    *middle, last = others
    if not middle and first.plain is not None and last.plain is not None:
        return _ends(first.plain, last.plain)
    return _anywhere(first, middle, last)


def _whole(only: _Segment) -> Matcher:
    def matches(text: str, _: list[Failure]) -> bool:
        return len(text) == only.length and only.stands_at(text, 0)

    return matches


def _ends(first: str, last: str) -> Matcher:
    length_min = len(first) + len(last)

    def matches(text: str, _: list[Failure]) -> bool:
        return len(text) >= length_min and text.startswith(first) and text.endswith(last)

    return matches


def _anywhere(first: _Segment, middle: list[_Segment], last: _Segment) -> Matcher:
    length_min = first.length + last.length + sum(segment.length for segment in middle)
    # A plain segment is found in linear time; one with `_` may be compared in full at every place.
    step_chars = sum(segment.length for segment in middle if segment.plain is None)

    def matches(text: str, failures: list[Failure]) -> bool:
        if len(text) * step_chars > LIKE_STEPS_MAX:
            failures.append(Failure("generic", f"a text of {len(text)} characters is too long for this pattern of LIKE"))
            return False
        end = len(text) - last.length
        if len(text) < length_min or not (first.stands_at(text, 0) and last.stands_at(text, end)):
            return False
        start = first.length
        for segment in middle:
            found = segment.find(text, start, end)
            if found < 0:
                return False
            start = found + segment.length
        return True

    return matches


def _segments(pattern: str) -> list[_Segment]:
    parts: list[list[str | None]] = [[]]  # None is one character, whichever
    for found in _TOKEN.findall(pattern):
        if found == "%":
            parts.append([])
        elif found == "_":
            parts[-1].append(None)
        else:
            parts[-1].append(found[1:] if found in ("\\%", "\\_") else found)
    return [_segment(part) for part in parts]


def _segment(part: list[str | None]) -> _Segment:
    texts = [token for token in part if token is not None]
    length = sum(map(len, texts)) + part.count(None)
    plain = "".join(texts) if len(texts) == len(part) else None
    wild = re.compile("".join("." if token is None else re.escape(token) for token in part), re.DOTALL)
    return _Segment(length, plain, wild)
