"""The part of the AsyncAPI that is delivered by subscription: webhooks, brokers, server-sent events. Pure.

A webhook's address is its subscriber's, as is a topic of its broker, so these channels have none.
Pull is a request and an answer: OpenAPI describes it.
"""

from typing import Any, Final

from gateway.openapi import ENVELOPE
from schemas.registry import Registry
from schemas.subscriptions.snapshot import COMPLETED

HTTP_BINDING: Final = "0.3.0"
MQTT_BINDING: Final = "0.2.0"
_SCHEMAS: Final = "#/components/schemas/"
_MEDIA_TYPE: Final = "application/cloudevents+json"
_TEXT: Final = {"type": "string"}
_SIGNED: Final = {
    "webhook-id": {**_TEXT, "description": "the same in every attempt"},
    "webhook-timestamp": {**_TEXT, "description": "seconds since 1970, of this attempt"},
    "webhook-signature": {**_TEXT, "description": "one for each secret in force, v1 or v1a, spaces between"},
}


def channels(registry: Registry) -> dict[str, Any]:
    """By name."""
    wires = [*registry.contracts, _completed(registry)]
    messages = {wire: {"$ref": f"#/components/messages/{wire}"} for wire in wires}
    return {
        "webhook": {
            "address": None,
            "title": "Webhook",
            "description": "The `sink` of a subscription with protocol HTTP. Signed by Standard Webhooks; in order for each"
            " subject, at least once. A 2xx acknowledges.",
            "messages": {wire: {"$ref": f"#/components/messages/{wire}.webhook"} for wire in wires},
        },
        "mqtt": {
            "address": None,
            "title": "Your broker's topic",
            "description": "The `topicname` of a subscription with protocol MQTT5, at the broker that is its `sink`."
            " CloudEvents MQTT binding, structured mode; in order for each subject, at least once. A PUBACK acknowledges.",
            "messages": {wire: {"$ref": f"#/components/messages/{wire}.mqtt"} for wire in wires},
        },
        "stream": {
            "address": "/subscriptions/{subscriptionId}/stream",
            "title": "Server-sent events",
            "description": "Each event is one `data` line under its cursor as `id`; `Last-Event-ID` goes on behind it.",
            "parameters": {"subscriptionId": {"description": "of a subscription with protocol SSE or PULL"}},
            "messages": messages,
        },
    }


def operations(registry: Registry) -> dict[str, Any]:
    """The platform sends all of them."""
    wires = [*registry.contracts, _completed(registry)]
    return {
        "deliver-webhook": _sent(
            "webhook", "Deliver to a webhook", wires, http={"method": "POST", "bindingVersion": HTTP_BINDING}
        ),
        "deliver-mqtt": _sent("mqtt", "Publish to a broker", wires, mqtt={"qos": 1, "bindingVersion": MQTT_BINDING}),
        "deliver-stream": _sent("stream", "Send as it comes", wires, http={"method": "GET", "bindingVersion": HTTP_BINDING}),
    }


def messages(registry: Registry) -> dict[str, Any]:
    """The watermark, and each event as a webhook and a broker carry it."""
    completed = _completed(registry)
    found = {completed: _watermark(completed)}
    for wire in [*registry.contracts, completed]:
        for way, headers in (("webhook", "WebhookHeaders"), ("mqtt", "MqttUserProperties")):
            found[f"{wire}.{way}"] = {
                "name": wire,
                "title": f"{wire}, signed and numbered",
                "contentType": _MEDIA_TYPE,
                "headers": {"$ref": f"{_SCHEMAS}{headers}"},
                "payload": {"allOf": [{"$ref": f"{_SCHEMAS}{wire}"}, {"$ref": f"{_SCHEMAS}Numbered"}]},
            }
    return found


def schemas(registry: Registry) -> dict[str, Any]:
    """What the messages refer to."""
    completed = _completed(registry)
    offsets = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
    data = {
        "type": "object",
        "required": ["positions", "events"],
        "properties": {
            "positions": {
                "type": "object",
                "description": "by topic and partition: the offset at which the tail begins",
                "additionalProperties": offsets,
            },
            "events": {"type": "integer", "minimum": 0, "description": "how many events the snapshot listed"},
        },
    }
    typed = {"type": "object", "properties": {"type": {"const": completed}, "data": data}}
    return {
        "CloudEvent": ENVELOPE,
        completed: {"allOf": [{"$ref": f"{_SCHEMAS}CloudEvent"}, typed]},
        "Numbered": {
            "type": "object",
            "required": ["deliverynumber"],
            "properties": {"deliverynumber": {**_TEXT, "description": "counts the subscription's deliveries without gaps"}},
        },
        "WebhookHeaders": {
            "type": "object",
            "required": list(_SIGNED),
            "properties": _SIGNED | {"WebHook-Request-Origin": {**_TEXT, "description": "our DNS name"}},
        },
        "MqttUserProperties": {
            "type": "object",
            "description": "User properties; signed where the subscription has a secret.",
            "required": ["deliverynumber", "webhook-id", "webhook-timestamp"],
            "properties": {"deliverynumber": {**_TEXT, "description": "as in the event"}} | _SIGNED,
        },
    }


def _sent(channel: str, title: str, wires: list[str], **bindings: dict[str, Any]) -> dict[str, Any]:
    return {
        "action": "send",
        "title": title,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{wire}"} for wire in wires],
        "bindings": bindings,
    }


def _watermark(completed: str) -> dict[str, Any]:
    return {
        "name": completed,
        "title": "Snapshot completed",
        "summary": "Between the snapshot and the tail of a subscription that began with one.",
        "contentType": _MEDIA_TYPE,
        "payload": {"$ref": f"{_SCHEMAS}{completed}"},
    }


def _completed(registry: Registry) -> str:
    return f"{registry.prefix}.{COMPLETED}"
