"""Cursors come back as they went out, or not at all."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.subscriptions.cursors import CURSOR_CHARS_MAX, CursorError, Moving, decode, encode
from schemas.subscriptions import Place
from schemas.topics import TOPICS

POSITIONS = st.dictionaries(
    st.builds(Place, st.sampled_from(sorted(TOPICS)), st.integers(0, 63)), st.integers(0, 2**62), max_size=40
)
CURSOR = encode({Place("research.call.event", 0): 7, Place("research.call.event", 1): 3})


@given(POSITIONS)
def test_a_cursor_says_the_positions_it_was_made_of(positions: dict[Place, int]) -> None:
    assert decode(encode(positions)) == positions


@given(POSITIONS, st.lists(st.tuples(st.builds(Place, st.sampled_from(sorted(TOPICS)), st.integers(0, 63)), st.integers(0))))
def test_positions_that_move_give_the_cursors_that_they_would_give_anew(
    positions: dict[Place, int], moves: list[tuple[Place, int]]
) -> None:
    moving, now = Moving(positions), dict(positions)
    for place, offset in moves:
        moving.move(place, offset)
        now[place] = offset
        assert moving.cursor().decode() == encode(now)
        assert decode(encode(now)) == now


def test_the_order_of_the_positions_does_not_matter() -> None:
    first, second = (Place("research.call.event", 0), 7), (Place("infra.alert.event", 3), 9)
    assert encode(dict([first, second])) == encode(dict([second, first]))


def test_every_partition_of_every_topic_fits_into_the_longest_cursor() -> None:
    whole = {Place(topic.name, number): 10**15 for topic in TOPICS.values() for number in range(topic.partitions * 2)}
    assert len(encode(whole)) < CURSOR_CHARS_MAX


@pytest.mark.parametrize("at", range(len(CURSOR)))
def test_a_cursor_with_one_wrong_letter_is_refused(at: int) -> None:
    wrong = "A" if CURSOR[at] != "A" else "B"
    changed = CURSOR[:at] + wrong + CURSOR[at + 1 :]
    # The last letter of Base64 may carry bits that say nothing.
    if _bytes(changed) != _bytes(CURSOR):
        with pytest.raises(CursorError):
            decode(changed)


@pytest.mark.parametrize("at", range(len(CURSOR)))
def test_a_cut_cursor_is_refused(at: int) -> None:
    with pytest.raises(CursorError):
        decode(CURSOR[:at])


@pytest.mark.parametrize("text", ["", "0", "earliest", "游标", "%00", "a" * (CURSOR_CHARS_MAX + 1), CURSOR + "\n"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        decode(text)


def _bytes(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
