"""Pieces that pages share: headings, tables that fold on a narrow screen, badges, figures. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.console.markup import Child, Markup, tag
from gateway.console.words import Speech

# How a value looks: bad asks for a person, warn for attention, good is good, calm is neither.
LOOKS = {
    "critical": "bad",
    "high": "bad",
    "warning": "warn",
    "low": "calm",
    "info": "calm",
    "firing": "bad",
    "resolved": "good",
    "expired": "warn",
    "open": "warn",
    "acknowledged": "good",
    "closed": "calm",
    "overdue": "bad",
    "at_risk": "warn",
    "silent": "warn",
    "underspent": "warn",
    "parked": "warn",
    "silenced": "calm",
    "late": "bad",
    "applied": "good",
    "rejected": "bad",
    "superseded": "calm",
    "duplicate": "calm",
    "unreadable": "warn",
    "waiting": "warn",
    "replayed": "good",
    "accepted": "good",
    "returned": "warn",
}


def badge(text: str, value: str | None = None) -> Markup:
    """A word in a quiet frame; its look says the same as its text, never more."""
    return tag("span", text, class_=f"badge {LOOKS.get(value or '', 'calm')}")


def section(title: Child, *body: Child, note: str = "", id_: str | None = None) -> Markup:
    """A part of a page under its heading."""
    return tag("section", tag("h2", title), tag("p", note, class_="note") if note else None, *body, id=id_)


class Head(NamedTuple):
    """A column: its title, and whether it holds numbers."""

    title: str
    is_number: bool = False


def table(caption: str, heads: Sequence[Head], rows: Iterable[Sequence[Child]], *, empty: str) -> Markup:
    """Rows under heads; on a narrow screen each row is a card whose cells name their column."""
    body = [
        tag(
            "tr",
            [
                tag("td", cell, data_label=head.title, class_="number" if head.is_number else None)
                for head, cell in zip(heads, row, strict=True)
            ],
        )
        for row in rows
    ]
    if not body:
        return tag("p", empty, class_="empty")
    return tag(
        "table",
        tag("caption", caption, class_="unseen"),
        tag(
            "thead",
            tag("tr", [tag("th", head.title, scope="col", class_="number" if head.is_number else None) for head in heads]),
        ),
        tag("tbody", body),
    )


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Names and values; a pair without a value is left out."""
    return tag(
        "dl",
        [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs if value not in (None, "")],
        class_="facts",
    )


def when(say: Speech, instant: datetime | None) -> Markup | None:
    """How long ago; the instant itself on hovering and for screen readers."""
    if instant is None:
        return None
    return tag("time", say.ago(instant), datetime=instant.isoformat(), title=say.instant(instant))


def exactly(say: Speech, instant: datetime | None) -> Markup | None:
    """The instant; how long ago on hovering."""
    if instant is None:
        return None
    return tag("time", say.instant(instant), datetime=instant.isoformat(), title=say.ago(instant))


def meter(part: float, whole: float, label: str) -> Markup:
    """How much of a whole, as a bar with its figures beside it."""
    share = min(100.0, 100 * part / whole) if whole > 0 else 0.0
    bar = tag("span", class_="bar", style=f"width:{share:.1f}%")
    return tag(
        "span", tag("span", bar, class_="track", aria_hidden="true"), tag("span", label, class_="amount"), class_="meter"
    )


def notice(text: Child, look: str = "calm") -> Markup:
    """A sentence that must be seen."""
    return tag("p", text, class_=f"notice {look}", role="status")


def choices(name: str, title: str, chosen: str, options: Iterable[tuple[str, str]]) -> Markup:
    """A labelled choice in a filter."""
    marked = [tag("option", text, value=value, selected=value == chosen) for value, text in options]
    return tag("label", tag("span", title), tag("select", marked, name=name))


def text_field(name: str, title: str, value: str) -> Markup:
    """A labelled field in a filter."""
    return tag("label", tag("span", title), tag("input", name=name, value=value, type="search", maxlength=200))


def filters(say: Speech, action: str, *fields: Child, act: str = "filter") -> Markup:
    """A form that leads to the same page with other parameters, so that a view can be kept as a bookmark."""
    return tag("form", *fields, tag("button", say(act), type="submit"), method="get", action=action, class_="filters")
