"""What is kept of older records: what was read, without a hole, within its bounds."""

import random

from gateway.subscriptions.behind import Behind
from gateway.subscriptions.log import Stretch
from gateway.subscriptions.records import Record
from schemas.registry import Registry
from schemas.subscriptions import Place

PLACE, OTHER = Place("research.call.event", 0), Place("research.call.event", 1)


def stretch(registry: Registry, place: Place, *offsets: int, next_offset: int | None = None) -> Stretch:
    records = [Record(registry, place, offset, 0, (), b"x") for offset in offsets]
    return Stretch(place, records, next_offset or offsets[-1] + 1)


def found(behind: Behind, offset: int, records_max: int = 100, place: Place = PLACE) -> tuple[list[int], int] | None:
    known = behind.find(place, offset, records_max)
    return None if known is None else ([record.offset for record in known.records], known.next_offset)


def test_a_reader_goes_on_where_he_is_and_no_further_than_what_was_read(registry: Registry) -> None:
    behind = Behind()
    behind.keep(3, stretch(registry, PLACE, 5, 6, 9, next_offset=12))  # holes: transactions' markers
    assert found(behind, 3) == found(behind, 4) == ([5, 6, 9], 12)
    assert (found(behind, 6), found(behind, 3, 2)) == (([6, 9], 12), ([5, 6], 7))
    assert found(behind, 10) == ([], 12)
    assert found(behind, 2) is found(behind, 12) is found(behind, 5, place=OTHER) is None


def test_the_longest_unused_goes_first_and_one_is_always_kept(registry: Registry) -> None:
    behind = Behind(bytes_max=4)
    behind.keep(0, stretch(registry, PLACE, 0, 1))
    behind.keep(10, stretch(registry, PLACE, 10, 11))
    assert found(behind, 0) == ([0, 1], 2)
    behind.keep(20, stretch(registry, OTHER, 20, 21))
    assert found(behind, 10) is None
    assert found(behind, 0) == ([0, 1], 2)
    behind.keep(30, stretch(registry, PLACE, *range(30, 40)))
    assert found(behind, 0) is found(behind, 20, place=OTHER) is None
    assert found(behind, 38) == ([38, 39], 40)
    behind.clear()
    assert found(behind, 38) is None


def test_whoever_reads_all_by_it_reads_all_once(registry: Registry) -> None:
    """Stretches of any form, kept by readers who begin anywhere."""
    draw = random.Random(1)  # noqa: S311 - a sample, the same each time
    log = sorted(draw.sample(range(1_000), 600))
    behind = Behind(bytes_max=100)
    for _ in range(20):
        offset = begin = draw.randrange(500)
        seen: list[int] = []
        while offset < 1_000:
            known = found(behind, offset, draw.randrange(1, 20))
            if known is None:
                read = [one for one in log if one >= offset][: draw.randrange(1, 60)]
                end = read[-1] + 1 if read else 1_000
                behind.keep(offset, stretch(registry, PLACE, *read, next_offset=end) if read else Stretch(PLACE, (), end))
                offset = offset if read else end
                continue
            seen += known[0]
            offset = known[1]
        assert seen == [one for one in log if one >= begin]
