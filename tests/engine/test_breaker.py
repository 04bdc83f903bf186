"""The brake on quarantine, as a pure function of what it is shown."""

from hypothesis import given
from hypothesis import strategies as st

from engine.breaker import Breaker
from engine.options import BreakerOptions

OPTIONS = BreakerOptions(run_max=5, ratio_max=0.5, window_records=20)


def judged(breaker: Breaker, begin: int, bads: list[bool]) -> int | None:
    """The offset of the first trip, if any."""
    for offset, is_bad in enumerate(bads, begin):
        back_to = breaker.judge(offset, is_bad)
        if back_to is not None:
            return back_to
    return None


def test_a_run_trips_at_its_first_record() -> None:
    assert judged(Breaker(OPTIONS), 0, [False, False, True, True, True, True, True]) == 2


def test_a_run_that_ends_by_itself_passes() -> None:
    assert judged(Breaker(OPTIONS), 0, [True] * 4 + [False] + [True] * 4) is None


def test_a_share_trips_at_the_record_that_exceeds_it() -> None:
    assert judged(Breaker(OPTIONS), 0, [False, False, True, True] * 5 + [True, True]) == 20


def test_no_share_is_taken_of_a_window_that_is_not_full() -> None:
    assert judged(Breaker(OPTIONS), 0, [True, True, True, False] * 4) is None


def test_an_operators_word_lets_records_pass_below_its_offset_only() -> None:
    breaker = Breaker(OPTIONS)
    breaker.allowed_until = 10
    assert judged(breaker, 0, [True] * 14) is None
    assert breaker.judge(14, True) == 10


def test_a_rewind_makes_a_second_judgement_the_same_as_the_first() -> None:
    breaker = Breaker(OPTIONS)
    assert judged(breaker, 0, [False, True, True, True]) is None
    breaker.rewind(2)
    assert judged(breaker, 2, [True, True, True]) is None
    assert breaker.judge(5, True) == 1


def test_after_a_trip_the_same_records_trip_again() -> None:
    breaker = Breaker(OPTIONS)
    assert judged(breaker, 0, [True] * 3) is None  # an earlier batch: committed
    for _ in range(3):
        assert judged(breaker, 3, [True] * 3) == 0
        breaker.rewind(3)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=12), max_size=20), st.data())
def test_never_does_a_whole_run_pass(batches: list[list[bool]], data: st.DataObject) -> None:
    """As the runner does it: batches, resets to the ledger at any time, probes after a trip."""
    log = [is_bad for batch in batches for is_bad in batch]
    breaker, position, passed = Breaker(OPTIONS), 0, list[bool]()
    for _ in range(60):
        end = min(len(log), position + data.draw(st.integers(1, 12)))
        if position == end:
            break
        back_to = judged(breaker, position, log[position:end])
        if back_to is not None:
            end = max(back_to, position)
            breaker.rewind(end)
        if data.draw(st.booleans()):  # not committed after all
            breaker.rewind(position)
            continue
        passed += log[position:end]
        position = end
    assert all(any(not is_bad for is_bad in passed[at : at + 5]) for at in range(len(passed) - 4))
