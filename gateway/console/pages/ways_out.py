"""The ways out: what goes to agencies by each protocol, how far that is behind, and whose endpoint does not take it."""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.console.markup import Child, Markup, address, join, link, tag
from gateway.console.pages.subscriptions import circuit, count, state
from gateway.console.pieces import Head, facts, notice, section, table, when
from gateway.console.queries import RECENT_S, OutPartner, OutRow, Page, WayOut, WaysOut
from gateway.console.sampler import BEHIND_S
from gateway.console.words import Speech, number, rate
from schemas.subscriptions import PROTOCOLS, PUSHED

_PLIGHTS: Final = (
    ("failing", "bad"),
    ("disabled", "bad"),
    ("with_letters", "bad"),
    ("pending", "warn"),
    ("paused", "warn"),
    ("expired", "calm"),
)


def listed(outs: WaysOut) -> list[WayOut]:
    """In the order of the protocols."""
    return sorted(outs.ways, key=lambda way: PROTOCOLS.index(way.protocol) if way.protocol in PROTOCOLS else len(PROTOCOLS))


def late(say: Speech, way: WayOut) -> bool:
    """Whether something is numbered for longer than BEHIND_S and not settled."""
    return way.waits_since is not None and (say.now - way.waits_since).total_seconds() > BEHIND_S


def behind(outs: WaysOut, inflow: Mapping[str, float]) -> dict[tuple[str, str], int]:
    """What is not read yet, by protocol and topic, where a subscription has more before it than comes in within BEHIND_S."""
    return {
        (branch.protocol, branch.topic): branch.lag or 0
        for branch in outs.branches
        if branch.topic in inflow and (branch.lag_most or 0) > BEHIND_S * inflow[branch.topic]
    }


def waiting(way: WayOut | OutPartner | OutRow) -> str:
    """Numbered and not settled; with a plus where not all were counted."""
    return f"{number(way.waiting)}+" if way.is_more else number(way.waiting)


def troubles(say: Speech, way: WayOut) -> list[tuple[str, str]]:
    """What is not as it should be, in words, with its look; the worst first."""
    return [
        (say(f"out_{plight}", count=number(getattr(way, plight))), look) for plight, look in _PLIGHTS if getattr(way, plight)
    ]


def table_section(say: Speech, outs: WaysOut, *, are_ends_known: bool) -> Markup:
    """The figures of the drawing."""
    rows = [
        (
            link(say.value("out", way.protocol), "way", "out", way.protocol),
            number(way.subscriptions),
            number(way.partners),
            *_figures(say, way, outs),
            _badges(say, way),
        )
        for way in listed(outs)
    ]
    words = ("subscriptions", "partners", "out_rate", "delivery_waiting", "out_lag")
    heads = (Head(say("out")), *(Head(say(word), True) for word in words), Head(say("state")))
    away = None if are_ends_known else notice(say("kafka_away"), "warn")
    body = table(say("outs"), heads, rows, empty=say("subscriptions_none"))
    return section(say("outs"), away, body, note=say("outs_note", seconds=RECENT_S))


def _figures(say: Speech, way: WayOut, outs: WaysOut) -> tuple[Child, Child, Child]:
    if way.protocol not in PUSHED:
        return "", "", ""
    waits = join(waiting(way), tag("small", say("since", age=_age(say, way))) if late(say, way) else None)
    return rate(outs.rate(way.protocol)), waits, _lag(outs.lag(way.protocol))


def _age(say: Speech, way: WayOut) -> str:
    return say.span((say.now - way.waits_since).total_seconds()) if way.waits_since else ""


def _lag(lag: int | None) -> str:
    return "?" if lag is None else number(lag)


def _badges(say: Speech, way: WayOut) -> Markup:
    found = troubles(say, way) or [(say("out_well"), "good")]
    return tag("span", [tag("span", text, class_=f"badge {look}") for text, look in found], class_="marks")


def sheet(say: Speech, way: WayOut, outs: WaysOut) -> Markup:
    """One way out, with the topics that it reads."""
    waits, lag = (waiting(way), _lag(outs.lag(way.protocol))) if way.protocol in PUSHED else (None, None)
    topics = sorted((one for one in outs.branches if one.protocol == way.protocol), key=lambda one: one.topic)
    pairs: list[tuple[str, Child]] = [
        (say("subscriptions"), number(way.subscriptions)),
        (say("partners"), number(way.partners)),
        (say("out_rate"), rate(outs.rate(way.protocol)) if way.protocol in PUSHED else None),
        (say("delivery_waiting"), waits),
        (say("out_lag"), lag),
        (say("state"), _badges(say, way)),
        (say("reads_from"), join(*(join(link(one.topic, "way", "topic", one.topic), " ") for one in topics)) or None),
    ]
    note = "" if way.protocol in PUSHED else say("readers_come")
    return section(say("progress"), facts(pairs), note=note)


def partners_section(say: Speech, protocol: str, partners: Sequence[OutPartner]) -> Markup | None:
    """Those whose subscriptions fare worst; each leads to them."""
    if not partners:
        return None
    is_pushed = protocol in PUSHED
    rows = [
        (
            link(row.partner, "way", "out", protocol, partner=row.partner),
            number(row.subscriptions),
            count(row.failing, "bad"),
            count(row.disabled, "bad"),
            count(row.with_letters, "bad"),
            waiting(row) if is_pushed else "",
            _lag(row.lag) if is_pushed else "",
        )
        for row in partners
    ]
    words = ("subscriptions", "failing_now", "disabled_now", "dead_letters", "delivery_waiting", "out_lag")
    heads = (Head(say("partner")), *(Head(say(word), True) for word in words))
    return section(say("out_partners"), table(say("out_partners"), heads, rows, empty=""))


def worst_section(say: Speech, protocol: str, partner: str, page: Page[OutRow]) -> Markup:
    """Each leads to its subscription."""
    is_pushed = protocol in PUSHED
    rows = [
        (
            join(link(row.partner, "subscriptions", row.subscription_id), tag("small", row.subscription_id)),
            join(state(say, row.state), tag("small", say.value("sub_reason", row.reason))),
            join(circuit(say, row.failures_in_row), _small(when(say, row.failing_since))) if is_pushed else "",
            tag("span", say("out_letters"), class_="badge bad") if row.has_letters else "",
            join(waiting(row), _small(when(say, row.waits_since))) if is_pushed else "",
            _lag(row.lag) if is_pushed else "",
        )
        for row in page.rows
    ]
    heads = (
        Head(say("subscription")),
        Head(say("state")),
        Head(say("circuit")),
        Head(say("dead_letters")),
        Head(say("delivery_waiting"), True),
        Head(say("out_lag"), True),
    )
    everybody = tag("p", tag("a", say("out_everybody"), href=address("way", "out", protocol))) if partner else None
    more = tag("p", say("out_more", count=len(page.rows)), class_="note") if page.has_more else None
    title = say("out_worst_of", partner=partner) if partner else say("out_worst")
    return section(title, everybody, table(title, heads, rows, empty=say("nothing")), more)


def _small(text: Markup | None) -> Markup | None:
    return tag("small", text) if text else None


def subscribers(say: Speech, outs: WaysOut, topic: str) -> Markup | None:
    """Of a topic: how many enabled subscriptions read it, by which ways."""
    found = [
        join(link(say.value("out", one.protocol), "way", "out", one.protocol), f" {number(one.subscriptions)} ")
        for one in outs.branches
        if one.topic == topic
    ]
    return join(*found) if found else None
