"""POST /events: read, judge all, write all, answer when Kafka has them.

| answer | what was written |
| --- | --- |
| 202 | every event, in all in-sync replicas; a receipt for each |
| 207 | those with a receipt; the others, with a problem each, did not get confirmed |
| 4xx | nothing |
| 503 | nothing that counts: repeat with the same ids, repeats are recognised by (source, id) |

With a known partner, or an Idempotency-Key, what was accepted before is not written again: it gets its first receipt.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engine.clock import Clock
from engine.errors import Fault
from gateway import catalogue
from gateway.admission import Admitted, admit, body_bytes_max, mode_of, nothing_ungranted, refuse_headers
from gateway.attributes import DOCUMENTED
from gateway.body import BodyReader, declared_length
from gateway.caller import caller_of
from gateway.deprecation import Deprecations
from gateway.metrics import GatewayMetrics
from gateway.problems import Problem, ProblemWriter, of_fault, request_language
from gateway.publisher import Acked, Outcome, Overloaded, RecordPublisher
from gateway.receipts import HEADER as KEY_HEADER
from gateway.receipts import Key, Receipts, key_of
from gateway.repeats import Repeats
from gateway.spans import carried, parent_of
from monitoring.tracing import Attributes, Spans
from schemas.cloudevents import CloudEvent
from schemas.cloudevents.http_binding import Mode
from schemas.registry import Registry

PATH = "/events"
TRACE_PATH = f"{PATH}/trace"
RECEIPT_BYTES = 16
NO_PARTNER = "-"  # in figures, where no partner is asked for
_encode = msgspec.json.Encoder().encode

log = structlog.get_logger("gateway")


class PublishEndpoint:
    """The plain ASGI application behind POST /events: FastAPI's own handling would cost more than the work itself."""

    def __init__(
        self,
        *,
        registry: Registry,
        publisher: RecordPublisher,
        clock: Clock,
        metrics: GatewayMetrics,
        problems: ProblemWriter,
        bodies: BodyReader,
        receipts: Receipts | None,
        repeats: Repeats | None = None,
        spans: Spans | None = None,
        extensions: frozenset[str] = DOCUMENTED,
    ) -> None:
        self._registry = registry
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._problems = problems
        self._bodies = bodies
        self._deprecations = Deprecations(registry)
        self._receipts = receipts
        self._repeats = repeats
        self._spans = spans
        self._extensions = extensions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except Problem as problem:
            self._metrics.refused(problem.kind.slug, problem.events)
            response = self._problems.response(problem, scope)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        admitted, key, is_batch = await self._admitted(scope, receive)
        if self._spans is None:
            return await self._written(admitted, key, is_batch, scope)
        attributes: Attributes = {"messaging.system": "kafka", "messaging.batch.message_count": len(admitted.events)}
        with self._spans.span("publish", "server", parent_of(scope, admitted.events), attributes) as span:
            return await self._written(carried(admitted, span.traceparent), key, is_batch, scope)

    async def _written(self, admitted: Admitted, key: Key | None, is_batch: bool, scope: Scope) -> Response:
        started_s = self._clock.monotonic_s()
        try:
            if self._receipts is not None and (key is not None or caller_of(scope) is not None):
                outcomes, repeats = await self._receipts.publish_once(self._publisher, admitted, key, is_batch=is_batch)
                self._note_repeats(repeats, scope)
            else:
                outcomes = await self._publisher.publish(admitted.records)
        except Overloaded:
            raise Problem(catalogue.OVERLOADED, catalogue.OVERLOADED.meaning, events=len(admitted.events)) from None
        self._metrics.publish_seconds(self._clock.monotonic_s() - started_s)
        self._note_ages(admitted.events, outcomes, scope)
        return self._answer(admitted.events, outcomes, scope)

    async def _admitted(self, scope: Scope, receive: Receive) -> tuple[Admitted, Key | None, bool]:
        headers, encoding, length, sent_key = _relevant(scope["headers"])
        mode = mode_of(next((value for name, value in headers if name == "content-type"), None))
        refuse_headers(mode, headers, encoding)
        body = await self._bodies.read(receive, length, body_bytes_max(mode))
        caller, is_batch = caller_of(scope), mode is Mode.BATCH
        key = None if sent_key is None else key_of(sent_key, caller.partner_id if caller else "", headers, body)
        ungranted = nothing_ungranted if caller is None else caller.ungranted
        admitted = admit(self._registry, headers, body, mode, self._clock.now(), self._extensions, ungranted)
        if caller is not None:
            caller.admit(admitted.events, is_batch=is_batch)
        return admitted, key, is_batch

    def _note_repeats(self, events: int, scope: Scope) -> None:
        caller = caller_of(scope)
        if events and caller is not None and self._repeats is not None:
            self._repeats.count(caller.partner_id, events)

    def _note_ages(self, events: Sequence[CloudEvent], outcomes: Sequence[Outcome], scope: Scope) -> None:
        """How fresh what was accepted is; a clock that is ahead makes nothing fresher than fresh."""
        caller, now = caller_of(scope), self._clock.now()
        ages_s = [
            max(0.0, (now - event.time).total_seconds())
            for event, outcome in zip(events, outcomes, strict=True)
            if isinstance(outcome, Acked) and event.time is not None
        ]
        self._metrics.event_ages_s(caller.partner_id if caller else NO_PARTNER, ages_s)

    def _answer(self, events: Sequence[CloudEvent], outcomes: Sequence[Outcome], scope: Scope) -> Response:
        faults = [outcome for outcome in outcomes if isinstance(outcome, Fault)]
        if not faults:
            self._metrics.accepted(len(events))
            return _json_response(202, {"receipts": _receipts(events, outcomes)}, self._deprecations_of(events))
        problem = of_fault(faults[0])
        if len(faults) == len(outcomes):
            problem.events = len(faults)
            raise problem
        return self._partial_answer(events, outcomes, scope)

    def _partial_answer(self, events: Sequence[CloudEvent], outcomes: Sequence[Outcome], scope: Scope) -> Response:
        """207: receipts of those that were written, a problem for each that was not confirmed."""
        receipts = _receipts(events, outcomes)
        problems = self._problems_of(events, outcomes, scope)
        self._metrics.accepted(len(receipts))
        self._metrics.refused(catalogue.NOT_CONFIRMED.slug, len(problems))
        log.warning("batch_partly_written", written=len(receipts), not_confirmed=len(problems))
        headers = {"retry-after": str(catalogue.NOT_CONFIRMED.retry_after_s)} | self._deprecations_of(events)
        return _json_response(207, {"receipts": receipts, "problems": problems}, headers)

    def _deprecations_of(self, events: Sequence[CloudEvent]) -> dict[str, str]:
        return self._deprecations.headers(event.type for event in events)

    def _problems_of(self, events: Sequence[CloudEvent], outcomes: Sequence[Outcome], scope: Scope) -> list[dict[str, Any]]:
        language = request_language(scope)
        instance = self._problems.instance()
        return [
            {"index": index, "id": event.id, "source": event.source}
            | self._problems.members(of_fault(outcome), language, instance)
            for index, (event, outcome) in enumerate(zip(events, outcomes, strict=True))
            if isinstance(outcome, Fault)
        ]


