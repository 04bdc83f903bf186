"""CloudEvents 1.0.2: the event, its JSON format and its HTTP and Kafka bindings.

Start with `event.CloudEvent`; `json_format`, `http_binding` and `kafka_binding` read and write it.
"""

from schemas.cloudevents import http_binding, json_format, kafka_binding
from schemas.cloudevents.errors import CloudEventError, Reason
from schemas.cloudevents.event import (
    ABSENT,
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    DATA_DEPTH_MAX,
    EVENT_BYTES_MAX,
    CloudEvent,
)

__all__ = [
    "ABSENT",
    "BATCH_BYTES_MAX",
    "BATCH_EVENTS_MAX",
    "DATA_DEPTH_MAX",
    "EVENT_BYTES_MAX",
    "CloudEvent",
    "CloudEventError",
    "Reason",
    "http_binding",
    "json_format",
    "kafka_binding",
]
