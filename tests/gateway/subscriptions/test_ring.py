"""What the shared tail keeps of a partition: the newest, without a hole, within its bounds."""

import pytest

from gateway.subscriptions import tail
from gateway.subscriptions.records import Record
from gateway.subscriptions.tail import Ring
from schemas.registry import Registry
from schemas.subscriptions import Place

PLACE = Place("research.call.event", 0)


def ring_of(registry: Registry, *offsets: int, start: int = 0, size_bytes: int = 1) -> Ring:
    ring = Ring(start)
    for offset in offsets:
        ring.append(Record(registry, PLACE, offset, 0, (), b"x" * size_bytes))
    return ring


def offsets(ring: Ring, offset: int, records_max: int = 100) -> tuple[list[int], int]:
    stretch = ring.stretch(PLACE, offset, records_max)
    return [record.offset for record in stretch.records], stretch.next_offset


def test_a_stretch_begins_where_it_was_asked_and_goes_on_behind_what_it_has(registry: Registry) -> None:
    ring = ring_of(registry, 5, 6, 7, start=5)
    assert [offsets(ring, 5), offsets(ring, 7), offsets(ring, 8)] == [([5, 6, 7], 8), ([7], 8), ([], 8)]


def test_a_part_of_it_ends_behind_its_last_record(registry: Registry) -> None:
    assert offsets(ring_of(registry, 5, 6, 7, start=5), 5, records_max=2) == ([5, 6], 7)


def test_offsets_without_a_record_are_passed_over(registry: Registry) -> None:
    ring = ring_of(registry, 5, 9, start=5)
    assert [offsets(ring, 6), offsets(ring, 5, records_max=1)] == [([9], 10), ([5], 6)]


def test_it_forgets_the_oldest_and_says_from_where_it_knows_all(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "RING_RECORDS_MAX", 8)
    ring = ring_of(registry, *range(100))
    kept, _ = offsets(ring, ring.start)
    assert kept == list(range(ring.start, 100))
    assert 6 <= len(kept) <= 8


def test_it_is_bounded_in_bytes_too_but_keeps_the_newest(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "RING_BYTES_MAX", 1_000)
    assert offsets(ring_of(registry, *range(20), size_bytes=300), 17) == ([17, 18, 19], 20)
    assert offsets(ring_of(registry, 0, size_bytes=5_000), 0) == ([0], 1)