def receipt_id(acked: Acked) -> str:
    """The same record always has the same receipt."""
    place = f"{acked.topic}/{acked.partition}/{acked.offset}"
    return blake2b(place.encode(), digest_size=RECEIPT_BYTES).hexdigest()


def _receipts(events: Sequence[CloudEvent], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "id": event.id,
            "source": event.source,
            "receipt": receipt_id(outcome),
            "topic": outcome.topic,
            "partition": outcome.partition,
            "offset": outcome.offset,
        }
        for event, outcome in zip(events, outcomes, strict=True)
        if isinstance(outcome, Acked)
    ]


def _json_response(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(_encode(content), status, headers, "application/json")


def _relevant(
    raw: Sequence[tuple[bytes, bytes]],
) -> tuple[list[tuple[str, str]], str | None, int | None, bytes | None]:
    """The headers of the HTTP binding as text, the content encoding, the declared length, the Idempotency-Key."""
    headers: list[tuple[str, str]] = []
    encoding: str | None = None
    length: int | None = None
    key: bytes | None = None
    for name, value in raw:
        if name == b"content-type" or name.startswith(b"ce-"):
            headers.append((name.decode("latin-1"), value.decode("latin-1")))
        elif name == b"content-length":
            length = declared_length(value)
        elif name == b"content-encoding":
            encoding = value.decode("latin-1").strip().lower()
        elif name == KEY_HEADER:
            key = value if key is None else key + b"," + value  # sent twice it is no string any more
    return headers, encoding, length, key
