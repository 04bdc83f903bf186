"""The same again gives the first receipt: events by (source, id), requests by Idempotency-Key.

Before anything is written a request claims its events' identities, and its key as one more, for itself; after Kafka's
acknowledgement the claims are settled with the places. A claim that nobody settled (its gateway was killed) is free again
after CLAIM_S. Then, and when the database forgets, an event may be written twice; readers drop it by (source, id).
"""

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, Protocol

import structlog

from engine.errors import Fault
from engine.kafka import Message
from gateway import catalogue
from gateway.admission import Admitted
from gateway.kind import Kind
from gateway.languages import Text
from gateway.problems import Place, Problem
from gateway.publisher import Acked, Outcome, Overloaded, RecordPublisher
from gateway.store import store_away
from schemas.cloudevents import ABSENT, CloudEvent
from schemas.cloudevents.content import is_json
from schemas.cloudevents.event import attribute_texts

CLAIM_S: Final = 30  # longer than any request waits for Kafka
KEY_CHARS_MAX: Final = 255
DIGEST_BYTES: Final = 16
HEADER: Final = b"idempotency-key"
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_BARE = re.compile(r"[!#-+\--:<-\[\]-~]+")

log = structlog.get_logger("gateway")

Claims = Mapping[str, bytes]  # identity (128 bits in hexadecimal) to the digest of the content


class Key(NamedTuple):
    """An Idempotency-Key as a claim: whose and which, and of what request."""

    identity: str
    digest: bytes


class Claimed(NamedTuple):
    """`won` is the request's to write; `settled` was written before, and stands there (None: an Idempotency-Key)."""

    won: frozenset[str]
    settled: Mapping[str, Acked | None]


class Blocked(NamedTuple):
    """The request may not go on: `identity` has another content, or is under way."""

    identity: str
    reason: Literal["conflict", "in_flight"]


class Settlement(NamedTuple):
    """What became of a request's claims. What is released can be claimed again at once."""

    settled: Mapping[str, Acked | None]
    released: Sequence[str]


class ReceiptStore(Protocol):
    """Where claims and receipts are kept. Both calls raise TransientFault or EnvironmentFault, and then changed nothing."""

    async def claim(self, claims: Claims) -> Claimed | Blocked:
        """All or nothing: a request that is blocked holds no claim."""
        ...

    async def settle(self, settlement: Settlement) -> None: ...


class Published(NamedTuple):
    """An outcome per event, in order; Acked with the first place for a repeat. `repeats`: how many of them were such."""

    outcomes: list[Outcome]
    repeats: int


class Receipts:
    """Publishes what was not published before."""

    def __init__(self, store: ReceiptStore) -> None:
        self._store = store

    async def publish_once(
        self, publisher: RecordPublisher, admitted: Admitted, key: Key | None, *, is_batch: bool
    ) -> Published:
        """Raises Problem or Overloaded."""
        identities = [identity_of(event) for event in admitted.events]
        request = _Request(identities, key, is_batch)
        claimed = await self._claim(request, request.claims(admitted.events))
        new = {
            identity: record for identity, record in zip(identities, admitted.records, strict=True) if identity in claimed.won
        }
        outcomes = await self._publish(publisher, new, claimed)
        await self._settle(claimed, outcomes)
        answers = [outcomes.get(identity) or _first(claimed, identity) for identity in identities]
        written = sum(isinstance(outcome, Acked) for outcome in outcomes.values())
        return Published(answers, sum(isinstance(answer, Acked) for answer in answers) - written)

    async def _claim(self, request: "_Request", claims: Claims) -> Claimed:
        try:
            found = await self._store.claim(claims)
        except Fault as fault:
            raise store_away(fault, len(request.identities)) from None
        if isinstance(found, Blocked):
            raise request.refused(found)
        return found

    async def _publish(self, publisher: RecordPublisher, new: Mapping[str, Message], claimed: Claimed) -> dict[str, Outcome]:
        try:
            return dict(zip(new, await publisher.publish(list(new.values())), strict=True))
        except Overloaded:
            await self._settle_quietly(Settlement({}, sorted(claimed.won)))
            raise

    async def _settle(self, claimed: Claimed, outcomes: Mapping[str, Outcome]) -> None:
        settled: dict[str, Acked | None] = {
            identity: outcome for identity, outcome in outcomes.items() if isinstance(outcome, Acked)
        }
        rest = claimed.won - settled.keys()
        if len(settled) == len(outcomes):
            # Only a key can be left: it is the answer's, and the answer is that all is written.
            settled |= dict.fromkeys(rest)
            rest = frozenset()
        if settled or rest:
            await self._settle_quietly(Settlement(settled, sorted(rest)))

    async def _settle_quietly(self, settlement: Settlement) -> None:
        """Kafka has decided: what the database says now cannot change the answer, only what a repeat will be told."""
        try:
            await self._store.settle(settlement)
        except Fault as fault:
            log.error("receipts_not_kept", fault=str(fault), receipts=len(settlement.settled))


