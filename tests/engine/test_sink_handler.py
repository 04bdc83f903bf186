"""What a sink stored is booked, each record once, on its partition's day, however often the transaction is tried."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from psycopg import Cursor

from engine.handlers import SinkHandler
from engine.ports import Row
from engine.records import DAY_MS, Decoded, Record, Work
from schemas.contract import Fact

NOBODY: Any = None


class Store:
    """Finds the repeats that it is told of."""

    name = "store"
    topics = ("a",)

    def __init__(self, *tries: set[int]) -> None:
        self.tries = list(tries)
        self.rows: list[Row] = []

    def prepare(self, rows: Sequence[Row]) -> Callable[[Cursor[Any]], set[int]]:
        self.rows = list(rows)
        return lambda _: self.tries.pop(0)


def _decoded(partition: int, offset: int, day: int) -> Decoded:
    record = Record("a", partition, offset, day * DAY_MS, b"k", None, b"{}")
    fact = Fact("n", f"{partition}-{offset}", "/s", "k", datetime(2026, 3, 2, tzinfo=UTC), None)
    return Decoded(record, fact, "t.v1", None)


RECORDS = [_decoded(0, 5, 1), _decoded(0, 6, 1), _decoded(0, 7, 2), _decoded(0, 9, 2), _decoded(1, 9, 2), _decoded(0, 10, 2)]


@pytest.mark.parametrize(
    ("repeats", "expected"),
    [
        (set(), {(0, 1): {"applied": 2}, (0, 2): {"applied": 3}, (1, 2): {"applied": 1}}),
        ({0, 5}, {(0, 1): {"applied": 1, "duplicate": 1}, (0, 2): {"applied": 2, "duplicate": 1}, (1, 2): {"applied": 1}}),
        ({1, 2, 4}, {(0, 1): {"applied": 1, "duplicate": 1}, (0, 2): {"applied": 2, "duplicate": 1}, (1, 2): {"duplicate": 1}}),
        (set(range(6)), {(0, 1): {"duplicate": 2}, (0, 2): {"duplicate": 3}, (1, 2): {"duplicate": 1}}),
    ],
)
def test_each_record_is_booked_once(repeats: set[int], expected: dict[tuple[int, int], dict[str, int]]) -> None:
    store = Store({3}, repeats)
    work = Work([], {}, {})
    work.counter(RECORDS[0].record)["quarantined"] = 1
    SinkHandler(store).decide(RECORDS, work)
    assert [(row.partition, row.offset) for row in store.rows] == [(0, 5), (0, 6), (0, 7), (0, 9), (1, 9), (0, 10)]
    work.save(NOBODY)
    work.save(NOBODY)  # the first transaction was rolled back
    expected[0, 1]["quarantined"] = 1
    found = {(partition, (day - date(1970, 1, 1)).days): dict(counts) for (_, partition, day), counts in work.outcomes.items()}
    assert found == expected


def test_a_batch_without_a_good_record_is_written() -> None:
    work = Work([], {}, {})
    SinkHandler(Store(set())).decide([], work)
    work.save(NOBODY)
    assert work.outcomes == {}
