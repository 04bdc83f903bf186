"""The seam between a connector and its run: what a mapping answers, and how facts and findings become messages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from msgspec.structs import replace

from engine.errors import Fault
from engine.kafka import Message
from schemas.cloudevents import kafka_binding
from schemas.contract import KEY_CHARS_MAX, Fact, instant_text
from schemas.platform import FINDING_REPORTED
from schemas.registry import ContractError, Registry, data_of

VALUE_CHARS_MAX = 500

Severity = Literal["info", "warning", "error"]


class Finding(NamedTuple):
    """Something for a person to look at. `subject` is the entity it is about where that is not the row's own."""

    rule: str
    severity: Severity
    message: str
    pointer: str = ""
    value: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Mapped:
    """An upstream record as our facts. `key` names the record, `digest` its content: both the same means unchanged."""

    key: str
    digest: str
    facts: tuple[Fact, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """An upstream record that cannot be used. `pointer` names the column or JSON member, `key` the entity if known."""

    reason: str
    message: str
    pointer: str = ""
    value: str = ""
    key: str = ""
    severity: Severity = "error"
    findings: tuple[Finding, ...] = ()


class Taken(NamedTuple):
    """One record out of a file: the line it starts on, the instant it speaks of, what it maps to, and itself."""

    row: int
    time: datetime
    outcome: Mapped | Refused
    raw: object


class Unusable(Exception):
    """Leaves a record at its first fault; `refused` is the mapping's answer then."""

    def __init__(self, reason: str, message: str, pointer: str = "", value: object = "") -> None:
        super().__init__(message)
        self.reason, self.pointer, self.value = reason, pointer, value

    def refused(self, key: str = "", findings: tuple[Finding, ...] = ()) -> Refused:
        return Refused(self.reason, str(self), self.pointer, str(self.value), key, findings=findings)


class FileRefused(Fault):
    """The whole file is of no use: another format, columns missing."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Drop(Protocol):
    """An opened file. Both verbs run once, in this order."""

    def taken(self) -> Iterator[Taken]:
        """All records in file order; the same file always gives the same."""
        ...

    def closing(self) -> Sequence[Finding]:
        """What only the whole file shows."""
        ...


class FileConnector(Protocol):
    """`source` is the events' source; `account` is what files and records are booked under; `suffixes` as `.csv`."""

    @property
    def source(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def suffixes(self) -> tuple[str, ...]: ...

    def time_of(self, path: Path) -> datetime:
        """The instant the file as a whole speaks of."""
        ...

    def open(self, path: Path) -> Drop:
        """Raises FileRefused."""
        ...


class Outbox(Protocol):
    """Sends all and waits for every acknowledgement; `engine.kafka.BatchPublisher` is one."""

    def publish(self, messages: Sequence[Message]) -> None: ...


def event_id(*parts: str) -> str:
    """The same parts give the same id."""
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def message_of(registry: Registry, fact: Fact) -> Message:
    """A fact as a structured CloudEvent, its data in the contract's form. Raises ContractError or CloudEventError."""
    contract = registry.contract_of(registry.wire_type(fact.name))
    if len(fact.key) > KEY_CHARS_MAX:
        message = f"'subject' has {len(fact.key)} characters, at most {KEY_CHARS_MAX}"
        raise ContractError("subject_long", "/subject", message)
    topic = contract.topics[0]
    whole = replace(fact, data=data_of(contract, fact.data))
    event = registry.event(whole, {"dataclassification": topic.classification})
    key, headers, value = kafka_binding.encode_structured(event, fact.key)
    return Message(topic.name, key or b"", value, headers)


def finding_fact(finding: Finding, source: str, subject: str, time: datetime) -> Fact:
    """The same finding about the same record of the same instant has the same id."""
    about = finding.subject or subject
    told = (finding.rule, finding.message, finding.pointer, finding.value)
    data = {
        "rule": finding.rule,
        "severity": finding.severity,
        "message": storable(finding.message),
        "pointer": storable(finding.pointer),
        "value": storable(finding.value),
    }
    identity = event_id(about, *told, instant_text(time))
    return Fact(FINDING_REPORTED, identity, source, about, time, data)


def finding_of(refused: Refused) -> Finding:
    """A refusal as the publisher's scorecard sees it."""
    return Finding(refused.reason, refused.severity, refused.message, refused.pointer, refused.value)


def is_subject(text: str) -> bool:
    """Whether a text can be an event's subject and a record's key."""
    return 0 < len(text) <= KEY_CHARS_MAX and text.isprintable()


def storable(text: str) -> str:
    """PostgreSQL and JSON hold neither NUL nor lone surrogates."""
    return text[:VALUE_CHARS_MAX].encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
