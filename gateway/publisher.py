"""An asyncio front on Kafka: hand records over, wait until all in-sync replicas have them, go on.

A thread serves the producer's acknowledgements and wakes the loop once for many of them. Accepted means acknowledged;
what is not acknowledged is said to be so, record by record.
"""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from confluent_kafka import KafkaError

from engine.errors import Fault, TransientFault
from engine.kafka import Message, Publisher, fault_of
from engine.options import KafkaOptions

# The producer gives up before the answer is due, so that nothing is written behind the back of a partner who was told
# otherwise. The deadline is only the net below.
DELIVERY_TIMEOUT_MS = 10_000
DEADLINE_S = 12.0
LINGER_MS = 2
IN_FLIGHT_RECORDS_MAX = 50_000
IN_FLIGHT_BYTES_MAX = 128 * 1024 * 1024
POLL_S = 0.1
CLOSE_S = 1.0  # at the end every request has its answer, so hardly anything is left to send


class Acked(NamedTuple):
    """Where a record stands, in all in-sync replicas."""

    topic: str
    partition: int
    offset: int


Outcome = Acked | Fault


class Overloaded(TransientFault):
    """Too many records wait for Kafka: nothing of this call was handed over."""


class RecordPublisher(Protocol):
    """What the gateway needs of Kafka."""

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Write all, in order, and return an outcome for each. Raises Overloaded before anything is written.

        A TransientFault as an outcome means "not confirmed": the record may still stand in the topic.
        """
        ...

    def failure(self) -> str | None:
        """Why no publish can succeed until the process is started anew; None while it works."""
        ...


def publishing_options(options: KafkaOptions) -> KafkaOptions:
    """The options with the time-outs that a waiting partner wants."""
    return replace(options, delivery_timeout_ms=DELIVERY_TIMEOUT_MS, linger_ms=LINGER_MS)


class AsyncPublisher:
    """A RecordPublisher on a `Publisher` of its own (see `publishing_options`). Enter it in the loop that publishes."""

    def __init__(
        self,
        publisher: Publisher,
        *,
        deadline_s: float = DEADLINE_S,
        in_flight_records_max: int = IN_FLIGHT_RECORDS_MAX,
        in_flight_bytes_max: int = IN_FLIGHT_BYTES_MAX,
    ) -> None:
        self._publisher = publisher
        self._deadline_s = deadline_s
        self._records_max = in_flight_records_max
        self._bytes_max = in_flight_bytes_max
        self._records = 0
        self._bytes = 0
        self._settled: list[_Ack] = []
        self._stopping = threading.Event()
        self._fatal: str | None = None
        self._thread = threading.Thread(target=self._serve_acks, name="gateway-acks", daemon=True)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        await asyncio.to_thread(self._close)

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """See RecordPublisher. What is unsettled after `deadline_s` counts as not confirmed."""
        if not messages:
            return []
        size_bytes = sum(len(message.value or b"") for message in messages)
        if self._records + len(messages) > self._records_max or self._bytes + size_bytes > self._bytes_max:
            raise Overloaded(f"Kafka: {self._records} records ({self._bytes} bytes) wait to be acknowledged")
        ticket = _Ticket(messages, self._loop.create_future())
        self._hand_over(ticket)
        if ticket.waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._deadline_s):
                    await ticket.done
        return ticket.outcomes(self._deadline_s)

    @property
    def in_flight_records(self) -> int:
        """Handed to Kafka and not settled yet."""
        return self._records

    def failure(self) -> str | None:
        if self._fatal is not None:
            return f"the Kafka producer cannot go on: {self._fatal}"
        return None if self._thread.is_alive() else "the thread that serves Kafka's acknowledgements has ended"

    def _hand_over(self, ticket: "_Ticket") -> None:
        """Give the producer all records; after the first it does not take none follows, so that order holds."""
        on_ack = self._on_ack
        for index, message in enumerate(ticket.messages):
            try:
                self._publisher.send(message, partial(on_ack, ticket, index))
            except Fault as fault:
                ticket.refuse_from(index, fault)
                return
            self._records += 1
            self._bytes += len(message.value or b"")

    def _serve_acks(self) -> None:
        while not self._stopping.is_set():
            self._publisher.poll(POLL_S)
            self._wake()

    def _close(self) -> None:
        self._thread.join()
        self._publisher.close(CLOSE_S)
        self._wake()

    def _wake(self) -> None:
        """One wake-up of the loop for all acknowledgements that a poll brought."""
        if self._settled:
            acks, self._settled = self._settled, []
            self._loop.call_soon_threadsafe(self._settle, acks)

    def _on_ack(self, ticket: "_Ticket", index: int, error: KafkaError | None, record: Any) -> None:
        """Runs in the thread that polls."""
        if error is None:
            outcome: Outcome = Acked(record.topic(), record.partition(), record.offset())
        else:
            outcome = fault_of(error)
            if error.fatal():
                self._fatal = error.str()
        self._settled.append(_Ack(ticket, index, outcome))

    def _settle(self, acks: list["_Ack"]) -> None:
        """Runs in the loop."""
        for ticket, index, outcome in acks:
            self._records -= 1
            self._bytes -= len(ticket.messages[index].value or b"")
            ticket.settle(index, outcome)


class _Ticket:
    """One call of `publish`: its records and what has become of them so far."""

    __slots__ = ("done", "messages", "settled", "waiting")

    def __init__(self, messages: Sequence[Message], done: asyncio.Future[None]) -> None:
        self.messages = messages
        self.settled: list[Outcome | None] = [None] * len(messages)
        self.waiting = len(messages)
        self.done = done

    def settle(self, index: int, outcome: Outcome) -> None:
        self.settled[index] = outcome
        self.waiting -= 1
        if not self.waiting and not self.done.done():
            self.done.set_result(None)

    def refuse_from(self, index: int, fault: Fault) -> None:
        for later in range(index, len(self.messages)):
            self.settle(later, fault)

    def outcomes(self, deadline_s: float) -> list[Outcome]:
        late = TransientFault(f"Kafka: no acknowledgement within {deadline_s:g} s")
        return [late if outcome is None else outcome for outcome in self.settled]


class _Ack(NamedTuple):
    ticket: _Ticket
    position: int
    outcome: Outcome
