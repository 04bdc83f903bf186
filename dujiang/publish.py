"""Publish a file of CloudEvents to its topics, with the checks that a worker would make."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.kafka import BatchPublisher, Message
from schemas.cloudevents import CloudEvent, CloudEventError, json_format, kafka_binding
from schemas.registry import ContractError, Registry

AT_ONCE_MAX = 5_000
FILE_BYTES_MAX = 2_000_000_000


def publish_file(
    path: Path,
    publisher: BatchPublisher,
    registry: Registry,
    on_refused: Callable[[int, str], None],
    reached: Callable[[int], None] = lambda _: None,
) -> tuple[int, int]:
    """(published, refused). Refused events are told with their place and left out; the rest is acknowledged by Kafka.

    `reached` gets how many were looked at, after each batch, which is acknowledged by then: what it raises ends it whole.
    """
    published = refused = 0
    pending: list[Message] = []
    for place, body in _events(path):
        try:
            pending.append(_message(json_format.decode(body), registry))
        except (CloudEventError, ContractError) as error:
            refused += 1
            on_refused(place, f"{error.reason}: {error}")
        if len(pending) >= AT_ONCE_MAX:
            publisher.publish(pending)
            published += len(pending)
            pending = []
            reached(published + refused)
    publisher.publish(pending)
    published += len(pending)
    reached(published + refused)
    return published, refused


def is_array(path: Path) -> bool:
    """One JSON array, of which nobody knows how many it holds before it is read. Raises OSError."""
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(b"[")


def _message(event: CloudEvent, registry: Registry) -> Message:
    contract = registry.contract_of(event.type)
    fact = registry.fact(event)
    record = kafka_binding.encode_structured(event, fact.key)
    return Message(contract.topics[0].name, fact.key.encode(), record.value, record.headers)


def _events(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line or position from 1, event) of a JSON-lines file or of one JSON array."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ValueError(f"{path}: over {FILE_BYTES_MAX:,} bytes; split it")
    as_array = is_array(path)
    with path.open("rb") as file:
        if as_array:
            for position, item in enumerate(json.load(file), 1):
                yield position, json.dumps(item, ensure_ascii=False).encode()
            return
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line
