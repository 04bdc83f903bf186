"""Where a name leads."""

from gateway.console.markup import Markup, link, tag

# The page of an entity by the beginning of its topic.
_PAGES = {"research.project": "projects", "research.call": "calls", "infra.alert": "alerts"}


def subject_link(topic: str, subject: str) -> Markup:
    """To the entity's own page, where it has one."""
    page = _PAGES.get(topic.rpartition(".")[0])
    return link(subject, page, subject) if page else tag("span", subject)


def event_name(wire_type: str) -> str:
    """Without the prefix that all types share: `research.project.started.v1`."""
    parts = wire_type.split(".")
    return ".".join(parts[-4:]) if len(parts) > 4 else wire_type
