"""AsyncAPI 3.1: every topic with the messages that stand in it, and what subscriptions deliver. From the registry. Pure.

The application described is the platform: it sends what readers of a topic meet, and receives what partners who write to
Kafka themselves may put there. Servers are not named, since a broker's address is an agreement with each partner.
"""

from typing import Any, Final

from pydantic.json_schema import models_json_schema

from gateway import asyncapi_subscriptions as subscribed
from gateway.openapi import ENVELOPE
from schemas.cloudevents.json_format import MEDIA_TYPE as EVENT_MEDIA_TYPE
from schemas.contract import Contract
from schemas.registry import Registry
from schemas.topics import Topic

MEDIA_TYPE: Final = "application/vnd.aai.asyncapi+json;version=3.1.0"
KAFKA_BINDING: Final = "0.5.0"
_SCHEMAS: Final = "#/components/schemas/"


def describe(registry: Registry) -> dict[str, Any]:
    """The whole document."""
    topics = {topic.name: topic for contract in registry.contracts.values() for topic in contract.topics}
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Dujiang topics and subscriptions",
            "version": "1",
            "description": "Events are CloudEvents 1.0.2 in structured JSON, keyed by their subject. A key's events keep their"
            " order. A repeat has the same source and id.",
        },
        "defaultContentType": EVENT_MEDIA_TYPE,
        "channels": {name: _channel(topic, _types_of(registry, topic)) for name, topic in sorted(topics.items())}
        | subscribed.channels(registry),
        "operations": _operations(registry, topics) | subscribed.operations(registry),
        "components": {
            "messages": {wire: _message(wire, contract) for wire, contract in registry.contracts.items()}
            | subscribed.messages(registry),
            "schemas": _schemas(registry) | subscribed.schemas(registry),
        },
    }


def _types_of(registry: Registry, topic: Topic) -> dict[str, Contract]:
    return {wire: contract for wire, contract in registry.contracts.items() if topic in contract.topics}


def _channel(topic: Topic, types: dict[str, Contract]) -> dict[str, Any]:
    kafka: dict[str, Any] = {
        "topic": topic.name,
        "partitions": topic.partitions,
        "topicConfiguration": {"cleanup.policy": [topic.cleanup]},
        "bindingVersion": KAFKA_BINDING,
    }
    if topic.cleanup == "delete":
        kafka["topicConfiguration"]["retention.ms"] = topic.retention_ms
    return {
        "address": topic.name,
        "description": f"Keyed by {topic.key}; {topic.classification}; owned by {topic.owner}.",
        "messages": {wire: {"$ref": f"#/components/messages/{wire}"} for wire in types},
        "bindings": {"kafka": kafka},
        "x-classification": topic.classification,
    }


def _operations(registry: Registry, topics: dict[str, Topic]) -> dict[str, Any]:
    operations = {}
    for name, topic in sorted(topics.items()):
        types = _types_of(registry, topic)
        open_types = [wire for wire, contract in types.items() if not contract.is_internal]
        slug = name.replace(".", "-")
        operations[f"read-{slug}"] = _operation("send", name, f"Read {name}", list(types))
        if open_types:
            operations[f"write-{slug}"] = _operation("receive", name, f"Write to {name}", open_types)
    return operations


def _operation(action: str, topic: str, title: str, types: list[str]) -> dict[str, Any]:
    messages = [{"$ref": f"#/channels/{topic}/messages/{wire}"} for wire in types]
    return {"action": action, "title": title, "channel": {"$ref": f"#/channels/{topic}"}, "messages": messages}


def _message(wire: str, contract: Contract) -> dict[str, Any]:
    return {
        "name": wire,
        "title": contract.name,
        "summary": " ".join((contract.data.__doc__ or "").split()),
        "contentType": EVENT_MEDIA_TYPE,
        "headers": {"type": "object", "properties": {"content-type": {"const": EVENT_MEDIA_TYPE}}},
        "payload": {"$ref": f"{_SCHEMAS}{wire}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"the subject: {contract.topics[0].key}"},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _schemas(registry: Registry) -> dict[str, Any]:
    """The envelope, the models of `data`, and for each type the two together."""
    models = sorted({contract.data for contract in registry.contracts.values()}, key=lambda model: model.__name__)
    refs, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_SCHEMAS + "{model}")
    schemas: dict[str, Any] = {"CloudEvent": ENVELOPE, **definitions.get("$defs", {})}
    for wire, contract in registry.contracts.items():
        typed = {"type": "object", "properties": {"type": {"const": wire}, "data": refs[contract.data, "validation"]}}
        schemas[wire] = {"allOf": [{"$ref": f"{_SCHEMAS}CloudEvent"}, typed]}
    return schemas