def identity_of(event: CloudEvent) -> str:
    """128 bits of (source, id)."""
    return hash_of(event.source, event.id)


def hash_of(source: str, event_id: str) -> str:
    """The identity in receipts, not the one of the history."""
    return _hash(f"event\0{source}\0{event_id}".encode()).hex()


def content_digest(event: CloudEvent) -> bytes:
    """The same for the same event in whatever mode it came, and in whatever order its members stood."""
    data: Any = event.data
    parts: list[object] = [list(attribute_texts(event))]
    if event.datacontenttype is not None and not is_json(event.datacontenttype):
        parts.append(event.datacontenttype)
    if isinstance(data, bytes):
        parts.append(["bytes", data.hex()])
    elif data is not ABSENT:
        parts.append(["data", data])
    return _hash(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())


def key_of(value: bytes, partner_id: str, headers: Sequence[tuple[str, str]], body: bytes) -> Key:
    """The claim of an Idempotency-Key: a partner's own, for this very request. Raises Problem."""
    text = value.decode("latin-1").strip()
    quoted = _QUOTED.fullmatch(text)
    name = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text if _BARE.fullmatch(text) else ""
    if not 0 < len(name) <= KEY_CHARS_MAX:
        raise Problem(catalogue.IDEMPOTENCY_KEY_INVALID, catalogue.IDEMPOTENCY_KEY_INVALID.meaning)
    request = json.dumps(sorted(headers)).encode() + b"\0" + body
    return Key(_hash(f"key\0{partner_id}\0{name}".encode()).hex(), _hash(request))


class _Request(NamedTuple):
    """What a request is known by."""

    identities: Sequence[str]
    key: Key | None
    is_batch: bool

    def claims(self, events: Sequence[CloudEvent]) -> Claims:
        """The key first: what it says about the request comes before what the events say. Raises Problem."""
        claims: dict[str, bytes] = {} if self.key is None else {self.key.identity: self.key.digest}
        for index, (identity, event) in enumerate(zip(self.identities, events, strict=True)):
            digest = content_digest(event)
            if claims.setdefault(identity, digest) != digest:
                raise self._conflict(index)
        return claims

    def refused(self, blocked: Blocked) -> Problem:
        """The problem that a blocked claim means."""
        if blocked.reason == "in_flight":
            return self._problem(catalogue.IN_FLIGHT)
        if self.key is not None and blocked.identity == self.key.identity:
            return self._problem(catalogue.IDEMPOTENCY_KEY_REUSED)
        return self._conflict(self.identities.index(blocked.identity))

    def _conflict(self, index: int) -> Problem:
        pointer = f"/{index}/id" if self.is_batch else "/id"
        return self._problem(catalogue.EVENT_CONFLICT, [Place("event_conflict", pointer, _OTHER_EVENT)])

    def _problem(self, kind: Kind, places: Sequence[Place] = ()) -> Problem:
        return Problem(kind, places[0].detail if places else kind.meaning, places, events=len(self.identities))


_OTHER_EVENT = Text("another event was published under this source and id", "该 source 与 id 之下已发布过另一个事件")


def _first(claimed: Claimed, identity: str) -> Outcome:
    place = claimed.settled[identity]
    assert place is not None  # noqa: S101 - an event is settled with its place
    return place


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
