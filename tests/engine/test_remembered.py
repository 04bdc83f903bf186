"""What a handler remembers between batches: no more than it may, and what was used last."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from engine.ports import Entity
from engine.remembered import Remembered


def keep(remembered: Remembered[int], *keys: str, state: int = 0) -> None:
    remembered.keep([{key: Entity(state) for key in mine} for mine in keys])


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    remembered = Remembered[int](4)
    keep(remembered, "abcd")
    keep(remembered, "a")
    keep(remembered, "ef")
    assert list(remembered.by_key) == ["d", "a", "e", "f"]


def test_few_that_are_used_often_outlive_many_that_come_once() -> None:
    remembered = Remembered[int](100)
    for turn in range(50):
        keep(remembered, "abc")
        remembered.keep([{f"{turn}.{number}": Entity(0) for number in range(90)}])
    assert {*"abc"} <= remembered.by_key.keys()


def test_nothing_is_forgotten_that_the_same_batch_uses() -> None:
    remembered = Remembered[int](4)
    keep(remembered, "abcd")
    keep(remembered, "xy", "ab")
    assert list(remembered.by_key) == ["x", "y", "a", "b"]


def test_the_latest_is_remembered() -> None:
    remembered = Remembered[int](4)
    keep(remembered, "ab", state=1)
    keep(remembered, "b", state=2)
    assert {key: entity.state for key, entity in remembered.by_key.items()} == {"a": 1, "b": 2}


@given(st.lists(st.lists(st.text("abcdefgh", min_size=1, max_size=5), max_size=3), max_size=40), st.integers(0, 12))
def test_it_is_the_order_of_use(turns: list[list[str]], limit: int) -> None:
    remembered, used = Remembered[int](limit), OrderedDict[str, None]()
    for batch in turns:
        keep(remembered, *batch)
        for mine in batch:
            for key in dict.fromkeys(mine):  # one that stands twice in a text is one entity there, at its first place
                used[key] = None
                used.move_to_end(key)
        while len(used) > limit:
            used.popitem(last=False)
        assert list(remembered.by_key) == list(used)
        assert len(remembered) == len(used)
    remembered.clear()
    assert len(remembered) == 0
