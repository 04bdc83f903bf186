"""Quarantine: the work queue by cause, and one record with its error pointed at."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from gateway.console import queries
from gateway.console.markup import Markup, address, join, link, tag
from gateway.console.pages import reasons
from gateway.console.pages.charts import Part, chart_section, hour_bars
from gateway.console.pages.links import event_name
from gateway.console.pieces import Head, badge, exactly, facts, notice, section, table, when
from gateway.console.queries import Cause, HeldFilter, HeldRow, HeldSheet, HourCount, Page
from gateway.console.words import Speech, number

SHOWN_CHARS_MAX = 200_000
CHARTED_MAX = 4  # causes that a chart names


def causes_section(say: Speech, causes: Iterable[Cause], *, note: str) -> Markup:
    """Each cause leads to its records."""
    rows = [
        (
            tag(
                "a",
                reasons.named(say, cause.reason),
                href=address("quarantine", reason=cause.reason, source=cause.event_source or "-"),
            ),
            cause.event_source or say("unreadable_source"),
            event_name(cause.event_type) if cause.event_type else "",
            number(cause.records),
            when(say, cause.first_failed_at),
        )
        for cause in causes
    ]
    heads = (
        Head(say("cause")),
        Head(say("publisher")),
        Head(say("event")),
        Head(say("records"), True),
        Head(say("first_failed")),
    )
    return section(say("by_cause"), table(say("by_cause"), heads, rows, empty=say("quarantine_empty")), note=note)


def day_section(say: Speech, counts: Sequence[HourCount]) -> Markup:
    """A day by the hour and cause, beside the day before."""
    since = say.now - timedelta(hours=queries.CHART_HOURS)
    recent: Counter[str] = Counter()
    for one in counts:
        recent[one.what] += one.number if one.hour > since else 0
    first = sorted(recent, key=lambda cause: (-recent[cause], cause))[:CHARTED_MAX]
    others = tuple(recent.keys() - set(first))
    parts = [Part(cause, f"part-{at}") for at, cause in enumerate(first, 1)]
    if others:
        parts.append(Part(say("causes_other"), f"part-{CHARTED_MAX + 1}"))
    bars = hour_bars(say, counts, [*((cause,) for cause in first), *([others] if others else [])])
    return chart_section(say, say("causes_day"), parts, bars, mark=say("day_before"), note=say("causes_day_note"))


def records_section(say: Speech, page: Page[HeldRow], chosen: HeldFilter) -> Markup:
    """The records of a cause, or all."""
    rows = [
        (
            link(f"#{row.id}", "quarantine", str(row.id)),
            reasons.named(say, row.reason),
            tag("code", row.pointer or "/"),
            row.event_source or say("unreadable_source"),
            tag("small", f"{row.topic} p{row.partition}@{row.record_offset}"),
            badge(say.value("held", row.state), row.state),
            when(say, row.first_failed_at),
        )
        for row in page.rows
    ]
    heads = tuple(Head(say(word)) for word in ("record", "cause", "pointer", "publisher", "place", "state", "first_failed"))
    shows = tag(
        "p",
        tag("a", say("show.waiting"), href=address("quarantine"), aria_current=_current(chosen.state == "waiting")),
        tag("a", say("show.settled"), href=address("quarantine", state="all"), aria_current=_current(chosen.state == "all")),
        class_="switch",
    )
    more = tag("p", say("more", count=len(page.rows)), class_="note") if page.has_more else None
    return section(say("records"), shows, table(say("records"), heads, rows, empty=say("nothing")), more)


def _current(holds: bool) -> str | None:
    return "true" if holds else None


def sheet(say: Speech, record: HeldSheet) -> Markup:
    """What is wrong, where, judged by what."""
    return join(
        tag(
            "div",
            tag("h1", f"{say('record')} #{record.id}"),
            badge(say.value("held", record.state), record.state),
            class_="title",
        ),
        section(
            say("error_at"),
            notice(reasons.told(say, record.reason, record.pointer, record.message), "bad"),
            facts(
                (
                    (say("publisher"), record.event_source),
                    (say("event"), record.event_id),
                    (say("contract"), record.contract or record.event_type),
                    (say("place"), f"{record.topic} p{record.partition}@{record.record_offset}"),
                    (say("step"), f"{record.step} ({record.code_version})"),
                    (say("attempts"), number(record.attempts)),
                    (say("recorded"), exactly(say, record.record_time)),
                    (say("first_failed"), exactly(say, record.first_failed_at)),
                    (
                        say("held.replayed") if record.state == "replayed" else say("held.parked"),
                        exactly(say, record.settled_at),
                    ),
                )
            ),
        ),
    )


def bytes_section(say: Speech, record: HeldSheet) -> Markup:
    """The record as it came, with the line of the error marked where it can be told."""
    text = text_of(record)
    if text is None:
        shown = notice(say("not_text"), "warn")
        return section(
            say("as_it_came"), shown, tag("pre", (record.value or b"").hex(" ")[:SHOWN_CHARS_MAX], class_="bytes", tabindex="0")
        )
    pretty = pretty_json(text)
    bad = line_of(pretty, record.pointer)
    lines = [
        tag("mark", line, title=record.pointer, aria_label=say("line", line=number)) if number == bad else line
        for number, line in enumerate(pretty[:SHOWN_CHARS_MAX].split("\n"), 1)
    ]
    body = [part for line in lines for part in (line, "\n")]
    return section(say("as_it_came"), tag("pre", body, class_="bytes", tabindex="0"))


def text_of(record: HeldSheet) -> str | None:
    """The bytes as text, or None where they are none."""
    try:
        return (record.value or b"").decode()
    except UnicodeDecodeError:
        return None


def pretty_json(text: str) -> str:
    """JSON on lines of its own; what is no JSON stays as it is, and so does JSON whose members repeat."""
    try:
        parsed = json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        return text
    return json.dumps(parsed, ensure_ascii=False, indent=2)


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def line_of(pretty: str, pointer: str) -> int | None:
    """The line of `pretty_json` that a JSON pointer names, or that of its nearest parent that is there; None for the whole."""
    try:
        value = json.loads(pretty)
    except (ValueError, RecursionError):
        return None
    line, found = 1, None
    for part in (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]):
        members = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
        for key, member in members:
            line += 1
            if str(key) == part:
                value, found = member, line
                break
            line += json.dumps(member, ensure_ascii=False, indent=2).count("\n")
        else:
            return found
    return found


def missing(say: Speech, row_id: str) -> Markup:
    """There is no such record."""
    return notice(say("missing_why", what=say("record"), key=row_id), "warn")
