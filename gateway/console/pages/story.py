"""Why it is so: each event of an entity, who published it, by which contract, and what the rules made of it."""

import json
from datetime import datetime

from gateway.console import queries
from gateway.console.markup import Markup, join, tag
from gateway.console.pages import reasons
from gateway.console.pages.links import event_anchor, event_name
from gateway.console.pieces import badge, exactly, notice, section, when
from gateway.console.story import Change, Story
from gateway.console.words import Speech, number


def story_section(say: Speech, story: Story, stored: str | None, family: str) -> Markup:
    """The latest change first. `stored`: the base state in the table, `family`: the words of such states."""
    count = len(story.changes)
    if count >= queries.STORY_EVENTS_MAX:
        verdict = notice(say("story_cut", count=number(count)), "warn")
    elif story.state == stored:
        verdict = notice(say("story_agrees", count=number(count)), "good")
    else:
        told, kept = say.value(family, story.state), say.value(family, stored)
        verdict = notice(say("story_differs", count=number(count), told=told, stored=kept), "warn")
    lines = [_line(say, change, family) for change in reversed(story.changes)]
    return section(say("story"), verdict, tag("ol", lines, class_="story", reversed=True), note=say("story_note"), id_="story")


def _line(say: Speech, change: Change, family: str) -> Markup:
    name, _, major = event_name(change.wire_type).rpartition(".")
    return tag(
        "li",
        tag(
            "div",
            when(say, change.at),
            tag("strong", name),
            badge(say(f"outcome.{change.outcome}"), change.outcome),
            tag("span", reasons.named(say, change.reason), class_="why") if change.reason else None,
            class_="head",
        ),
        [
            tag(
                "p",
                say("timer_first", name=fired.name, day=say.instant(fired.at)),
                " ",
                say.value(family, fired.before),
                " → ",
                tag("strong", say.value(family, fired.after)),
                class_="effect",
            )
            for fired in change.fired
        ],
        tag("p", _moved(say, change, family), class_="effect"),
        [
            tag("p", say("parked_until", id=event_id, outcome=_settled(say, outcome, reason)), class_="effect")
            for event_id, outcome, reason in change.late
        ],
        _details(say, change, name, major),
        class_=f"change {change.outcome}",
        id=event_anchor(change.event_id),
    )


def _settled(say: Speech, outcome: str, reason: str) -> str:
    meaning = say.value("reason", reason)
    return f"{say(f'outcome.{outcome}')} {reason if meaning == reason else f'{reason} ({meaning})'}".strip()


def _moved(say: Speech, change: Change, family: str) -> Markup:
    """The state's move, and every field that changed."""
    parts: list[Markup] = []
    came_from = change.fired[-1].after if change.fired else change.before
    if came_from != change.after:
        before, after = say.value(family, came_from), say.value(family, change.after)
        parts.append(tag("span", before, " → ", tag("strong", after)))
    parts += [
        tag("span", tag("code", move.field), " ", _known(say, move.before, " → "), tag("b", _known(say, move.after) or "∅"))
        for move in change.moves
        if move.field not in {"state", "condition"}
    ]
    return tag("span", parts, class_="moves") if parts else tag("span", say("nothing_changed"), class_="quiet")


def _known(say: Speech, value: str | datetime, after: str = "") -> str | None:
    if not value:
        return None
    return (say.instant(value) if isinstance(value, datetime) else value) + after


def _details(say: Speech, change: Change, name: str, major: str) -> Markup:
    stored = change.stored
    rule = (
        f"{name}: {(change.fired[-1].after if change.fired else change.before) or '∅'} → {change.after or '∅'}"
        if change.outcome == "applied"
        else change.reason or change.outcome
    )
    pairs = (
        (say("publisher"), change.source),
        (say("event"), change.event_id),
        (say("contract"), f"{name} {major}"),
        (say("rule"), rule),
        (say("happened"), exactly(say, change.at)),
        (say("recorded"), exactly(say, stored.recorded_at)),
        (say("place"), f"{stored.topic} p{stored.partition}@{stored.offset}"),
    )
    return tag(
        "details",
        tag("summary", change.source, " · ", change.event_id),
        tag("dl", [tag("div", tag("dt", key), tag("dd", value)) for key, value in pairs], class_="facts"),
        join(tag("pre", json.dumps(change.data, ensure_ascii=False, indent=2))) if change.data else None,
    )
