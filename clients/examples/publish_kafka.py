"""Publish one event straight into a Kafka topic of one's own, which the Bureau's connector reads: structured mode, keyed by
the subject so that an entity's events keep their order.
"""

import json
import os

from kafka import KafkaProducer

event = {
    "specversion": "1.0",
    "id": "kafka-1",
    "source": f"/partners/{os.environ['PARTNER']}",
    "type": "gov.stiib.research.application.submitted.v1",
    "subject": "P-kafka",
    "time": "2026-03-02T08:00:00Z",
    "datacontenttype": "application/json",
    "data": {"call_id": "C-1", "title": "静音水泵", "lead": "Institute 7", "budget": 500_000},
}
producer = KafkaProducer(bootstrap_servers=os.environ["BOOTSTRAP"], acks="all")
sent = producer.send(
    os.environ["TOPIC"],
    key=event["subject"].encode(),
    value=json.dumps(event, ensure_ascii=False).encode(),
    headers=[("content-type", b"application/cloudevents+json")],
).get(timeout=30)
producer.close()
print(f"{sent.topic} {sent.partition}@{sent.offset}")
