"""A partner's scorecard: its last day in figures, with causes, and seven days as a chart. Pure."""

from collections.abc import Sequence
from datetime import datetime

from gateway import catalogue
from gateway.console import queries
from gateway.console.markup import Child, Markup, join, link, tag
from gateway.console.pieces import Head, badge, facts, section, table
from gateway.console.queries import PartnerRow, Tally
from gateway.console.scores import Day, Score, kept_of, kinds_of, last_day, score_of, trend
from gateway.console.words import Speech, number

_WIDTH, _HEIGHT, _TOP, _FOOT = 364, 168, 18, 20
_SLOT = _WIDTH // queries.SCORE_DAYS
_BAR = 30
_SEEN_PX = 2.0  # of the smallest part that is not nought
_REFUSED_WARN = 0.01
_LATE_MAX_S = 2_592_000


def score_section(say: Speech, row: PartnerRow, tallies: Sequence[Tally]) -> Markup:
    """The last day, why events were refused in it, what did not pass the gateway, and the trend."""
    day = last_day(tallies, say.now)
    score = score_of(day)
    causes = [
        (badge(say(f"score.{cause.outcome}"), "rejected"), tag("code", cause.reason), number(cause.events))
        for cause in score.causes
    ]
    heads = (Head(say("score.what")), Head(say("cause")), Head(say("events"), True))
    kinds = [(_kind(say, slug), tag("code", slug), number(events)) for slug, events in kinds_of(day)]
    kind_heads = (Head(say("problem")), Head(say("problem.slug")), Head(say("events"), True))
    days = trend(tallies, say.now, say.zone)
    return join(
        section(
            say("score", hours=queries.SCORE_HOURS),
            facts(
                (
                    (say("score.accepted"), number(score.accepted)),
                    (say("score.refused"), _refused(say, score)),
                    (say("score.duplicates"), number(score.duplicates)),
                    (say("score.late_half"), late(say, score.late_p50_s)),
                    (say("score.late_most"), late(say, score.late_p95_s)),
                    (say("score.promise"), _promise(say, row, day, say.now)),
                    (say("score.turned_away"), number(score.turned_away)),
                )
            ),
            table(say("score.causes"), heads, causes, empty=say("score.causes_none")),
            note=say("score_note"),
        ),
        section(
            say("turned_away", hours=queries.SCORE_HOURS),
            table(say("turned_away", hours=queries.SCORE_HOURS), kind_heads, kinds, empty=say("turned_away_none")),
            note=say("turned_away_note"),
        ),
        section(say("trend", days=queries.SCORE_DAYS), _legend(say), _chart(say, days), id_="trend"),
    )


def late(say: Speech, seconds: int | None) -> str | None:
    """A class of lateness by its upper bound."""
    if seconds is None:
        return None
    if seconds > _LATE_MAX_S:
        return say("score.later", span=say.span(_LATE_MAX_S))
    return say("score.within", span=say.span(seconds))


def refused_share(score: Score) -> str:
    """In percent; a little is not nothing."""
    share = 100 * score.refused_share
    return "<0.1 %" if 0 < share < 0.1 else f"{share:.1f} %"


def _refused(say: Speech, score: Score) -> Markup:
    refused = number(score.rejected + score.quarantined)
    text = say("score.share", number=refused, share=refused_share(score))
    return badge(text, "parked") if score.refused_share > _REFUSED_WARN else join(text)


def _promise(say: Speech, row: PartnerRow, day: Sequence[Tally], now: datetime) -> Child:
    if row.promised_s is None or row.promised_at is None:
        return None
    kept = kept_of(day, row.promised_s, row.promised_at, now)
    return say("score.kept", kept=kept.kept, periods=kept.periods) if kept.periods else None


def _kind(say: Speech, slug: str) -> Child:
    """By its title, which leads to what it means; one of a later gateway by its slug alone."""
    kind = catalogue.KINDS.get(slug)
    return slug if kind is None else link(kind.title.in_language(say.language), "problems", slug)


def _legend(say: Speech) -> Markup:
    items = [tag("li", tag("span", class_=f"swatch {part}", aria_hidden="true"), say(f"trend.{part}")) for part in _PARTS]
    return tag("ul", items, class_="legend")


_PARTS = ("accepted", "refused", "duplicate", "turned_away")


def _parts(score: Score) -> tuple[int, int, int, int]:
    """In the order of _PARTS."""
    return score.accepted, score.rejected + score.quarantined, score.duplicates, score.turned_away


def _chart(say: Speech, days: Sequence[Day]) -> Markup:
    most = max(1, *(sum(_parts(day.score)) for day in days))
    room = _HEIGHT - _TOP - _FOOT
    drawn: list[Markup] = []
    for at, day in enumerate(days):
        x, y = at * _SLOT + (_SLOT - _BAR) / 2, float(_HEIGHT - _FOOT)
        for part, events in zip(_PARTS, _parts(day.score), strict=True):
            if events:
                height = max(_SEEN_PX, room * events / most)
                y -= height
                drawn.append(tag("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=_BAR, height=f"{height:.1f}", class_=part))
        middle = at * _SLOT + _SLOT / 2
        drawn.append(tag("text", _short(sum(_parts(day.score))), x=middle, y=f"{y - 5:.1f}", text_anchor="middle"))
        drawn.append(tag("text", f"{day.day:%m-%d}", x=middle, y=_HEIGHT - 5, text_anchor="middle", class_="day"))
    return tag(
        "svg",
        drawn,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=_in_words(say, days),
        class_="trend",
    )


def _short(events: int) -> str:
    """Fits above a bar."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if events >= 10 * size:
            return f"{events / size:.0f}{unit}"
        if events >= size:
            return f"{events / size:.1f}{unit}"
    return str(events)


def _in_words(say: Speech, days: Sequence[Day]) -> str:
    """The chart for those who cannot see it."""
    told = []
    for day in days:
        accepted, refused, duplicates, turned_away = _parts(day.score)
        told.append(
            say(
                "trend_day",
                day=say.day(day.day),
                accepted=number(accepted),
                refused=number(refused),
                duplicates=number(duplicates),
                turned_away=number(turned_away),
            )
        )
    return f"{say('trend', days=queries.SCORE_DAYS)}: {'; '.join(told)}"
