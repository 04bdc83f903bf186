"""Long work: what goes on, how far it is, and how it ended."""

from gateway.console.markup import Markup, join, tag
from gateway.console.pieces import Head, meter, section, table, when
from gateway.console.queries import Page, WorkRow
from gateway.console.words import Speech, number

_LOOK = {"running": "warn", "done": "good", "cancelled": "calm", "failed": "bad", "lost": "bad", "waiting": "calm"}


def list_section(say: Speech, page: Page[WorkRow]) -> Markup:
    """The latest first."""
    rows = [
        (
            join(say.value("work", row.kind), tag("small", row.title)),
            _state(say, row),
            _progress(say, row),
            row.started_by,
            when(say, row.started_at),
            say.span(((row.ended_at or row.beat_at) - row.started_at).total_seconds()),
        )
        for row in page.rows
    ]
    heads = (
        Head(say("work")),
        Head(say("state")),
        Head(say("progress"), True),
        Head(say("started_by")),
        Head(say("started")),
        Head(say("took"), True),
    )
    return section(say("works"), table(say("works.title"), heads, rows, empty=say("works_none")), note=say("works_note"))


def _state(say: Speech, row: WorkRow) -> Markup:
    badge = tag("span", say.value("work_state", row.state), class_=f"badge {_LOOK.get(row.state, 'calm')}")
    asked = tag("small", say("cancel_asked", by=row.cancel_asked_by)) if row.cancel_asked_by else None
    return join(badge, asked)


def _progress(say: Speech, row: WorkRow) -> Markup:
    """A total is an estimate; what is done is full."""
    if not row.total:
        return tag("span", number(row.done))
    total = max(row.done, row.total) if row.state == "running" else row.total
    return meter(
        row.done, row.done if row.state == "done" else total, say("of_about", done=number(row.done), total=number(total))
    )
