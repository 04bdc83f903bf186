"""Contracts by wire type: from a CloudEvent to the validated fact that rules see, and back. Knows no subject."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from pydantic import ValidationError

from schemas.cloudevents import ABSENT, CloudEvent, kafka_binding
from schemas.contract import KEY_CHARS_MAX, Contract, Data, Fact, plain
from schemas.quick import QuickReader, is_plain
from schemas.structs import data_of_fact

_encode = msgspec.json.Encoder().encode
DEFAULT_PREFIX = "gov.stiib"
PROBLEMS_MAX = 20


class ContractError(ValueError):
    """An event that is a CloudEvent but breaks its contract.

    `reason` is a stable code, `pointer` a JSON pointer into the event, `problems` every place found (at most PROBLEMS_MAX).
    """

    def __init__(self, reason: str, pointer: str, message: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.pointer = pointer
        self.problems = problems or ((pointer, message),)


class Registry:
    """Contracts by wire type, for one prefix."""

    def __init__(self, contracts: Iterable[Contract], prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.contracts = {f"{prefix}.{contract.name}.v{contract.major}": contract for contract in contracts}
        self._wire = {contract.name: wire for wire, contract in self.contracts.items()}
        # (fact, contract, members) of a plain structured event, or None: decode it strictly to know.
        self.quick = QuickReader(self.contracts).read

    def wire_type(self, name: str) -> str:
        """The `type` attribute for a contract's name. Raises KeyError for a name that no contract has."""
        return self._wire[name]

    def contract_of(self, wire_type: str) -> Contract:
        """The contract of a `type`. Raises ContractError naming the versions that are known."""
        contract = self.contracts.get(wire_type)
        if contract is None:
            known = sorted(other for other in self.contracts if other.rpartition(".v")[0] == wire_type.rpartition(".v")[0])
            hint = f"known versions: {', '.join(known)}" if known else "GET /types lists those that are known"
            raise ContractError("type_unknown", "/type", f"the type {wire_type[:200]!r} is not known; {hint}")
        return contract

    def decode(self, headers: Sequence[tuple[str, bytes | None]] | None, value: bytes | None) -> CloudEvent:
        """The event of a record, whether or not it keeps its contract: read quickly where it does. Raises CloudEventError."""
        quick = self.quick(value) if is_plain(headers) else None
        if quick is None:
            return kafka_binding.decode(headers, value)
        fact, _, members = quick
        return members.event(fact.time)

    def fact(self, event: CloudEvent) -> Fact:
        """The event with its data validated. Raises ContractError."""
        contract = self.contract_of(event.type)
        key = event.subject
        if not key:
            raise ContractError(
                "subject_missing", "/subject", "'subject' is missing; it names the entity (project, call, alert)"
            )
        if len(key) > KEY_CHARS_MAX:
            raise ContractError("subject_long", "/subject", f"'subject' has {len(key)} characters, at most {KEY_CHARS_MAX}")
        if event.time is None:
            raise ContractError("time_missing", "/time", "'time' is missing; it says when the fact happened (RFC 3339)")
        data = data_of_fact(contract.data, plain(data_of(contract, event.data)))
        return Fact(contract.name, event.id, event.source, key, event.time.astimezone(UTC), data)

    def encode(
        self, name: str, event_id: str, source: str, key: str, time: datetime, data: dict[str, Any], cause: str
    ) -> bytes:
        """Structured JSON of an event of ours, its attributes known to be good; `time` is in UTC, `data` a JSON object."""
        return _encode(
            {
                "specversion": "1.0",
                "id": event_id,
                "source": source,
                "type": self._wire[name],
                "subject": key,
                "time": time,
                "datacontenttype": "application/json",
                "causationid": cause,
                "partitionkey": key,
                "data": data,
            }
        )

    def event(self, fact: Fact, extensions: dict[str, str] | None = None) -> CloudEvent:
        """The CloudEvent that carries a fact of ours. `fact.data` is a model or a JSON object."""
        data = fact.data if isinstance(fact.data, dict) else plain(fact.data)
        return CloudEvent(
            id=fact.id,
            source=fact.source,
            type=self.wire_type(fact.name),
            subject=fact.key,
            time=fact.time,
            datacontenttype="application/json",
            dataschema=None,
            extensions=extensions or {},
            data=data,
        )


def data_of(contract: Contract, data: Any) -> Data:
    """`data` as the contract's model. Raises ContractError with the pointer of the first fault and all of them listed."""
    if data is ABSENT:
        data = {}
    try:
        return contract.data.model_validate(data)
    except ValidationError as error:
        problems = tuple(
            ("/data" + "".join(f"/{_escaped(part)}" for part in fault["loc"]), _said(fault))
            for fault in error.errors(include_url=False, include_input=False, include_context=False)[:PROBLEMS_MAX]
        )
        pointer, message = problems[0]
        raise ContractError("data_invalid", pointer, f"{contract.name}: {pointer}: {message}", problems) from None


def _said(fault: Any) -> str:
    if fault["type"] == "string_pattern_mismatch":
        return "the character U+0000 cannot be stored; remove it"
    return str(fault["msg"])


def _escaped(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
