"""What the steps of one worker take at once."""

from engine.share import LEAST, Share


def test_steps_with_a_backlog_share_and_who_has_none_takes_a_share_like_them() -> None:
    share = Share(10_000)
    assert share.of("projects", is_busy=False) == 10_000
    assert share.of("projects", is_busy=True) == 10_000
    assert share.of("history", is_busy=False) == 5_000
    assert share.of("history", is_busy=True) == 5_000
    assert share.of("projects", is_busy=True) == 5_000
    assert share.of("alerts", is_busy=False) == 3_333
    assert share.of("projects", is_busy=False) == 5_000
    assert share.of("history", is_busy=True) == 10_000


def test_a_share_is_never_so_small_that_batches_cost_more_than_memory_is_worth() -> None:
    share = Share(10_000)
    assert min(share.of(f"step-{number}", is_busy=True) for number in range(20)) == LEAST
    few = Share(7)
    assert [few.of(name, is_busy=True) for name in ("a", "b")] == [7, 7]
