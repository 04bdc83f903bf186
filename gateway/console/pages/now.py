"""Now: what waits for a person, and what happens, by duty and by publisher."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from gateway.console import queries
from gateway.console.markup import Markup, address, join, link, tag
from gateway.console.pages.charts import Part, chart_section, hour_bars
from gateway.console.pages.links import event_name, subject_link
from gateway.console.pieces import Head, section, table, when
from gateway.console.queries import Beat, ClosingCall, Column, HourCount, Needs, News
from gateway.console.words import Speech, number, rate

# The Bureau's four duties by the domain that begins a topic's name; what the platform says of itself stands beside them.
DUTIES = {"policy": 1, "industry": 1, "research": 2, "transfer": 2, "infra": 3, "service": 4, "platform": 5}
_COLOURS = {
    "light": ("#8a6d1f", "#0b6b75", "#7a4e9e", "#3f6b2f", "#66737f"),
    "dark": ("#d8b95e", "#63c2cc", "#b99ad8", "#8fc07c", "#93a1ad"),
}
PUBLISHERS_MAX = 12


class Need(NamedTuple):
    """Something that waits: how many, of what, how urgent, where to go."""

    number: int
    word: str
    look: str
    href: str
    since: datetime | None = None


def duty_of(topic: str) -> int:
    """Which of the duties a topic serves."""
    return DUTIES.get(topic.partition(".")[0], 5)


def wants(needs: Needs, board: Iterable[Column], lag: int, unaccounted: int, mine: int = 0) -> list[Need]:
    """All that is not nought, the most urgent first. `mine`: alerts assigned to whoever looks."""
    columns = list(board)
    found = [
        Need(unaccounted, "need.unaccounted", "bad", address("way")),
        Need(needs.paused_partitions, "need.paused", "bad", address("way")),
        Need(needs.late_alerts, "need.late_alerts", "bad", address("alerts")),
        Need(mine, "need.mine", "warn", address("alerts", show="mine")),
        Need(needs.open_alerts - needs.late_alerts, "need.open_alerts", "warn", address("alerts")),
        Need(needs.quarantined, "need.quarantined", "warn", address("quarantine"), needs.quarantined_since),
        Need(sum(column.overdue for column in columns), "need.overdue", "warn", address("projects", claim="overdue")),
        Need(sum(column.at_risk for column in columns), "need.at_risk", "calm", address("projects", claim="at_risk")),
        Need(needs.closing_calls, "need.calls", "calm", f"{address('')}#calls"),
        Need(lag, "need.lag", "calm", address("way")),
    ]
    return [need for need in found if need.number]


def needs_section(say: Speech, found: Sequence[Need]) -> Markup:
    """Figures that lead on."""
    if not found:
        return section(say("needs_me"), tag("p", say("needs_nothing"), class_="notice good", role="status"))
    cards = [
        tag(
            "li",
            tag(
                "a",
                tag("strong", number(need.number)),
                tag("span", say(need.word)),
                tag("small", say("since", age=say.span((say.now - need.since).total_seconds()))) if need.since else None,
                href=need.href,
                class_=f"card {need.look}",
            ),
        )
        for need in found
    ]
    return section(say("needs_me"), tag("ul", cards, class_="cards"))


def recent_rate(beats: Iterable[Beat], now: datetime) -> float:
    """Events a second over the last whole minute of ticks."""
    last = int(now.timestamp()) // queries.TICK_S - 1
    ticks = 60 // queries.TICK_S
    return sum(beat.events for beat in beats if last - ticks < beat.tick <= last) / 60


def rates_by_duty(beats: Iterable[Beat], now: datetime) -> dict[int, list[float]]:
    """Events a second of each duty that has any, tick by tick, the oldest first. The tick under way is left out."""
    last = int(now.timestamp()) // queries.TICK_S - 1
    ticks = queries.PULSE_MINUTES * 60 // queries.TICK_S
    found: dict[int, list[float]] = {}
    for beat in beats:
        at = beat.tick - (last - ticks + 1)
        duty = duty_of(beat.topic)
        series = found.setdefault(duty, [0.0] * ticks)
        if 0 <= at < ticks:
            series[at] += beat.events / queries.TICK_S
    return dict(sorted(found.items()))


def chart(say: Speech, beats: Sequence[Beat], scheme: str) -> dict[str, Any]:
    """ECharts' options: one area a duty."""
    last = int(say.now.timestamp()) // queries.TICK_S - 1
    ticks = queries.PULSE_MINUTES * 60 // queries.TICK_S
    stamps = [
        datetime.fromtimestamp((last - ticks + 1 + at) * queries.TICK_S, say.zone).strftime("%H:%M:%S") for at in range(ticks)
    ]
    ink = "#56636f" if scheme == "light" else "#a9b6c2"
    rule = "#d9dfe4" if scheme == "light" else "#2c3842"
    series = [
        {
            "name": say(f"duty.{duty}"),
            "type": "line",
            "stack": "all",
            "areaStyle": {"opacity": 0.28},
            "lineStyle": {"width": 1.5},
            "symbol": "none",
            "color": _COLOURS[scheme][duty - 1],
            "data": [round(value, 2) for value in values],
        }
        for duty, values in rates_by_duty(beats, say.now).items()
    ]
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit"},
        "grid": {"left": 44, "right": 12, "top": 34, "bottom": 26},
        "legend": {
            "type": "scroll",  # on a narrow screen they would lie on the chart
            "top": 0,
            "left": 0,
            "textStyle": {"color": ink},
            "pageTextStyle": {"color": ink},
            "pageIconColor": ink,
            "icon": "roundRect",
            "itemWidth": 12,
            "itemHeight": 8,
        },
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category",
            "data": stamps,
            "boundaryGap": False,
            "axisLabel": {"color": ink},
            "axisLine": {"lineStyle": {"color": rule}},
            "axisTick": {"show": False},
        },
        "yAxis": {"type": "value", "axisLabel": {"color": ink}, "splitLine": {"lineStyle": {"color": rule}}},
        "series": series,
    }


