"""A partner's scorecard: its last day in figures, with causes, and seven days as a chart. Pure."""

from collections.abc import Sequence
from datetime import datetime

from gateway import catalogue
from gateway.console import queries
from gateway.console.markup import Child, Markup, join, link, tag
from gateway.console.pages import reasons
from gateway.console.pages.charts import Bar, Part, chart_section
from gateway.console.pieces import Head, badge, facts, section, table
from gateway.console.queries import PartnerRow, Tally
from gateway.console.scores import Day, Score, kept_of, kinds_of, last_day, score_of, trend
from gateway.console.words import Speech, number

_REFUSED_WARN = 0.01
_LATE_MAX_S = 2_592_000


def score_section(say: Speech, row: PartnerRow, tallies: Sequence[Tally]) -> Markup:
    """The last day, why events were refused in it, what did not pass the gateway, and the trend."""
    day = last_day(tallies, say.now)
    score = score_of(day)
    causes = [
        (badge(say(f"score.{cause.outcome}"), "rejected"), reasons.named(say, cause.reason), number(cause.events))
        for cause in score.causes
    ]
    heads = (Head(say("score.what")), Head(say("cause")), Head(say("events"), True))
    kinds = [(_kind(say, slug), tag("code", slug), number(events)) for slug, events in kinds_of(day)]
    kind_heads = (Head(say("problem")), Head(say("problem.slug")), Head(say("events"), True))
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
        _trend(say, trend(tallies, say.now, say.zone)),
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


def _trend(say: Speech, days: Sequence[Day]) -> Markup:
    parts = [Part(say(f"trend.{look}"), look) for look in ("accepted", "refused", "duplicate", "turned_away")]
    bars = [
        Bar(
            f"{day.day:%m-%d}",
            say.day(day.day),
            (day.score.accepted, day.score.rejected + day.score.quarantined, day.score.duplicates, day.score.turned_away),
        )
        for day in days
    ]
    return chart_section(say, say("trend", days=queries.SCORE_DAYS), parts, bars, id_="trend")
