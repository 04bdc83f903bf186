"""A replay: the worker's own steps over a file of events, in memory, without Kafka, database or clock."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from engine.entity import arrive
from engine.ports import Entity, Step
from schemas.cloudevents import CloudEventError, json_format
from schemas.registry import ContractError, Registry


def replay(
    step: Step[Any],
    lines: Iterable[bytes],
    registry: Registry,
    as_of: datetime,
    on_refused: Callable[[int, str], None],
) -> Iterator[dict[str, Any]]:
    """The report of every entity at `as_of`, by key in code point order.

    `lines` are structured CloudEvents in order of arrival. What a worker would quarantine goes to `on_refused` with its line
    number and reason; the rest goes on.
    """
    entities: dict[str, Entity[Any]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json_format.decode(line)
            contract = registry.contract_of(event.type)
            if step.topic not in contract.topic_names:
                raise ContractError("topic_wrong", "/type", f"{event.type} is no event of {step.name}")
            fact = registry.fact(event)
        except (CloudEventError, ContractError) as error:
            on_refused(number, f"{error.reason}: {error}")
            continue
        entity = entities.get(fact.key)
        if entity is None:
            entity = entities[fact.key] = Entity(step.initial())
        arrive(step, entity, fact)
    for key in sorted(entities):
        yield step.report(key, entities[key], as_of)
