"""Charts of counts in time: as high as what they count, told in words, with a table behind, in colours that are seen."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import gateway.console
from gateway.console.markup import Markup
from gateway.console.pages import alerts, now, quarantine
from gateway.console.pages.charts import Bar, Part, chart_section, hour_bars
from gateway.console.queries import CHART_HOURS, HourCount
from gateway.console.words import Speech

NOW = datetime(2026, 6, 10, 8, 20, tzinfo=UTC)
THIS = NOW.replace(minute=0)
HOUR = timedelta(hours=1)
SAY = Speech("en", ZoneInfo("Asia/Shanghai"), NOW)
PARTS = (Part("good", "accepted"), Part("<b>bad</b>", "refused"))
CSS = (Path(gateway.console.__file__).parent / "files" / "console.css").read_text(encoding="utf-8")


def heights(told: str, look: str) -> list[float]:
    """Of all bars' parts of this look."""
    return [float(found) for found in re.findall(rf'<rect [^>]*height="([\d.]+)" class="{look}"', told)]


def test_bars_are_as_high_as_what_they_count_and_the_least_is_seen() -> None:
    told = chart_section(SAY, "T", PARTS, [Bar("a", "day a", (1_000, 0)), Bar("b", "day b", (500, 1))])
    whole, half = heights(told, "accepted")
    assert whole == pytest.approx(2 * half)
    assert heights(told, "refused") == [2.0]
    assert "<b>" not in told


def test_chart_is_told_in_words_and_as_a_table() -> None:
    told = chart_section(SAY, "T", PARTS, [Bar("a", "day a", (1_000, 0), 7), Bar("b", "day b", (500, 1), 8)], mark="before")
    label = "T: 1,500 good; 1 &lt;b&gt;bad&lt;/b&gt;. The most is 1,000, day a. A table follows."
    assert f'role="img" aria-label="{label}"' in told
    assert re.findall(r"<td[^>]*>([^<]*)</td>", told) == ["day a", "1,000", "0", "7", "day b", "500", "1", "8"]
    assert "before <strong>15</strong>" in told


def test_few_bars_say_their_number_and_many_say_how_much_the_highest_is() -> None:
    few = chart_section(SAY, "T", PARTS, [Bar(str(at), str(at), (1_200 * at, 0)) for at in range(8)])
    assert [text for text in re.findall(r"<text[^>]*>([^<]*)<", few) if "k" in text][-1] == "8.4k"
    many = chart_section(SAY, "T", PARTS, [Bar(f"{at:02}", "", (1_200 * at, 0), 90_000) for at in range(24)])
    texts = re.findall(r"<text[^>]*>([^<]*)<", many)
    assert texts == ["90k", *(f"{at:02}" for at in range(0, 24, 3))]  # of the marks, too


def test_hours_end_with_the_one_under_way_in_the_readers_zone_beside_the_day_before() -> None:
    counts = [
        HourCount(THIS, "taken", 5),
        HourCount(THIS - 23 * HOUR, "taken", 6),
        HourCount(THIS - 24 * HOUR, "taken", 7),
        HourCount(THIS - 24 * HOUR, "rejected", 1),
        HourCount(THIS - 48 * HOUR, "taken", 99),
        HourCount(THIS, "something else", 99),
    ]
    bars = hour_bars(SAY, counts, (("taken",), ("rejected",)))
    assert len(bars) == CHART_HOURS
    assert bars[-1] == Bar("16", "06-10 16:00", [5, 0], 8)
    assert bars[0] == Bar("17", "06-09 17:00", [6, 0], 0)
    assert sum(bar.total for bar in bars) == 11


def test_day_on_now_takes_what_rules_rejected_from_what_was_taken() -> None:
    counts = [HourCount(THIS, "taken", 10), HourCount(THIS, "rejected", 2), HourCount(THIS, "quarantined", 1)]
    told = now.day_section(SAY, counts)
    assert "accepted <strong>8</strong>" in told
    assert "rejected or quarantined <strong>3</strong>" in told
    early = now.day_section(SAY, [HourCount(THIS, "rejected", 2)])  # taken in the hour before the day
    assert "accepted <strong>0</strong>" in early


def test_alerts_stand_by_severity_beside_those_that_ended() -> None:
    counts = [HourCount(THIS, what, n) for what, n in (("critical", 1), ("high", 2), ("low", 4), ("", 8), ("ended", 5))]
    told = alerts.day_section(SAY, counts)
    for words in ("critical or high <strong>3<", "others <strong>12<", "ended <strong>5<"):
        assert words in told


def test_causes_that_are_few_are_one_part_and_the_day_before_chooses_none() -> None:
    causes = {"data_invalid": 9, "type_unknown": 8, "json_invalid": 7, "too_large": 6, "time_missing": 5, "source_unknown": 4}
    counts = [HourCount(THIS, what, n) for what, n in causes.items()]
    told = quarantine.day_section(SAY, [*counts, HourCount(THIS - 30 * HOUR, "old", 99)])
    legend = re.findall(r"</span>([^<]+) <strong>(\d+)<", told)
    named = [(what, str(n)) for what, n in causes.items()][:4]
    assert legend == [*named, ("other causes", "9"), ("the day before", "99")]


@pytest.mark.parametrize("section", [now.day_section, alerts.day_section, quarantine.day_section])
def test_day_without_anything_says_so(section: Callable[[Speech, list[HourCount]], Markup]) -> None:
    told = section(SAY, [HourCount(THIS - 50 * HOUR, "ended", 1)])
    assert "Nothing in this time." in told
    assert "<svg" not in told


def test_quiet_day_stands_beside_the_day_before() -> None:
    told = quarantine.day_section(SAY, [HourCount(THIS - 30 * HOUR, "data_invalid", 3)])
    assert "the day before <strong>3<" in told


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_part_can_be_told_from_its_ground(scheme: str) -> None:
    start = CSS.index(":root {" if scheme == "light" else ':root[data-scheme="dark"]')
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", CSS[start : CSS.index("}", start)]))
    parts = [colours[name] for name in ("accent", "bad", "ink", *(f"part-{n}" for n in range(1, 6)))] + ["#8795a1"]
    low = {part: ratio for part in parts if (ratio := contrast(part, colours["sheet"])) < 3}  # WCAG 2.2, 1.4.11
    assert low == {}


def contrast(one: str, other: str) -> float:
    """As WCAG defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Relative, of sRGB."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