def chart_in_words(say: Speech, beats: Sequence[Beat]) -> str:
    """The chart for those who cannot see it."""
    parts = [
        f"{say(f'duty.{duty}')}: {rate(sum(values) / max(1, len(values)))}"
        for duty, values in rates_by_duty(beats, say.now).items()
    ]
    return f"{say('by_duty_note', minutes=queries.PULSE_MINUTES)} {'; '.join(parts)}"


def day_section(say: Speech, counts: Sequence[HourCount]) -> Markup:
    """A day by the hour, beside the day before."""
    # What a rule rejects was taken before, perhaps in the hour before.
    undone = [one._replace(what="taken", number=-one.number) for one in counts if one.what == "rejected"]
    bars = hour_bars(say, [*counts, *undone], (("taken",), ("rejected", "quarantined")))
    bars = [bar._replace(counts=[max(0, number) for number in bar.counts]) for bar in bars]
    parts = [Part(say(f"trend.{look}"), look) for look in ("accepted", "refused")]
    return chart_section(say, say("events_day"), parts, bars, mark=say("day_before"), note=say("events_day_note"))


def publishers_section(say: Speech, beats: Sequence[Beat], *, is_found: bool = True) -> Markup:
    """Who sent how much, and when last. `is_found`: whether the reader may search for a publisher."""
    events: dict[str, int] = defaultdict(int)
    duties: dict[str, set[int]] = defaultdict(set)
    last: dict[str, datetime] = {}
    for beat in beats:
        events[beat.source] += beat.events
        duties[beat.source].add(duty_of(beat.topic))
        last[beat.source] = max(beat.last_at, last.get(beat.source, beat.last_at))
    busiest = sorted(events, key=lambda source: (-events[source], source))[:PUBLISHERS_MAX]
    rows = [
        (
            link(source, "search", q=source) if is_found else source,
            ", ".join(say(f"duty.{duty}") for duty in sorted(duties[source])),
            number(events[source]),
            rate(recent_rate((beat for beat in beats if beat.source == source), say.now)),
            when(say, last[source]),
        )
        for source in busiest
    ]
    heads = (
        Head(say("publisher")),
        Head(say("duty")),
        Head(say("events"), True),
        Head(say("rate"), True),
        Head(say("last_heard")),
    )
    minutes = queries.PULSE_MINUTES
    return section(
        say("by_partner"),
        table(say("by_partner"), heads, rows, empty=say("quiet", minutes=minutes)),
        note=say("by_partner_note", minutes=minutes),
    )


def news_section(say: Speech, news: Iterable[News]) -> Markup:
    """The latest events, each leading to what it is about."""
    lines = [
        tag(
            "li",
            when(say, item.recorded_at),
            tag("span", event_name(item.event_type), class_="what"),
            subject_link(item.topic, item.subject),
            tag("small", item.event_source),
        )
        for item in news
    ]
    body = tag("ol", lines, class_="news") if lines else tag("p", say("quiet", minutes=queries.PULSE_MINUTES), class_="empty")
    return section(say("latest"), body)


def calls_section(say: Speech, calls: Sequence[ClosingCall]) -> Markup | None:
    """Calls that close within 14 days."""
    if not calls:
        return None
    rows = [
        (
            join(link(call.title or call.call_id, "calls", call.call_id), tag("small", call.call_id)),
            call.programme,
            when(say, call.closes_at),
        )
        for call in calls
    ]
    heads = (Head(say("call")), Head(say("programme")), Head(say("closes")))
    return section(say("need.calls"), table(say("need.calls"), heads, rows, empty=""), id_="calls")


def lists(say: Speech, beats: Sequence[Beat], news: Iterable[News], calls: Sequence[ClosingCall]) -> Markup:
    """Publishers, and calls that close, beside the latest events."""
    left = tag("div", publishers_section(say, beats), calls_section(say, calls))
    return tag("div", left, news_section(say, news), class_="two")
