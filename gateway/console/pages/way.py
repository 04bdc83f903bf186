"""The data's way: who sends, through which topics, to which steps, stores and agencies, how quick, and where it waits."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from gateway.console.markup import Markup, address, join, link, tag
from gateway.console.pages import doors, ways_out
from gateway.console.pieces import Head, badge, exactly, facts, notice, section, table
from gateway.console.queries import Paused, WayOut, WaysOut
from gateway.console.sampler import Flow
from gateway.console.words import Speech, number, rate
from schemas.subscriptions import PUSHED
from schemas.topics import Topic

SENDERS_MAX = 12
_ROW, _BOX_H, _TOP = 68, 46, 34
_X = {"publishers": 0, "doors": 284, "topics": 446, "steps": 768, "stores": 1010}
_W = {"publishers": 222, "doors": 104, "topics": 200, "steps": 172, "stores": 176}
_WIDTH = 1186
STREAMED = ("SSE", "PULL")  # whose readers come to the gateway
_OUT = "out"  # the row in which the ways out begin: a heading, no box


class Part(NamedTuple):
    """A step or sink as declared: what it reads, derives into, and where it keeps its state."""

    name: str
    kind: str
    reads: tuple[str, ...]
    derives: tuple[str, ...]
    table: str


class _Box(NamedTuple):
    """Where something stands."""

    x: int
    y: float
    width: int

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + _BOX_H / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + _BOX_H / 2


def picture(
    say: Speech,
    sent: doors.Rates,
    door_of: Mapping[str, str],
    topics: Mapping[str, Topic],
    parts: Sequence[Part],
    flows: Iterable[Flow],
    outs: WaysOut,
    inflow: Mapping[str, float],
) -> Markup:
    """The whole as one drawing; every box leads on. Its figures stand in the tables below, too.

    sent: records a second by source and topic. door_of: of each source. inflow: records a second that each topic takes.
    """
    flow_of = {(flow.account.step, flow.account.topic): flow for flow in flows}
    by_source: dict[str, float] = defaultdict(float)
    for (source, _), value in sent.items():
        by_source[source] += value
    sources = sorted(by_source, key=lambda source: (-by_source[source], source))[:SENDERS_MAX]
    steps = [part for part in parts if part.kind == "step"]
    sinks = [part for part in parts if part.kind != "step"]
    inner = [name for name in topics if any(name in part.reads for part in steps)]
    outer = [name for name in topics if name not in inner]
    ways = {way.protocol: way for way in ways_out.listed(outs)}
    below = [_OUT, *ways] if ways else []
    columns: dict[str, list[str]] = {
        "publishers": sources or ["—"],
        "doors": [name for name in doors.PROCESSES if name == doors.GATEWAY or name in door_of.values()],
        "topics": [*inner, *outer],
        "steps": [*(part.name for part in (*steps, *sinks)), *below],
        "stores": [*(part.table for part in (*steps, *sinks)), *below],
    }
    height = max(len(names) for names in columns.values()) * _ROW + _TOP
    boxes = {(column, name): box for column, names in columns.items() for name, box in _boxes(column, names, height)}
    arrows: list[Markup | None] = []
    for source in sources:
        start, end = boxes["publishers", source].right, boxes["doors", door_of[source]].left
        arrows.append(_arrow(start, end, rate(by_source[source]), at=0.2))
    for (door, topic), value in doors.through(sent, door_of).items():
        if ("topics", topic) in boxes:
            arrows.append(_arrow(boxes["doors", door].right, boxes["topics", topic].left, rate(value), at=0.8))
    for part in (*steps, *sinks):
        box = boxes["steps", part.name]
        known = [flow_of[part.name, topic] for topic in part.reads if (part.name, topic) in flow_of]
        for topic in part.reads:
            flow = flow_of.get((part.name, topic))
            arrows.append(
                _arrow(
                    boxes["topics", topic].right,
                    box.left,
                    rate(flow.rate) if flow is not None and flow.rate is not None else "",
                    waits=number(flow.account.lag) if flow is not None and flow.is_behind else "",
                    is_faint=part.kind != "step",
                    at=0.82 if part.kind == "step" else 0.1,  # all of a sink's end together, each begins at a topic of its own
                )
            )
        speeds = [flow.rate for flow in known if flow.rate is not None]
        arrows.append(_arrow(box.right, boxes["stores", part.table].left, rate(sum(speeds)) if speeds else ""))
        arrows += [_back(box.left, boxes["topics", topic].right) for topic in part.derives if ("topics", topic) in boxes]
    for topic in {topic for part in parts for topic in part.derives if ("topics", topic) in boxes}:
        from_outside = sum(value for (_, into), value in sent.items() if into == topic)
        arrows.append(_derived_rate(boxes["topics", topic], max(0.0, inflow.get(topic, 0.0) - from_outside)))
    behind = ways_out.behind(outs, inflow)
    for branch in outs.branches:
        if branch.protocol in ways and ("topics", branch.topic) in boxes:
            waits = number(behind.get((branch.protocol, branch.topic), 0))
            start, end = boxes["topics", branch.topic].right, boxes["steps", branch.protocol].left
            arrows.append(_arrow(start, end, "", waits="" if waits == "0" else waits, is_faint=True))
    for protocol, way in ways.items():
        waits = ways_out.waiting(way) if ways_out.late(say, way) else ""
        start, end = boxes["steps", protocol].right, boxes["stores", protocol].left
        arrows.append(_arrow(start, end, rate(outs.rate(protocol)), waits=waits, at=0.5))
    drawn = [_heading(say, column) for column in columns]
    for process, protocols in ((doors.DELIVERER, PUSHED), (doors.GATEWAY, STREAMED)):
        around = [boxes["steps", protocol] for protocol in ways if protocol in protocols]
        if around:
            drawn.append(_frame(say(f"door.{process}"), around, address("way", "process", process)))
    for (column, name), box in boxes.items():
        if name == _OUT:
            drawn.append(_heading(say, "outs" if column == "steps" else "agencies", box))
        elif name in ways:
            drawn.append(_way_out(say, ways[name], column, box))
        elif column == "doors":
            drawn.append(_node(column, [say(f"door.{name}")], box, address("way", "process", name)))
        else:
            drawn.append(_node(column, [name], box, _href(column, name)))
    svg = tag(
        "svg",
        arrows,
        drawn,
        viewBox=f"0 0 {_WIDTH} {height:.0f}",
        role="group",
        aria_label=say("way.title"),
        class_="way",
    )
    return section(
        say("way.title"),
        tag("div", svg, class_="scroll", tabindex="0", role="region", aria_label=say("way.title")),
        note=say("way_note"),
    )


def _boxes(column: str, names: Sequence[str], height: float) -> Iterable[tuple[str, _Box]]:
    gap = (height - _TOP) / len(names)
    for place, name in enumerate(names):
        yield name, _Box(_X[column], _TOP + gap * place + (gap - _BOX_H) / 2, _W[column])


def _heading(say: Speech, column: str, box: _Box | None = None) -> Markup:
    """Above a column, or where `box` would be."""
    x, y = (box.x + box.width / 2, box.y + _BOX_H - 8) if box else (_X[column] + _W[column] / 2, 16.0)
    return tag("text", say(column), x=x, y=f"{y:.1f}", class_="heading", text_anchor="middle")


def _href(column: str, name: str) -> str | None:
    if column == "publishers":
        return address("search", q=name) if name.startswith("/") else None
    if column == "topics":
        return address("way", "topic", name)
    return address("way", "step", name) if column == "steps" else None


def _way_out(say: Speech, way: WayOut, column: str, box: _Box) -> Markup:
    """By what, for how many; and what is wrong with how many of them."""
    if column == "steps":
        lines = [say.value("out", way.protocol), say("out_subscriptions", count=number(way.subscriptions))]
        return _node("steps out", lines, box, address("way", "out", way.protocol))
    found = ways_out.troubles(say, way)[:1]
    words, look = found[0] if found else (say("out_well"), "good")
    return _node(f"stores out {look}", [say("out_partners_count", count=number(way.partners)), words], box, None)


def _node(look: str, lines: Sequence[str], box: _Box, href: str | None) -> Markup:
    """One line or two; the first is cut where it has no room."""
    room = box.width // 8
    name = lines[0]
    shown = [name if len(name) <= room else f"…{name[-room + 1 :]}", *lines[1:]]
    middle, top = box.x + box.width / 2, box.y + _BOX_H / 2 + 4 - 9 * (len(lines) - 1)
    body = join(
        tag("title", ": ".join(lines)),
        tag("rect", x=box.x, y=f"{box.y:.1f}", width=box.width, height=_BOX_H, rx=6),
        *(
            tag("text", line, x=middle, y=f"{top + 18 * at:.1f}", text_anchor="middle", class_="second" if at else None)
            for at, line in enumerate(shown)
        ),
    )
    return tag("a", body, href=href, class_=f"node {look}") if href else tag("g", body, class_=f"node {look}")


def _arrow(
    start: tuple[float, float],
    end: tuple[float, float],
    label: str,
    *,
    waits: str = "",
    is_faint: bool = False,
    at: float = 0.82,
) -> Markup:
    """`waits`: how much, where it is behind."""
    (x1, y1), (x2, y2) = start, end
    bend = (x2 - x1) / 2
    line = tag(
        "path",
        d=f"M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}",
        class_=f"arrow{' faint' if is_faint else ''}{' behind' if waits else ''}",
    )
    words: list[Markup] = []
    # Near an end, where lines that begin or end together have parted; `at` runs along the curve.
    height = 3 * at**2 - 2 * at**3
    x = x1 + (x2 - x1) * (1.5 * at - 1.5 * at**2 + at**3)
    y = y1 + (y2 - y1) * height - 6
    label = "" if label == "0.0" else label
    anchor = "middle" if at >= 0.5 else "start"  # clear of the box that it begins at
    if waits:
        words.append(tag("text", f"{label} +{waits}".strip(), x=f"{x:.1f}", y=f"{y:.1f}", class_="lag", text_anchor=anchor))
    elif label:
        words.append(tag("text", label, x=f"{x:.1f}", y=f"{y:.1f}", class_="rate", text_anchor=anchor))
    return join(line, words)


def _back(start: tuple[float, float], end: tuple[float, float]) -> Markup:
    """What a step derives goes back into a topic."""
    (x1, y1), (x2, y2) = start, end
    bend = (x1 - x2) / 2
    return tag(
        "path",
        d=f"M{x1:.1f},{y1 + 8:.1f} C{x1 - bend:.1f},{y1 + 8:.1f} {x2 + bend:.1f},{y2 + 8:.1f} {x2:.1f},{y2 + 8:.1f}",
        class_="arrow derived",
    )


def _derived_rate(topic: _Box, value: float) -> Markup | None:
    """What comes back into a topic, of all steps together, where their arrows end."""
    x, y = topic.right
    return tag("text", rate(value), x=x + 8, y=f"{y + 21:.1f}", class_="rate back") if rate(value) != "0.0" else None


def _frame(title: str, around: Sequence[_Box], href: str) -> Markup:
    """A process around the boxes that it serves."""
    first, last = around[0], around[-1]
    x, y = first.x - 8, first.y - 16
    return tag(
        "a",
        tag("rect", x=x, y=f"{y:.1f}", width=first.width + 16, height=f"{last.y + _BOX_H + 4 - y:.1f}", rx=8),
        tag("text", title, x=first.x + first.width, y=f"{first.y - 4:.1f}", text_anchor="end"),
        href=href,
        class_="frame",
    )


def account_section(say: Speech, flows: Iterable[Flow], *, is_lag_known: bool, only: str | None = None) -> Markup:
    """What became of every record, by step and topic."""
    rows = [
        (
            link(account.step, "way", "step", account.step),
            link(account.topic, "way", "topic", account.topic),
            rate(speed) if speed is not None else "…",
            number(account.lag) if is_lag_known else "?",
            number(account.applied),
            number(account.duplicate),
            number(account.superseded),
            number(account.rejected),
            number(account.quarantined),
            number(account.waiting),
            (badge(number(account.unaccounted), "late") if account.unaccounted else "0") if is_lag_known else "?",
        )
        for account, speed in flows
        if only in (None, account.step, account.topic)
    ]
    words = ("rate", "lag", "applied", "duplicate", "superseded", "rejected", "quarantined", "waiting", "unaccounted")
    heads = (Head(say("step")), Head(say("topic")), *(Head(say(word), True) for word in words))
    away = None if is_lag_known else notice(say("kafka_away"), "warn")
    return section(say("account"), away, table(say("account"), heads, rows, empty=say("not_begun")), note=say("account_note"))


def paused_section(say: Speech, paused: Sequence[Paused]) -> Markup | None:
    """Partitions that stand still, and why."""
    if not paused:
        return None
    rows = [(row.step, f"{row.topic} p{row.partition}", exactly(say, row.opened_at), row.message) for row in paused]
    heads = (Head(say("step")), Head(say("partition")), Head(say("since", age="")), Head(say("message")))
    return section(say("paused"), table(say("paused"), heads, rows, empty=""))


def topic_section(say: Speech, topic: Topic, parts: Sequence[Part], outs: WaysOut, ends: Mapping[int, int] | None) -> Markup:
    """A topic as the table of topics has it, with its readers and its partitions' ends."""
    days = f"{topic.retention_ms // 86_400_000}"
    kept = (
        say("latest_of_key") if topic.cleanup == "compact" else say("forever") if topic.retention_ms < 0 else say("day", n=days)
    )
    readers = join(*(join(link(part.name, "way", "step", part.name), " ") for part in parts if topic.name in part.reads))
    rows = [(str(partition), number(end)) for partition, end in sorted((ends or {}).items())]
    heads = (Head(say("partition")), Head(say("end"), True))
    return join(
        facts(
            (
                (say("key"), topic.key),
                (say("kept_for"), kept),
                (say("details"), f"{say(f'class.{topic.classification}')}, {say('partitions', n=topic.partitions)}"),
                (say("owner"), topic.owner),
                (say("feeds"), readers),
                (say("subscriptions"), ways_out.subscribers(say, outs, topic.name)),
            )
        ),
        section(say("partition"), table(topic.name, heads, rows, empty=say("kafka_away"))),
    )


def step_section(say: Speech, part: Part, grafana_url: str) -> Markup:
    """A step as declared, and the way to its figures."""
    figures = f"{grafana_url.rstrip('/')}/d/dujiang-pipeline?{urlencode({'var-step': part.name})}" if grafana_url else None
    return facts(
        (
            (say("reads_from"), join(*(join(link(topic, "way", "topic", topic), " ") for topic in part.reads))),
            (say("stores"), tag("code", part.table)),
            (say("events"), join(*(join(link(topic, "way", "topic", topic), " ") for topic in part.derives)) or None),
            (say("figures"), tag("a", say("in_grafana"), href=figures) if figures else None),
        )
    )
