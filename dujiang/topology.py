"""The data's way as a Mermaid picture, drawn from the declarations: connectors, topics, steps, sinks."""

from collections.abc import Iterable
from typing import Any

from engine.ports import Sink, Step
from schemas.topics import TOPICS

DERIVED: dict[str, tuple[str, ...]] = {
    "projects": ("research.project.state", "platform.finding.event"),
    "calls": ("research.call.state", "platform.finding.event"),
    "alerts": ("infra.alert.state", "platform.finding.event"),
}


def mermaid(
    connectors: Iterable[tuple[str, Iterable[str]]],
    steps: Iterable[tuple[Step[Any], Iterable[str]]],
    sinks: Iterable[Sink],
) -> str:
    """`connectors`: name and the topics it feeds. `steps`: with the topics it derives into."""
    lines = ["flowchart LR", "  partners([partners]) --> gateway[gateway]"]
    lines += [
        f"  gateway --> {_id(name)}"
        for name, topic in TOPICS.items()
        if topic.cleanup == "delete" and name != "platform.finding.event"
    ]
    for name, fed in connectors:
        lines.append(f"  c_{name}[connector {name}]")
        lines += [f"  c_{name} --> {_id(topic)}" for topic in fed]
    for topic in TOPICS.values():
        lines.append(f'  {_id(topic.name)}[("{topic.name}<br/>{topic.classification}, {topic.partitions} partitions")]')
    for step, derived in steps:
        lines.append(f"  {_id(step.topic)} --> s_{step.name}{{{{step {step.name}}}}} --> t_{step.name}[(table of {step.name})]")
        lines += [f"  s_{step.name} --> {_id(topic)}" for topic in derived]
    for sink in sinks:
        lines.append(f"  k_{sink.name}[sink {sink.name}]")
        lines += [f"  {_id(topic)} --> k_{sink.name}" for topic in sink.topics]
    return "\n".join(lines)


def _id(name: str) -> str:
    return name.replace(".", "_")
