"""How events come in and go out: the gateway, connectors and the console before the topics, the deliverer behind them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from gateway.console.markup import Markup, join, link, tag
from gateway.console.pages import ways_out
from gateway.console.pages.now import recent_rate
from gateway.console.pieces import Head, facts, section, table
from gateway.console.queries import Beat, WaysOut
from gateway.console.words import Speech, rate
from gateway.sources import Register
from schemas.subscriptions import PUSHED

GATEWAY, CONNECTORS, CONSOLE, DELIVERER = "gateway", "connectors", "console", "deliverer"
PROCESSES: Final = (GATEWAY, CONNECTORS, CONSOLE, DELIVERER)
_HOOKS: Final = ("/connectors/alertmanager",)  # monitors call the gateway
_DASHBOARDS: Final = {
    GATEWAY: "dujiang-quality",
    CONNECTORS: "dujiang-quality",
    CONSOLE: "dujiang-servers",
    DELIVERER: "dujiang-deliveries",
}

Rates = Mapping[tuple[str, str], float]


def rates_of(say: Speech, beats: Iterable[Beat]) -> dict[tuple[str, str], float]:
    """Records a second by source and topic."""
    by_pair: dict[tuple[str, str], list[Beat]] = defaultdict(list)
    for beat in beats:
        by_pair[beat.source, beat.topic].append(beat)
    return {pair: recent_rate(found, say.now) for pair, found in by_pair.items()}


def door_of(source: str, register: Register, carried: Iterable[str]) -> str:
    """By which process a source's events come in. carried: partners with a Kafka topic of their own, which a connector reads.

    Such a partner may use the gateway, too: of one event nobody can tell.
    """
    if source.startswith("/console/"):
        return CONSOLE
    is_connectors = source.startswith("/connectors/") and source not in _HOOKS
    return CONNECTORS if is_connectors or any(register.has(partner, source) for partner in carried) else GATEWAY


def through(rates: Rates, doors: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Records a second by door and topic. `doors`: of each source."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for (source, topic), value in rates.items():
        found[doors[source], topic] += value
    return dict(found)


def sheet(say: Speech, process: str, rates: Rates, doors: Mapping[str, str], outs: WaysOut, grafana_url: str) -> Markup:
    """A process: what it carries, how quick, and the way to its figures."""
    topics = sorted({topic for source, topic in rates if doors[source] == process} | _reads(process, outs))
    href = f"{grafana_url.rstrip('/')}/d/{_DASHBOARDS[process]}?{urlencode({'from': 'now-6h'})}" if grafana_url else None
    known = facts(
        (
            (say("topics"), join(*(join(link(topic, "way", "topic", topic), " ") for topic in topics)) or None),
            (say("figures"), tag("a", say("in_grafana"), href=href) if href else None),
        )
    )
    body = ways_out.table_section(say, _pushed(outs), are_ends_known=True) if process == DELIVERER else None
    return join(section(say("details"), known, note=say(f"door_note.{process}")), body or _senders(say, process, rates, doors))


def _reads(process: str, outs: WaysOut) -> set[str]:
    return {one.topic for one in outs.branches if one.protocol in PUSHED} if process == DELIVERER else set()


def _pushed(outs: WaysOut) -> WaysOut:
    return outs._replace(ways=[way for way in outs.ways if way.protocol in PUSHED])


def _senders(say: Speech, process: str, rates: Rates, doors: Mapping[str, str]) -> Markup:
    """Who comes in by it, the busiest first."""
    mine: Sequence[tuple[tuple[str, str], float]] = sorted(
        (item for item in rates.items() if doors[item[0][0]] == process), key=lambda item: (-item[1], item[0])
    )
    rows = [
        (link(source, "search", q=source), link(topic, "way", "topic", topic), rate(value)) for (source, topic), value in mine
    ]
    heads = (Head(say("publisher")), Head(say("topic")), Head(say("rate"), True))
    return section(say("publishers"), table(say("publishers"), heads, rows, empty=say("nothing")))
