"""Where a name leads."""

from urllib.parse import quote

from gateway.console.markup import Markup, address, link, tag

# The page of an entity by the beginning of its topic.
_PAGES = {"research.project": "projects", "research.call": "calls", "infra.alert": "alerts"}


def subject_link(topic: str, subject: str) -> Markup:
    """To the entity's own page, where it has one."""
    page = _PAGES.get(topic.rpartition(".")[0])
    return link(subject, page, subject) if page else tag("span", subject)


def event_link(topic: str, subject: str, wire_type: str, event_id: str) -> Markup:
    """To the event in its entity's story; where there is none, to the event's topic."""
    page = _PAGES.get(topic.rpartition(".")[0])
    to = f"{address(page, subject)}#{quote(event_anchor(event_id))}" if page else address("way", "topic", topic)
    return tag("a", event_name(wire_type), href=to)


def event_anchor(event_id: str) -> str:
    """The event's place in a story."""
    return f"event-{event_id}"


def event_name(wire_type: str) -> str:
    """Without the prefix that all types share: `research.project.started.v1`."""
    parts = wire_type.split(".")
    return ".".join(parts[-4:]) if len(parts) > 4 else wire_type
