"""Scorecards of partners, as functions of what was counted."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.console.pages import partners
from gateway.console.pages.scores import late, score_section
from gateway.console.queries import TURNED_AWAY, PartnerRow, Tally
from gateway.console.scores import Kept, Refusal, Score, kept_of, kinds_of, last_day, score_of, trend
from gateway.console.words import Speech
from gateway.sources import Register

NOW = datetime(2026, 6, 10, 8, 30, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
SAY = Speech("en", SHANGHAI, NOW)


def tally(hours_ago: int, outcome: str, events: int, reason: str = "", late_s: int = 0) -> Tally:
    hour = NOW.replace(minute=0) - timedelta(hours=hours_ago)
    return Tally("/partners/a", hour, outcome, reason, late_s, events)


DAY = [
    tally(0, "taken", 60, late_s=10),
    tally(3, "taken", 36, late_s=300),
    tally(3, "taken", 4, late_s=604_800),
    tally(3, "rejected", 10, "order"),
    tally(4, "rejected", 5, "amount"),
    tally(4, "quarantined", 25, "data_invalid"),
    tally(5, "duplicate", 7),
]


def test_score_counts_what_holds_and_ranks_what_does_not() -> None:
    score = score_of(DAY)
    causes = (
        Refusal("quarantined", "data_invalid", 25),
        Refusal("rejected", "order", 10),
        Refusal("rejected", "amount", 5),
    )
    # Of 125 that came for the first time, 15 were taken and rejected, 25 never taken.
    assert score == Score(85, 15, 25, 7, 10, 300, causes)
    assert score.refused_share == 0.32


def test_score_of_nothing_claims_nothing() -> None:
    assert score_of([]) == Score(0, 0, 0, 0, None, None)
    assert score_of([]).refused_share == 0.0


def test_what_the_gateway_refused_stands_apart_by_kind_and_keeps_no_promise() -> None:
    refused = [
        tally(0, TURNED_AWAY, 3, "rate_exceeded"),
        tally(7, TURNED_AWAY, 4, "contract_broken"),
        tally(9, TURNED_AWAY, 2, "gone"),
    ]
    assert score_of([*DAY, *refused]) == score_of(DAY)._replace(turned_away=9)
    assert kinds_of([*DAY, *refused]) == [("contract_broken", 4), ("rate_exceeded", 3), ("gone", 2)]
    assert kept_of(refused, 3_600, NOW - timedelta(days=90), NOW) == Kept(0, 24)


def test_last_day_ends_with_the_hour_under_way() -> None:
    assert [one.events for one in last_day([tally(0, "taken", 1), tally(23, "taken", 2), tally(24, "taken", 3)], NOW)] == [1, 2]


def test_trend_has_the_days_of_the_reader_s_zone_also_those_without_events() -> None:
    # 16:00 UTC is the next day in Shanghai: 16 h ago it was 00:00 there.
    days = trend([tally(16, "taken", 5), tally(17, "taken", 3), tally(24 * 6, "taken", 2)], NOW, SHANGHAI)
    assert [day.day for day in days] == [date(2026, 6, 4) + timedelta(days=at) for at in range(7)]
    assert [day.score.accepted for day in days] == [2, 0, 0, 0, 0, 3, 5]


def test_promise_is_kept_in_the_periods_in_which_something_came() -> None:
    long_ago = NOW - timedelta(days=90)
    heard = [tally(1, "taken", 1), tally(2, "duplicate", 1), tally(9, "quarantined", 1)]
    assert kept_of(heard, 3_600, long_ago, NOW) == Kept(3, 24)
    assert kept_of(heard, 21_600, long_ago, NOW) == Kept(2, 4)
    assert kept_of(heard, 60, long_ago, NOW) == Kept(3, 24)  # hours are the finest that is kept
    assert kept_of(heard, 3_600, NOW - timedelta(hours=2), NOW) == Kept(2, 2)  # it promises that since then
    assert kept_of(heard, 172_800, long_ago, NOW) == Kept(0, 0)  # longer than the day that is looked at


def test_lateness_is_told_by_the_class_that_it_is_within() -> None:
    assert [late(SAY, seconds) for seconds in (None, 300, 31_536_000)] == [None, "within 5 min", "later than 30 d"]


def test_section_says_the_figures_and_what_the_chart_shows() -> None:
    promised_at = NOW - timedelta(days=90)
    row = PartnerRow("a", "A", ["publish:*"], ["/partners/a"], 1, 1, 0, None, 3_600, promised_at, NOW, False)
    refused = [tally(1, TURNED_AWAY, 30, "contract_broken"), tally(1, TURNED_AWAY, 1, "of_tomorrow")]
    told = score_section(SAY, row, [*DAY, *refused, tally(40, "taken", 12_000)])
    for words in ("40, 32.0 %", "within 10 s", "within 5 min", "in 3 of 24 periods", "data_invalid", "12k"):
        assert words in told, words
    assert "2026-06-10: 85 accepted; 40 rejected or quarantined; 7 sent again; 31 refused by the gateway" in told
    assert "12,000 accepted; 0 rejected or quarantined; 0 sent again; 0 refused by the gateway" in told
    assert '<a href="/console/problems/contract_broken">The event breaks its contract</a>' in told
    assert "<code>of_tomorrow</code>" in told
    assert "problems/of_tomorrow" not in told
    chinese = score_section(Speech("zh", SHANGHAI, NOW), row, [*DAY, *refused])
    assert '<a href="/console/problems/contract_broken">事件不符合数据契约</a>' in chinese
    assert "24 个周期中的 3 个" in chinese
    assert "2026-06-10: 已接受 85; 驳回或隔离 40; 重复发送 7; 网关拒收 31" in chinese


def test_list_counts_each_event_for_its_partner_once() -> None:
    def row(key: str, *sources: str) -> PartnerRow:
        return PartnerRow(key, key.title(), [], list(sources), 1, 1, 0, None, None, None, None, False)

    rows = [row("whole", "/partners/a"), row("part", "/partners/a/b"), row("near", "/partners/ab")]
    counted = [one._replace(source="/partners/a/b") for one in (tally(0, "taken", 41, late_s=2), tally(1, "rejected", 1))]
    register = Register({one.partner_id: one.sources for one in rows})
    told = partners.list_section(SAY, rows, [], [*counted, tally(2, "taken", 100, late_s=2)], register)
    cells = re.findall(r'data-label="Accepted, 24 h" class="number">([\d,]*)<', told)
    assert cells == ["100", "40", "0"]
    assert re.findall(r'data-label="Refused, 24 h" class="number">([^<]*)<', told) == ["0.0 %", "2.4 %", "0.0 %"]
