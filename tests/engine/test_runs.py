"""Where records follow one another: what is done once for a run must hold for each of its records."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.records import DAY_MS, Record, runs_of

_places = st.tuples(
    st.sampled_from(["a", "b"]), st.integers(0, 2), st.integers(0, 6), st.sampled_from([-1, 0, DAY_MS - 1, DAY_MS])
)


def _records(places: Sequence[tuple[str, int, int, int]]) -> list[Record]:
    return [Record(topic, partition, offset, at, None, None, None) for topic, partition, offset, at in places]


@given(st.lists(_places, max_size=12))
def test_runs_cover_all_records_and_break_where_something_changes(places: list[tuple[str, int, int, int]]) -> None:
    records = _records(places)
    runs = runs_of(records)
    assert [position for begin, end in runs for position in range(begin, end)] == list(range(len(records)))
    breaks = {begin for begin, _ in runs[1:]}
    for position in range(1, len(records)):
        before, after = records[position - 1], records[position]
        follows = (
            before.place == after.place
            and after.offset == before.offset + 1
            and before.timestamp_ms // DAY_MS == after.timestamp_ms // DAY_MS
        )
        assert follows != (position in breaks)


def test_none_has_no_run() -> None:
    assert runs_of([]) == []
