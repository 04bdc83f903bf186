"""Rate and quota of one partner; time moves by the clock."""

from datetime import UTC, datetime

import pytest

from engine.clock import FakeClock
from gateway.limits import Allowance, Meter, Meters
from gateway.problems import Problem

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY_LEFT_S = 12 * 3600


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


def refusal(meter: Meter, events: int) -> tuple[str, str]:
    """Of which kind, and after how many seconds to come again."""
    with pytest.raises(Problem) as refused:
        meter.count_events(events)
    return refused.value.kind.slug, refused.value.headers["retry-after"]


class TestRate:
    def test_burst_passes_and_no_more(self, clock: FakeClock) -> None:
        meter = Meter(Allowance(2, 3, 100), clock)
        for _ in range(3):
            meter.count_request()
        with pytest.raises(Problem) as refused:
            meter.count_request()
        assert refused.value.kind.slug == "rate_exceeded"
        assert refused.value.headers == {
            "retry-after": "1",
            "ratelimit-policy": '"rate";q=3;w=2, "day";q=100;w=86400',
            "ratelimit": f'"rate";r=0;t=2, "day";r=100;t={DAY_LEFT_S}',
        }

    def test_what_retry_after_says_is_true(self, clock: FakeClock) -> None:
        meter = Meter(Allowance(10, 100, 1_000), clock)
        meter.count_request()
        meter.count_events(100)
        meter_says = refusal(meter, 72)
        assert meter_says == ("rate_exceeded", "8")
        clock.advance(7)
        assert refusal(meter, 72) == ("rate_exceeded", "1")
        clock.advance(1)
        meter.count_events(72)

    def test_batch_costs_as_many_as_it_has_events(self, clock: FakeClock) -> None:
        meter = Meter(Allowance(1, 10, 100), clock)
        meter.count_request()
        meter.count_events(6)
        assert meter.headers()["ratelimit"] == f'"rate";r=4;t=6, "day";r=94;t={DAY_LEFT_S}'

    def test_empty_batch_costs_a_request(self, clock: FakeClock) -> None:
        meter = Meter(Allowance(1, 10, 100), clock)
        meter.count_request()
        meter.count_events(0)
        assert meter.headers()["ratelimit"] == f'"rate";r=9;t=1, "day";r=100;t={DAY_LEFT_S}'

    def test_bucket_never_holds_more_than_the_burst(self, clock: FakeClock) -> None:
        meter = Meter(Allowance(1, 10, 100), clock)
        meter.count_request()
        clock.advance(1_000)
        assert meter.headers()["ratelimit"].startswith('"rate";r=10;t=0,')

    def test_clock_that_goes_on_slowly_gives_parts_of_an_event(self, clock: FakeClock) -> None:
        meter = Meter(Allowance(1, 1, 100), clock)
        meter.count_request()
        clock.advance(0.6)
        with pytest.raises(Problem):
            meter.count_request()
        clock.advance(0.4)
        meter.count_request()


class TestQuota:
    def test_day_has_its_quota_and_the_refused_batch_takes_nothing(self, clock: FakeClock) -> None:
        meter = Meter(Allowance(1_000, 1_000, 10), clock)
        meter.count_events(8)
        assert refusal(meter, 3) == ("quota_exceeded", str(DAY_LEFT_S))
        meter.count_events(2)
        assert refusal(meter, 1) == ("quota_exceeded", str(DAY_LEFT_S))

    def test_new_day_begins_at_midnight_utc(self, clock: FakeClock) -> None:
        meter = Meter(Allowance(1_000, 1_000, 10), clock)
        meter.count_events(10)
        clock.advance(DAY_LEFT_S - 1)
        assert refusal(meter, 1) == ("quota_exceeded", "1")
        clock.advance(1)
        meter.count_events(10)


class TestMeters:
    def test_partners_do_not_use_up_each_others(self, clock: FakeClock) -> None:
        meters = Meters(clock)
        meters.of("a", Allowance(1, 1, 1)).count_request()
        meters.of("b", Allowance(1, 1, 1)).count_request()
        with pytest.raises(Problem):
            meters.of("a", Allowance(1, 1, 1)).count_request()

    def test_changed_allowance_keeps_what_was_used(self, clock: FakeClock) -> None:
        meters = Meters(clock)
        meters.of("a", Allowance(1, 10, 10)).count_events(10)
        assert refusal(meters.of("a", Allowance(1, 10, 11)), 2)[0] == "quota_exceeded"
        meters.of("a", Allowance(1, 10, 11)).count_events(1)
