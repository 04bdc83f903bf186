"""Calls for proposals: by phase with their deadlines, and one call's whole story."""

from collections.abc import Iterable

from gateway.console.markup import Markup, address, join, link, tag
from gateway.console.pages.story import story_section
from gateway.console.pieces import (
    Head,
    badge,
    choices,
    exactly,
    facts,
    filters,
    meter,
    notice,
    section,
    table,
    text_field,
    when,
)
from gateway.console.queries import CallFilter, CallRow, Page, PhaseCount
from gateway.console.queries.calls import PHASES
from gateway.console.story import Story
from gateway.console.words import Speech, number


def filter_form(say: Speech, chosen: CallFilter) -> Markup:
    """Phase, words."""
    phases = [("", say("all")), *((phase, say.value("phase", phase)) for phase in PHASES)]
    return filters(
        say,
        address("calls"),
        choices("phase", say("state"), chosen.phase, phases),
        text_field("words", say("search_for"), chosen.words),
    )


def phases_section(say: Speech, counts: Iterable[PhaseCount], chosen: CallFilter) -> Markup:
    """How many stand where; every phase leads to its list."""
    by_phase = {count.phase: count for count in counts if count.phase}
    most = max((count.calls for count in by_phase.values()), default=1)
    lines = [
        tag(
            "li",
            tag(
                "a",
                say.value("phase", phase),
                href=address("calls", phase=phase),
                aria_current="true" if phase == chosen.phase else None,
            ),
            meter(count.calls, most, number(count.calls)),
            tag("span", say("next_closes", when=say.ago(count.next_at)), class_="marks") if count.next_at else None,
        )
        for phase in PHASES
        if (count := by_phase.get(phase))
    ]
    return section(say("by_state"), tag("ul", lines, class_="board") if lines else tag("p", say("nothing"), class_="empty"))


def list_section(say: Speech, page: Page[CallRow]) -> Markup:
    """What closes next first."""
    rows = [
        (
            join(link(row.title or row.call_id, "calls", row.call_id), tag("small", row.call_id)),
            _phase(say, row),
            row.programme,
            exactly(say, row.opens_at),
            _closes(say, row),
            number(row.budget) if row.budget else "",
        )
        for row in page.rows
    ]
    heads = (
        Head(say("call")),
        Head(say("state")),
        Head(say("programme")),
        Head(say("opens")),
        Head(say("closes")),
        Head(say("budget"), True),
    )
    more = tag("p", say("more", count=len(page.rows)), class_="note") if page.has_more else None
    return section(say("calls"), table(say("calls.title"), heads, rows, empty=say("nothing")), more)


def _phase(say: Speech, row: CallRow) -> Markup:
    return badge(say.value("phase", row.phase), row.phase)


def _closes(say: Speech, row: CallRow) -> Markup | None:
    """To the second, and in how long as long as it is not over."""
    if row.closes_at is None or row.closes_at <= say.now:
        return exactly(say, row.closes_at)
    return join(exactly(say, row.closes_at), tag("small", say.ago(row.closes_at)))


def sheet(say: Speech, row: CallRow) -> Markup:
    """Where it stands."""
    source = f"{row.register_name}: {row.source_status}" if row.register_name or row.source_status else None
    return join(
        tag("p", _phase(say, row), class_="status"),
        section(
            say("details"),
            facts(
                (
                    (say("programme"), row.programme),
                    (say("opens"), exactly(say, row.opens_at)),
                    (say("closes"), _closes(say, row)),
                    (say("budget"), number(row.budget) if row.budget else None),
                    (say("register"), source),
                    (say("moved"), when(say, row.changed_at)),
                )
            ),
        ),
    )


def why_section(say: Speech, row: CallRow, story: Story) -> Markup:
    """The story, and whether it leads to what is stored."""
    return story_section(say, story, row.phase, "phase")


def missing(say: Speech, call_id: str) -> Markup:
    """There is no such call."""
    return notice(say("missing_why", what=say("call"), key=call_id), "warn")
