"""What is published, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from dujiang_client.errors import Fault, Problem


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent 1.0.2. `id` and `source` name it for ever: publish it again and nothing happens twice."""

    type: str
    source: str
    subject: str
    data: Any = None
    id: str = field(default_factory=lambda: str(uuid4()))
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """The JSON form. Raises ValueError for a time without a zone."""
        if self.time.tzinfo is None:
            raise ValueError("an event's time needs a zone, such as datetime.now(UTC)")
        members: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            **self.extensions,
        }
        if self.data is not None:
            members |= {"datacontenttype": "application/json", "data": self.data}
        return members


@dataclass(frozen=True, slots=True)
class Receipt:
    """The gateway's word that all in-sync replicas have the event. A repeat gets the same receipt."""

    id: str
    source: str
    receipt: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """This event is written."""

    event: Mapping[str, Any]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Rejected:
    """This event is not. `faults` are its own; none means that it is sound and was held back with its batch, or that Kafka
    did not confirm it: send it again."""

    event: Mapping[str, Any]
    problem: Problem
    faults: tuple[Fault, ...] = ()


Outcome = Accepted | Rejected


def members_of(event: Event | Mapping[str, Any]) -> Mapping[str, Any]:
    """An event in either form as its JSON members."""
    return event.members() if isinstance(event, Event) else event
