"""What a handler remembers between batches: no more than it may, and what was used last."""

from hypothesis import given
from hypothesis import strategies as st

from engine.ports import Entity
from engine.remembered import Remembered


def kept(remembered: Remembered[int]) -> set[tuple[int, str]]:
    return {(partition, key) for partition in range(4) for key in remembered.of(partition)}


def keep(remembered: Remembered[int], partition: int, keys: str, state: int = 0) -> None:
    remembered.keep(partition, {key: Entity(state) for key in keys})


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    remembered = Remembered[int](4)
    keep(remembered, 0, "abcd")
    keep(remembered, 0, "a")
    keep(remembered, 0, "ef")
    assert kept(remembered) == {(0, "d"), (0, "a"), (0, "e"), (0, "f")}


def test_the_partition_that_was_used_longest_ago_makes_room() -> None:
    remembered = Remembered[int](4)
    keep(remembered, 0, "ab")
    keep(remembered, 1, "c")
    keep(remembered, 0, "a")
    keep(remembered, 2, "xyz")
    assert kept(remembered) == {(0, "a"), (2, "x"), (2, "y"), (2, "z")}


def test_the_latest_is_remembered() -> None:
    remembered = Remembered[int](4)
    keep(remembered, 0, "ab", state=1)
    keep(remembered, 0, "b", state=2)
    assert {key: entity.state for key, entity in remembered.of(0).items()} == {"a": 1, "b": 2}
    assert "a" not in remembered.of(1)


def test_more_at_once_than_may_be_remembered() -> None:
    remembered = Remembered[int](2)
    keep(remembered, 0, "abcde")
    assert kept(remembered) == {(0, "d"), (0, "e")}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.text("abcdefgh", min_size=1, max_size=5)), max_size=40),
    st.integers(0, 12),
)
def test_never_more_than_the_limit_nor_less_than_fits(turns: list[tuple[int, str]], limit: int) -> None:
    remembered, seen = Remembered[int](limit), set[tuple[int, str]]()
    for partition, keys in turns:
        keep(remembered, partition, keys)
        seen |= {(partition, key) for key in keys}
        assert len(remembered) == len(kept(remembered)) <= limit
        assert len(remembered) == min(len(seen), limit)
        assert kept(remembered) <= seen
    remembered.clear()
    assert len(remembered) == 0
