"""The schedule: what an answer does to a delivery and to its endpoint, as arithmetic without any waiting."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.webhooks.schedule import (
    Acknowledged,
    Answer,
    Dead,
    Disable,
    Endpoint,
    History,
    Outcome,
    Policy,
    RetryAt,
    after_answer,
    answer_of,
    decide,
    delay_s,
    is_given_up,
    may_send,
    retry_after_s,
)

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
POLICY = Policy()
MIDDLE = 0.5  # no jitter


def _later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def _outcome(status: int) -> str:
    return answer_of(status, {}, NOW).outcome


def test_only_2xx_acknowledges() -> None:
    assert {status for status in range(100, 600) if _outcome(status) == "acknowledged"} == set(range(200, 300))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (301, "redirected"),
        (400, "refused"),
        (401, "refused"),
        (404, "refused"),
        (410, "gone"),
        (413, "unprocessable"),
        (415, "unprocessable"),
        (429, "throttled"),
        (500, "failed"),
        (502, "overloaded"),
        (503, "throttled"),
        (504, "overloaded"),
    ],
)
def test_each_status_means_one_thing(status: int, outcome: str) -> None:
    assert _outcome(status) == outcome


def test_an_acknowledged_delivery_is_done() -> None:
    assert decide(POLICY, History(), Answer("acknowledged"), NOW, NOW, MIDDLE) == (History(1, 1, NOW), Acknowledged())


def test_410_disables() -> None:
    assert decide(POLICY, History(), Answer("gone"), NOW, NOW, MIDDLE)[1] == Disable("gone")


def test_what_the_same_bytes_will_never_mend_is_dead_at_once() -> None:
    assert decide(POLICY, History(), Answer("unprocessable"), NOW, NOW, MIDDLE)[1] == Dead("unprocessable")


def test_the_first_attempt_is_dated_by_its_begin_and_not_by_its_answer() -> None:
    answered = NOW + timedelta(seconds=20)
    history, _ = decide(POLICY, History(), Answer("timeout"), NOW, answered, MIDDLE)
    assert history.first_at == NOW
    assert decide(POLICY, history, Answer("timeout"), answered, answered, MIDDLE)[0].first_at == NOW


def test_waits_grow_from_seconds_to_half_days_and_end_after_three_days() -> None:
    history, now, waits = History(), NOW, []
    while True:
        history, decision = decide(POLICY, history, Answer("failed"), now, now, MIDDLE)
        if not isinstance(decision, RetryAt):
            break
        waits.append((decision.at - now).total_seconds())
        now = decision.at
    assert waits == [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, *[43_200] * 5]
    assert decision == Dead("exhausted")
    assert now - NOW <= timedelta(days=3)


@given(chance=st.floats(0, 1, exclude_max=True), failures=st.integers(1, 40))
def test_jitter_moves_a_wait_by_a_fifth_at_most(chance: float, failures: int) -> None:
    planned = POLICY.delays_s[min(failures, 9) - 1]
    assert planned * 0.8 <= delay_s(POLICY, failures, None, chance) <= planned * 1.2


@given(chance=st.floats(0, 1, exclude_max=True), failures=st.integers(0, 40), asked=st.floats(0, 86_400))
def test_no_attempt_comes_before_the_receiver_s_retry_after(chance: float, failures: int, asked: float) -> None:
    assert delay_s(POLICY, failures, asked, chance) >= asked


def test_a_retry_after_of_years_is_taken_for_a_day() -> None:
    assert delay_s(POLICY, 1, 10**9, 0) == 86_400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Mon, 02 Mar 2026 08:01:00 GMT", 60),
        ("Monday, 02-Mar-26 08:01:00 GMT", 60),
        ("Mon Mar  2 08:01:00 2026", 60),
        ("Mon, 02 Mar 2026 07:00:00 GMT", 0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@given(value=st.text(max_size=40))
def test_any_retry_after_is_read_or_ignored(value: str) -> None:
    found = retry_after_s(value, NOW)
    assert found is None or found >= 0


def test_a_receiver_that_puts_off_does_not_use_up_the_schedule() -> None:
    history, decision = decide(POLICY, History(3, 0, NOW), Answer("throttled", 429, 7), NOW, NOW, 0)
    assert (history, decision) == (History(4, 0, NOW), RetryAt(_later(7)))


# --- endpoint ---


def _after(endpoint: Endpoint, outcome: Outcome, *, at_s: float = 0, retry_s: float | None = None) -> Endpoint:
    return after_answer(POLICY, endpoint, Answer(outcome, retry_after_s=retry_s), _later(at_s), at_s)


def _tripped() -> Endpoint:
    endpoint = Endpoint()
    for _ in range(POLICY.circuit_failures):
        endpoint = _after(endpoint, "failed")
    return endpoint


def test_ten_failures_in_a_row_break_the_circuit_for_ten_seconds() -> None:
    endpoint = _tripped()
    assert endpoint.is_open
    assert not may_send(endpoint, _later(9.9), 0)
    assert may_send(endpoint, _later(10), 0)


def test_nine_failures_and_a_success_do_not() -> None:
    endpoint = Endpoint()
    for _ in range(5):
        for _ in range(9):
            endpoint = _after(endpoint, "failed")
        endpoint = _after(endpoint, "acknowledged")
    assert not endpoint.is_open


def test_a_broken_circuit_lets_one_probe_through_at_a_time() -> None:
    assert not may_send(_tripped(), _later(10), 1)


def test_answers_still_under_way_when_it_broke_do_not_lengthen_the_pause() -> None:
    endpoint = _tripped()
    for _ in range(30):
        endpoint = _after(endpoint, "failed", at_s=1)
    assert endpoint.closed_until == _later(10)


def test_each_failed_probe_doubles_the_pause_up_to_five_minutes() -> None:
    endpoint, now_s, pauses = _tripped(), 0.0, []
    for _ in range(7):
        assert endpoint.closed_until is not None
        pauses.append((endpoint.closed_until - _later(now_s)).total_seconds())
        now_s += pauses[-1]
        endpoint = _after(endpoint, "timeout", at_s=now_s)
    assert pauses == [10, 20, 40, 80, 160, 300, 300]


def test_one_good_probe_closes_the_circuit() -> None:
    endpoint = _after(_tripped(), "acknowledged", at_s=10)
    assert (endpoint.is_open, endpoint.failures, endpoint.failing_since) == (False, 0, None)
    assert may_send(endpoint, _later(10), 31)


def test_refusals_do_not_break_the_circuit_since_the_endpoint_works() -> None:
    endpoint = Endpoint()
    for _ in range(100):
        endpoint = _after(endpoint, "refused")
    assert not endpoint.is_open


def test_429_stops_all_until_its_retry_after() -> None:
    endpoint = _after(Endpoint(), "throttled", retry_s=30)
    assert not may_send(endpoint, _later(29), 0)
    assert may_send(endpoint, _later(30), 0)


def test_a_good_answer_that_was_under_way_does_not_lift_a_retry_after() -> None:
    endpoint = _after(_after(Endpoint(), "throttled", retry_s=30), "acknowledged", at_s=1)
    assert not may_send(endpoint, _later(29), 0)
    assert may_send(endpoint, _later(30), 0)


def test_a_shorter_retry_after_does_not_shorten_a_longer_one() -> None:
    endpoint = _after(_after(Endpoint(), "throttled", retry_s=30), "throttled", retry_s=1)
    assert not may_send(endpoint, _later(29), 0)


def test_a_retry_after_of_nothing_still_waits_a_little() -> None:
    assert delay_s(POLICY, 0, 0, MIDDLE) == 5


def test_a_throttle_halves_what_went_through_once_a_window() -> None:
    endpoint = Endpoint()
    for _ in range(100):
        endpoint = _after(endpoint, "acknowledged", at_s=0.5)
    for _ in range(32):
        endpoint = _after(endpoint, "throttled", at_s=0.9)
    assert endpoint.limit_per_s == 50


def test_the_rate_falls_to_a_trickle_and_never_to_nothing() -> None:
    endpoint = Endpoint()
    for second in range(60):
        endpoint = _after(endpoint, "overloaded", at_s=second * 2)
    assert endpoint.limit_per_s == POLICY.rate_per_s_min


def test_the_rate_recovers_without_complaint_and_keeps_to_the_cap() -> None:
    endpoint = replace(Endpoint(cap_per_s=20), rate_per_s=1)
    seen = []
    for second in range(40):
        endpoint = _after(endpoint, "acknowledged", at_s=second * 1.1)
        seen.append(endpoint.limit_per_s)
    assert seen == sorted(seen, key=lambda rate: rate or 0)
    assert seen[-1] == 20


def test_silence_does_not_raise_the_rate() -> None:
    endpoint = replace(Endpoint(), rate_per_s=1)
    for second in range(40):
        endpoint = _after(endpoint, "refused", at_s=second * 1.1)
    assert endpoint.rate_per_s == 1


def test_an_endpoint_that_never_answers_well_for_five_days_is_given_up() -> None:
    endpoint = _after(Endpoint(), "failed")
    endpoint = _after(endpoint, "refused", at_s=4 * 86_400)
    assert not is_given_up(POLICY, endpoint, NOW + timedelta(days=5, seconds=-1))
    assert is_given_up(POLICY, endpoint, NOW + timedelta(days=5))
    assert not is_given_up(POLICY, _after(endpoint, "acknowledged"), NOW + timedelta(days=9))
