"""A subscription as every part sees it: frozen, its filters and settings as the subscriber sent them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from schemas.filters import Filters, compile_filters
from schemas.subscriptions.rights import Reader, Withheld

Protocol = Literal["HTTP", "MQTT5", "S3", "SSE", "PULL", "KAFKA"]
State = Literal["pending_validation", "enabled", "paused", "disabled", "expired"]
StartFrom = Literal["now", "earliest", "instant", "cursor", "snapshot"]
Actor = Literal["partner", "operator", "platform"]
# Stable codes: why a subscription is in its state.
Reason = Literal[
    "created",
    "validated",
    "paused",
    "resumed",
    "renewed",
    "sink_changed",
    "snapshot_cancelled",
    "validation_failed",
    "endpoint_gone",
    "endpoint_failing",
    "right_lost",
    "disabled",
    "expired",
]

PROTOCOLS: Final[tuple[Protocol, ...]] = ("HTTP", "MQTT5", "S3", "SSE", "PULL", "KAFKA")
# The platform sends: numbers, retries, dead letters. Of the others the subscriber reads.
PUSHED: Final[frozenset[Protocol]] = frozenset({"HTTP", "MQTT5", "S3"})
# HTTP: the endpoint must consent (webhook handshake). MQTT5, S3: the sink must take our credential, and nobody without
# one. KAFKA: the broker must know the user and its rights.
NEEDS_VALIDATION: Final[frozenset[Protocol]] = PUSHED | {"KAFKA"}
# The owner where nobody is asked who he is (gateway.auth none). No partner can have this id.
NOBODY: Final = "-"

# A change is read by every gateway and worker within READ_EVERY_S, so it is in force EFFECTIVE_S after it was stored.
READ_EVERY_S: Final = 0.5
EFFECTIVE_S: Final = 1.0

TYPES_MAX: Final = 100
TEXT_CHARS_MAX: Final = 500
SUBSCRIPTIONS_OF_OWNER_MAX: Final = 100
SUBSCRIPTIONS_MAX: Final = 10_000


class Place(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Basis:
    """Why somebody may have what is not public. Names of offices and norms, never of persons."""

    purpose: str
    legal_basis: str
    approver: str


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading begins, as it was asked for; the offsets that follow from it are stored beside the subscription."""

    at: StartFrom = "now"
    instant: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Where a subscription stands in its lifecycle, why, since when, and whose word that was. `note`: an operator's words, or
    why an endpoint did not consent yet."""

    state: State
    reason: Reason
    by: Actor
    since: datetime
    validated_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """`types` empty: every type that the owner may receive. `revision` counts changes of any kind, from 1.

    `granted`: the scopes of the token that ordered it, which narrow what goes out without one; empty: all of the owner's.
    """

    id: UUID
    owner: str
    protocol: Protocol
    status: Status
    created_at: datetime
    changed_at: datetime
    revision: int = 1
    source: str | None = None
    types: tuple[str, ...] = ()
    filters: Sequence[Any] = ()
    sink: str | None = None
    protocolsettings: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    start: Start = Start()
    expires_at: datetime | None = None
    basis: Basis | None = None
    granted: tuple[str, ...] = ()

    def reader(self, scopes: Mapping[str, Sequence[str]], *, are_owners_asked: bool) -> Reader:
        """Who gets what no token accompanies. `scopes`: partners' rights of this moment; who is missing there has none.

        `are_owners_asked`: whether a subscription without an owner is one that may have nothing.
        """
        if self.owner == NOBODY and not are_owners_asked:
            return Reader(None, self.basis is not None)
        return Reader((scopes.get(self.owner, ()),), self.basis is not None).narrowed(self.granted)

    def compiled(self) -> Filters:
        """Its filters, to be kept as long as the revision. Raises FilterError; what is stored was checked."""
        return compile_filters(list(self.filters), pointer="/filters")

    def asks_for(self, wire_type: str) -> bool:
        """Whether its `types` let an event pass. Rights come after them and before `source` and the filters.

        Counted behind those, what is withheld would answer for them: a question about what one must not see.
        """
        return not self.types or wire_type in self.types

    def counts(self, withheld: Withheld) -> bool:
        """Whether it is told of what is withheld: who asked for every type that he may receive did not ask for the others."""
        return bool(self.types) or withheld == "classification"

    def selects(self, wire_type: str, source: str) -> bool:
        """Whether its `types` and `source` let an event pass; the filters come after."""
        return self.asks_for(wire_type) and (self.source is None or self.source == source)
