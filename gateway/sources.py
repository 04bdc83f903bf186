"""Whose a source is: of the partner to whom the nearest registered source, itself or one above it, was given. Pure.

So every source has one owner, though a partner's lab may be a partner of its own (docs/adr/0029).
`nearest_source` is `nearest` in SQL, for panels and the console's pages.
"""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from typing import Final

SOURCE_CHARS_MAX: Final = 255  # of one that is given to a partner

Own = Mapping[str, Sequence[str]]
"""A partner's sources. It has what stands below each, but for what stands below the sources that it leads to."""


def nearest(source: str, registered: Container[str]) -> str:
    """The registered source that this one is, or stands below with no other between; empty: there is none."""
    above = source[: SOURCE_CHARS_MAX + 1]  # what is longer stands below, and a publisher's slashes without end cost nothing
    while above and above not in registered:
        above = above.rpartition("/")[0]
    return above


class Register:
    """Which sources each partner was given, by its id."""

    def __init__(self, sources_of: Mapping[str, Sequence[str]]) -> None:
        self._sources_of = sources_of
        self._registered = {source for sources in sources_of.values() for source in sources}
        self._below: dict[str, list[str]] = defaultdict(list)
        for source in sorted(self._registered):
            self._below[self.nearest(source.rpartition("/")[0])].append(source)

    def nearest(self, source: str) -> str:
        """See `nearest`."""
        return nearest(source, self._registered)

    def own(self, partner_id: str) -> Own:
        """What a partner has; nothing is in two of them."""
        return {source: self._below.get(source, []) for source in self._sources_of.get(partner_id, ())}

    def has(self, partner_id: str, source: str) -> bool:
        """Whether the source is this partner's."""
        return self.nearest(source) in self._sources_of.get(partner_id, ())
