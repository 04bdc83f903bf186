"""Which topics a subscriber may read from Kafka itself. Pure.

Kafka withholds no event of a topic that somebody may read. So a topic is given whole or not at all: the subscriber must have
the right to every type that flows there, timers included, and to the strictest label that an event may carry.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from schemas.registry import Registry
from schemas.subscriptions.model import Subscription
from schemas.subscriptions.rights import Reader, classification_of
from schemas.topics import Topic

# Publishers label single events (`dataclassification`), so even the topic of public calls may carry a restricted one.
STRICTEST: Final = "restricted"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why topics cannot be given. `types`: those of `topic` that the subscriber may not receive."""

    reason: Literal["filtered", "rows_limited", "basis_missing", "types_not_granted", "clearance_missing", "no_topic"]
    topic: str = ""
    types: tuple[str, ...] = ()

    @property
    def is_right_lost(self) -> bool:
        """Whether a right is missing, rather than something in the subscription itself."""
        return self.reason in {"rows_limited", "types_not_granted", "clearance_missing", "no_topic"}

    def __str__(self) -> str:
        english, chinese = _SAID[self.reason]
        values = {"topic": self.topic, "types": ", ".join(self.types)}
        return f"{english.format_map(values)} / {chinese.format_map(values)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The topics to be given, sorted; none while there are obstacles."""

    topics: tuple[str, ...]
    obstacles: tuple[Obstacle, ...]


def whole_topics(subscription: Subscription, registry: Registry, reader: Reader) -> Verdict:
    """What is to be given, or everything that stands in the way: never both, never neither.

    Without types: the topics of all that the reader may receive. A topic of which he may receive only a part is an obstacle.
    """
    topics = _selected(subscription, registry, reader)
    obstacles = [*_of_itself(subscription, reader)]
    for topic in topics:
        obstacles += _of_topic(topic, registry, reader)
    if not topics:
        obstacles.append(Obstacle("no_topic"))
    return Verdict(() if obstacles else tuple(topic.name for topic in topics), tuple(obstacles))


def types_on(topic: str, registry: Registry) -> list[str]:
    """Every type that flows there."""
    return [wire for wire, contract in registry.contracts.items() if topic in contract.topic_names]


def _selected(subscription: Subscription, registry: Registry, reader: Reader) -> list[Topic]:
    wires = subscription.types or [wire for wire in registry.contracts if reader.may_receive(wire)]
    topics = {topic.name: topic for wire in wires if wire in registry.contracts for topic in registry.contracts[wire].topics}
    return [topics[name] for name in sorted(topics)]


def _of_itself(subscription: Subscription, reader: Reader) -> Iterator[Obstacle]:
    if subscription.filters or subscription.source is not None:
        yield Obstacle("filtered")
    if reader.is_limited:
        yield Obstacle("rows_limited")
    if not reader.is_stated:
        yield Obstacle("basis_missing")


def _of_topic(topic: Topic, registry: Registry, reader: Reader) -> Iterator[Obstacle]:
    classification = classification_of(topic.classification, STRICTEST)
    wires = types_on(topic.name, registry)
    ungranted = tuple(wire for wire in wires if not reader.may_receive(wire))
    if ungranted:
        yield Obstacle("types_not_granted", topic.name, ungranted)
    if reader.is_stated and len(ungranted) < len(wires) and reader.withholds_class(classification):
        yield Obstacle("clearance_missing", topic.name)


_SAID: Final[dict[str, tuple[str, str]]] = {
    "filtered": (
        "it has `filters` or `source`, which Kafka cannot apply; remove them, or subscribe with PULL, SSE or HTTP",
        "订阅含 filters 或 source，Kafka 无法执行过滤；请去掉，或改用 PULL、SSE、HTTP",
    ),
    "rows_limited": (
        "its partner receives single events only (`only:` scopes), and Kafka cannot withhold the others; remove those scopes,"
        " or subscribe with PULL, SSE or HTTP",
        "合作方仅可接收部分事件（only: 权限），Kafka 无法扣留其余事件；请去掉这些权限，或改用 PULL、SSE、HTTP",
    ),
    "basis_missing": (
        "purpose, legal_basis and approver must be stated, since a topic may carry what is not public",
        "主题可能含非公开内容，必须注明 purpose、legal_basis 和 approver",
    ),
    "types_not_granted": (
        "the topic {topic} also carries types that its partner may not receive, and Kafka cannot withhold them: {types};"
        " grant `subscribe:` for each, or subscribe with PULL, SSE or HTTP",
        "主题 {topic} 还含合作方无权接收的类型，Kafka 无法扣留：{types}；请逐一授予 subscribe:，或改用 PULL、SSE、HTTP",
    ),
    "clearance_missing": (
        "any event of {topic} may be labelled restricted, and Kafka cannot withhold it: its partner needs clearance:restricted;"
        " grant it, or subscribe with PULL, SSE or HTTP",
        "主题 {topic} 的任一事件都可能标为 restricted，Kafka 无法扣留：合作方须有 clearance:restricted；"
        "请授予，或改用 PULL、SSE、HTTP",
    ),
    "no_topic": (
        "there is no topic that its partner may receive anything of",
        "没有合作方有权接收的主题",
    ),
}
