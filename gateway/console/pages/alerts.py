"""Alerts: three axes side by side, and one alert with its story and what people did."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gateway.console import queries
from gateway.console.markup import Markup, address, join, link, tag
from gateway.console.pages.charts import Part, chart_section, hour_bars
from gateway.console.pieces import Head, badge, choices, exactly, facts, filters, notice, section, table, text_field, when
from gateway.console.queries import AlertFilter, AlertRow, Assignment, Deed, HourCount, Page
from gateway.console.words import Speech, number

SHOWS = ("waiting", "mine", "silenced", "all")
SILENCE_HOURS = (1, 4, 24, 72, 168, 720)


def filter_form(say: Speech, chosen: AlertFilter) -> Markup:
    """What to show, severity, words."""
    severities = [("", say("all")), *((value, say.value("severity", value)) for value in queries.SEVERITIES)]
    return filters(
        say,
        address("alerts"),
        choices("show", say("show"), chosen.show, [(show, say(f"show.{show}")) for show in SHOWS]),
        choices("severity", say("severity"), chosen.severity, severities),
        text_field("words", say("search_for"), chosen.words),
    )


def list_section(say: Speech, page: Page[AlertRow], assigned: Mapping[str, Assignment]) -> Markup:
    """Those nobody took in time first."""
    rows = [
        (
            badge(say.value("severity", row.severity), row.severity),
            join(link(row.title or row.alert_key, "alerts", row.alert_key), tag("small", row.alert_key)),
            badge(say.value("condition", row.condition), row.condition),
            join(badge(say.value("handling", row.handling), row.handling), lateness(say, row)),
            quiet(say, row),
            say.span(row.age_s) if row.age_s is not None else "",
            assignee(row, assigned) or "",
        )
        for row in page.rows
    ]
    heads = (
        Head(say("severity")),
        Head(say("alert")),
        Head(say("condition")),
        Head(say("handling")),
        Head(say("suppression")),
        Head(say("age"), True),
        Head(say("assignee")),
    )
    more = tag("p", say("more", count=len(page.rows)), class_="note") if page.has_more else None
    return section(
        say("alerts"),
        table(say("alerts.title"), heads, rows, empty=say("nothing")),
        more,
        note=say("silence_note"),
    )


def day_section(say: Speech, counts: Sequence[HourCount]) -> Markup:
    """A day by the hour: what was raised, beside what ended."""
    grave = ("critical", "high")
    others = {one.what for one in counts} - {*grave, "ended"}
    ended = Counter({one.hour: one.number for one in counts if one.what == "ended"})
    parts = [Part(say("alerts_grave"), "refused"), Part(say("alerts_other"), "part-1")]
    bars = hour_bars(say, counts, (grave, tuple(others)), marks=ended)
    return chart_section(say, say("alerts_day"), parts, bars, mark=say("alerts_ended"), note=say("alerts_day_note"))


def quiet(say: Speech, row: AlertRow) -> Markup:
    """Whether somebody asked for quiet, and when that ends."""
    if row.silenced_until is None:
        return tag("span", say.value("suppression", row.suppression), class_="quiet")
    return join(badge(say.value("suppression", row.suppression), row.suppression), _ends(say, row))


def silence_spans(say: Speech) -> dict[int, str]:
    """Hours to choose from, in words."""
    return {hours: say("hours", n=hours) if hours < 48 else say("days", n=hours // 24) for hours in SILENCE_HOURS}


def lateness(say: Speech, row: AlertRow) -> Markup | None:
    """By when somebody should take it, or should have."""
    if row.acknowledge_by is None or row.handling != "open" or row.condition != "firing":
        return None
    if row.is_acknowledged_late:
        return badge(f"{say('late')} · {say.ago(row.acknowledge_by)}", "late")
    return tag("small", say("act_by", when=say.ago(row.acknowledge_by)))


def assignee(row: AlertRow, assigned: Mapping[str, Assignment]) -> str | None:
    """Whose it is. An assignment is of one episode: the next one is nobody's."""
    found = assigned.get(row.alert_key)
    return found.assignee if found is not None and found.episode == row.episodes else None


def sheet(say: Speech, row: AlertRow, whose: str | None) -> Markup:
    """The three axes, then the figures."""
    axes = tag(
        "dl",
        *(
            tag("div", tag("dt", say(name)), tag("dd", badge(say.value(name, value), value), extra))
            for name, value, extra in (
                ("severity", row.severity, None),
                ("condition", row.condition, None),
                ("handling", row.handling, lateness(say, row)),
                ("suppression", row.suppression, _ends(say, row)),
            )
        ),
        class_="axes",
    )
    return join(
        axes,
        section(
            say("details"),
            facts(
                (
                    (say("assignee"), whose),
                    (say("monitor"), row.monitor),
                    (say("age"), say.span(row.age_s) if row.age_s is not None else None),
                    (say("raised"), exactly(say, row.raised_at)),
                    (say("last_seen"), when(say, row.last_seen)),
                    (say("ended"), exactly(say, row.ended_at)),
                    (say("reason"), row.closed_reason),
                    (say("episodes"), number(row.episodes)),
                    (say("repeats"), number(row.repeats)),
                    (say("reopened"), number(row.reopened)),
                )
            ),
        ),
    )


def _ends(say: Speech, row: AlertRow) -> Markup | None:
    if row.silenced_until is None:
        return None
    return tag("small", say("silenced_until", when=say.instant(row.silenced_until)), title=say.ago(row.silenced_until))


def deeds_section(say: Speech, deeds: Iterable[Deed]) -> Markup:
    """What people did, the latest first."""
    lines = [
        tag(
            "li",
            when(say, deed.done_at),
            tag("strong", deed.done_by),
            tag("span", say(f"deed.{deed.action}", **_said(say, deed))),
            tag("q", deed.detail["text"]) if deed.detail.get("text") else None,
        )
        for deed in deeds
    ]
    body = tag("ol", lines, class_="news") if lines else tag("p", say("no_deeds"), class_="empty")
    return section(say("deeds"), body)


def _said(say: Speech, deed: Deed) -> dict[str, object]:
    until = deed.detail.get("until")
    return {name: deed.detail.get(name, "") for name in ("to", "count", "first", "last")} | {
        "until": say.instant(datetime.fromisoformat(until)) if until else ""
    }


def missing(say: Speech, key: str) -> Markup:
    """There is no such alert."""
    return notice(say("missing_why", what=say("alert"), key=key), "warn")
