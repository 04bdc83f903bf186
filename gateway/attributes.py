"""Which extension attributes partners may set: those that CloudEvents documents, and those that the operator names.

https://github.com/cloudevents/spec/tree/main/cloudevents/extensions. Auth Context is left out on purpose: its attributes may
hold persons. The doors alone ask (POST /events, partners' own topics): no event in Kafka is refused for this.
"""

from typing import Final

from gateway import catalogue
from gateway.languages import Text
from gateway.problems import Place
from schemas.cloudevents import CloudEvent

DOCUMENTED: Final = frozenset(
    (
        *("partitionkey", "sequence", "sequencetype", "expirytime", "recordedtime", "dataref", "sampledrate"),
        *("correlationid", "causationid", "traceparent", "tracestate", "severitytext", "severitynumber"),
        *("dataclassification", "dataregulation", "datacategory"),
        *("deprecated", "deprecationfrom", "deprecationsunset", "deprecationmigration"),
    )
)


def unknown_attributes(event: CloudEvent, known: frozenset[str]) -> tuple[Place, ...]:
    """Each extension that nobody here knows, at its place, with those that are known."""
    if event.extensions.keys() <= known:
        return ()
    names = ", ".join(sorted(known))
    detail = Text(f"this attribute is not known; known are {names}", f"未知的属性；已知的扩展属性为 {names}")
    return tuple(Place(catalogue.ATTRIBUTE_UNKNOWN.slug, f"/{name}", detail) for name in event.extensions if name not in known)
