"""Charts of counts in time: bars of parts with something to compare, told in words, and a table behind. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from gateway.console.markup import Child, Markup, join, tag
from gateway.console.pieces import Head, section, table
from gateway.console.queries import CHART_HOURS, HourCount
from gateway.console.words import Speech, number

_WIDTH: Final = 364
_HEIGHT: Final = 152
_TOP: Final = 18
_FOOT: Final = 20
_BAR_SHARE: Final = 0.62  # of the room that a bar has
_SEEN_PX: Final = 2.0  # of the smallest part that is not nought
_NUMBERS_MAX: Final = 8  # more bars have no room for a number and a label each
_HOUR: Final = timedelta(hours=1)


class Part(NamedTuple):
    """What bars are made of. look: a class of console.css."""

    title: str
    look: str


class Bar(NamedTuple):
    """label: short, below it; name: in full; counts: one for each part; mark: what it is compared with."""

    label: str
    name: str
    counts: Sequence[int]
    mark: int | None = None

    @property
    def total(self) -> int:
        return sum(self.counts)


def chart_section(
    say: Speech,
    title: str,
    parts: Sequence[Part],
    bars: Sequence[Bar],
    *,
    mark: str = "",
    note: str = "",
    id_: str | None = None,
) -> Markup:
    """Parts lie on each other, the first at the bottom. `mark`: the title of what bars are compared with."""
    if not any(bar.total or bar.mark for bar in bars):
        return section(title, tag("p", say("chart_none"), class_="empty"), note=note, id_=id_)
    drawn = tag("div", _svg(say, title, parts, bars), _legend(parts, bars, mark), class_="charted")
    return section(title, drawn, _behind(say, title, parts, bars, mark), note=note, id_=id_)


def hour_bars(
    say: Speech, counts: Iterable[HourCount], whats: Sequence[Sequence[str]], marks: Mapping[datetime, int] | None = None
) -> list[Bar]:
    """The last CHART_HOURS, the one under way among them.

    `whats`: what counts for each part; a count that is in none is left out. `marks` None: the same hour of the day before.
    """
    part_of = {what: at for at, many in enumerate(whats) for what in many}
    by_hour: dict[datetime, list[int]] = defaultdict(lambda: [0] * len(whats))
    for one in counts:
        if one.what in part_of:
            by_hour[one.hour][part_of[one.what]] += one.number
    this = say.now.replace(minute=0, second=0, microsecond=0)
    hours = [this - back * _HOUR for back in reversed(range(CHART_HOURS))]
    return [
        Bar(
            f"{hour.astimezone(say.zone):%H}",
            f"{hour.astimezone(say.zone):%m-%d %H:%M}",
            by_hour[hour],
            sum(by_hour[hour - CHART_HOURS * _HOUR]) if marks is None else marks.get(hour, 0),
        )
        for hour in hours
    ]


def _legend(parts: Sequence[Part], bars: Sequence[Bar], mark: str) -> Markup:
    marks = [(Part(mark, "mark"), sum(bar.mark or 0 for bar in bars))] if mark else []
    items = [
        tag("li", tag("span", class_=f"swatch {part.look}", aria_hidden="true"), part.title, " ", tag("strong", number(total)))
        for part, total in (*zip(parts, _totals(parts, bars), strict=True), *marks)
    ]
    return tag("ul", items, class_="legend")


def _totals(parts: Sequence[Part], bars: Sequence[Bar]) -> list[int]:
    return [sum(bar.counts[at] for bar in bars) for at in range(len(parts))]


def _svg(say: Speech, title: str, parts: Sequence[Part], bars: Sequence[Bar]) -> Markup:
    most = max(1, *(max(bar.total, bar.mark or 0) for bar in bars))
    room, floor = _HEIGHT - _TOP - _FOOT, float(_HEIGHT - _FOOT)
    slot = _WIDTH / len(bars)
    width = slot * _BAR_SHARE
    are_numbered = len(bars) <= _NUMBERS_MAX
    every = -(-len(bars) // _NUMBERS_MAX)
    drawn: list[Markup] = [] if are_numbered else [_ceiling(most)]
    for at, bar in enumerate(bars):
        x, y = slot * at + (slot - width) / 2, floor
        middle = f"{slot * (at + 0.5):.1f}"
        pieces: list[Child] = [tag("title", f"{bar.name}: {_counted(say, parts, bar.counts)}")]
        for part, count in zip(parts, bar.counts, strict=True):
            if count:
                height = max(_SEEN_PX, room * count / most)
                y -= height
                pieces.append(
                    tag("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}", class_=part.look)
                )
        if bar.mark:
            level = f"{floor - room * bar.mark / most:.1f}"
            pieces.append(tag("line", x1=f"{slot * at:.1f}", x2=f"{slot * (at + 1):.1f}", y1=level, y2=level, class_="mark"))
        if are_numbered:
            pieces.append(tag("text", _short(bar.total), x=middle, y=f"{y - 5:.1f}", text_anchor="middle"))
        if at % every == 0:
            pieces.append(tag("text", bar.label, x=middle, y=_HEIGHT - 5, text_anchor="middle", class_="label"))
        drawn.append(tag("g", pieces))
    return tag(
        "svg",
        drawn,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=_in_words(say, title, parts, bars),
        class_="bars",
    )


def _ceiling(most: int) -> Markup:
    """How much the highest is, where no bar says its own number."""
    line = tag("line", x1=0, x2=_WIDTH, y1=_TOP, y2=_TOP, class_="rule")
    return join(line, tag("text", _short(most), x=0, y=_TOP - 5, class_="label"))


def _counted(say: Speech, parts: Sequence[Part], counts: Iterable[int]) -> str:
    return "; ".join(say("chart_part", title=part.title, count=number(n)) for part, n in zip(parts, counts, strict=True))


def _in_words(say: Speech, title: str, parts: Sequence[Part], bars: Sequence[Bar]) -> str:
    """What the chart shows, for those who cannot see it; the table has the rest."""
    highest = max(bars, key=lambda bar: bar.total)
    totals = _counted(say, parts, _totals(parts, bars))
    return say("chart_words", title=title, totals=totals, count=number(highest.total), name=highest.name)


def _behind(say: Speech, title: str, parts: Sequence[Part], bars: Sequence[Bar], mark: str) -> Markup:
    marks = [mark] if mark else []
    rows = [(bar.name, *map(number, bar.counts), *([number(bar.mark or 0)] if mark else [])) for bar in bars]
    heads = (Head(say("happened")), *(Head(name, True) for name in (*(part.title for part in parts), *marks)))
    return tag("details", tag("summary", say("chart_table")), table(title, heads, rows, empty=""))


def _short(count: int) -> str:
    """Fits above a bar."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= 10 * size:
            return f"{count / size:.0f}{unit}"
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)
