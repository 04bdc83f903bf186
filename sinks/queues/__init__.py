"""Deliveries into message brokers of subscribers. The brokers' libraries are extras: `dujiang[mqtt]`."""

from importlib.util import find_spec


def is_mqtt_installed() -> bool:
    """Whether this installation can deliver to MQTT brokers (`sinks.queues.mqtt` can be imported)."""
    return find_spec("paho") is not None
