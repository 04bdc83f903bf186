"""Search over all: by id, name, organisation."""

from collections.abc import Sequence

from gateway.console import queries
from gateway.console.markup import Child, Markup, address, join, link, tag
from gateway.console.pages.links import event_link
from gateway.console.pieces import Head, badge, filters, notice, section, table, text_field, when
from gateway.console.queries import Found, FoundEvent, FoundSource
from gateway.console.words import Speech, number

_FAMILY = {"project": "state", "call": "phase", "alert": "condition", "record": "held", "subscription": "sub_state"}
_PAGE = {
    "project": "projects",
    "call": "calls",
    "alert": "alerts",
    "record": "quarantine",
    "partner": "partners",
    "subscription": "subscriptions",
}


def form(say: Speech, words: str) -> Markup:
    """One field."""
    return filters(say, address("search"), text_field("q", say("search_for"), words), act="search")


def found_section(
    say: Speech,
    found: Sequence[Found],
    events: Sequence[FoundEvent],
    sources: Sequence[FoundSource],
    *,
    is_complete: bool,
) -> Markup:
    """What was found, each leading to its page; a source, which has none of its own, with its figures."""
    rows = [
        (
            badge(say(f"found.{item.kind}")),
            join(_leads(item), tag("small", item.key) if item.title else None),
            item.note,
            say.value(_FAMILY[item.kind], item.state) if item.kind in _FAMILY else "",
        )
        for item in found
    ]
    rows += [
        (
            badge(say("found.event")),
            join(event_link(event.topic, event.subject, event.event_type, event.event_id), tag("small", event.subject)),
            event.event_source,
            when(say, event.recorded_at) or "",
        )
        for event in events
    ]
    rows += [
        (
            badge(say("found.source")),
            join(source.event_source),
            say(
                "found.source_day",
                hours=queries.SCORE_HOURS,
                taken=number(source.taken),
                duplicate=number(source.duplicate),
                refused=number(source.refused),
            ),
            when(say, source.last_recorded_at) or "",
        )
        for source in sources
    ]
    heads = (Head(say("kind")), Head(say("title_or_id")), Head(say("organisation")), Head(say("state")))
    broad = None if is_complete else notice(say("search_broad"), "warn")
    return section(say("found"), broad, table(say("found"), heads, rows, empty=say("nothing")))


def _leads(item: Found) -> Child:
    page = _PAGE.get(item.kind)
    name = item.title or item.key
    return link(name, page, item.key) if page else name
