"""What was read behind the newest records lately, kept for a while for whoever reads on, or reads the same.

A page takes far fewer records than a look into Kafka brings. Without this a reader who begins at the earliest event would fetch
each record some fifty times, and a hundred such readers would fetch all for themselves.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from typing import Final

from gateway.subscriptions.log import Stretch
from gateway.subscriptions.records import Record
from schemas.subscriptions import Place

BYTES_MAX: Final = 32 * 1024 * 1024  # of events, as they came


class Behind:
    """Stretches of all places; what was used the longest time ago goes first. Of one thread alone."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[tuple[Place, int], Stretch] = OrderedDict()  # by where each begins
        self._begins: dict[Place, list[int]] = {}

    def keep(self, begin: int, stretch: Stretch) -> None:
        """What was read from `begin` on. One that begins where another does replaces it."""
        if not stretch.records:
            return
        key = (stretch.place, begin)
        self._drop(key)
        self._kept[key] = stretch
        begins = self._begins.setdefault(stretch.place, [])
        begins.insert(bisect_left(begins, begin), begin)
        self._bytes += _size(stretch)
        while self._bytes > self._bytes_max and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    def find(self, place: Place, offset: int, records_max: int) -> Stretch | None:
        """What is known from here on."""
        begins = self._begins.get(place, ())
        at = bisect_right(begins, offset) - 1
        if at < 0:
            return None
        key = (place, begins[at])
        stretch = self._kept[key]
        if offset >= stretch.next_offset:
            return None
        self._kept.move_to_end(key)
        first = bisect_left(stretch.records, offset, key=_offset)
        found = stretch.records[first : first + records_max]
        is_all = first + len(found) == len(stretch.records)
        return Stretch(place, found, stretch.next_offset if is_all else found[-1].offset + 1)

    def clear(self) -> None:
        """Nobody reads, or the log is no longer the same."""
        self._kept.clear()
        self._begins.clear()
        self._bytes = 0

    def _drop(self, key: tuple[Place, int]) -> None:
        stretch = self._kept.pop(key, None)
        if stretch is not None:
            self._bytes -= _size(stretch)
            self._begins[key[0]].remove(key[1])


def _size(stretch: Stretch) -> int:
    return sum(record.size_bytes for record in stretch.records)


def _offset(record: Record) -> int:
    return record.offset
