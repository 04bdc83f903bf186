"""How a partner speaks to the gateway: until it is acknowledged, always under the same ids. Receipts are kept."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from dujiang.demo.partners.acts import STRUCTURED, Event, Straight, Webhook, Wrong, bytes_of
from dujiang.demo.receipts import Receipts
from engine.errors import Fault, TransientFault
from engine.kafka import Message, Publisher

BATCH = "application/cloudevents-batch+json"
HOOKS = "/hooks/alertmanager"
RETRY_FIRST_S, RETRY_LAST_S = 0.2, 2.0
ANSWER_S_MAX = 15.0
SURPRISES_MAX = 20
AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))


@dataclass
class Tally:
    """A partner's own count. `surprises`: answers that it should not have got, in words."""

    accepted: int = 0
    refused: int = 0
    straight: int = 0
    retries: int = 0
    surprises: list[str] = field(default_factory=list)

    def surprise(self, what: str) -> None:
        if len(self.surprises) < SURPRISES_MAX:
            self.surprises.append(what)


class Answer(NamedTuple):
    """Status and JSON of the gateway; status 0: no answer came."""

    status: int
    json: Any

    @property
    def is_final(self) -> bool:
        """A refusal that a repeat would not change."""
        return self.status != 0 and self.status not in AGAIN


class Door:
    """`url` is asked each time: a restarted gateway may have another port."""

    def __init__(
        self, session: aiohttp.ClientSession, url: Callable[[], str], receipts: Receipts, kafka: Callable[[], Publisher]
    ) -> None:
        self.tally = Tally()
        self._session, self._url, self._receipts, self._kafka = session, url, receipts, kafka

    async def publish(self, events: Sequence[Event]) -> None:
        """Until all are acknowledged. A refusal is final and a surprise."""
        left = list(events)
        try:
            async for _ in self._tries():
                answer = await self._post("/events", *_written(left))
                if answer.status in (202, 207):
                    self._take(answer.json["receipts"])
                    left = [left[problem["index"]] for problem in answer.json.get("problems", ())]
                elif answer.is_final:
                    self.tally.refused += len(left)
                    self.tally.surprise(f"{len(left)} good events refused with {answer.status}: {_said(answer)}")
                    left = []
                if not left:
                    return
                self._receipts.doubt(event.identity for event in left)
        except asyncio.CancelledError:
            self._receipts.doubt(event.identity for event in left)
            raise

    async def send_wrong(self, wrong: Wrong) -> None:
        """The gateway shall refuse it; anything else is a surprise."""
        async for _ in self._tries():
            answer = await self._post("/events", wrong.body, wrong.content_type)
            if answer.status in (202, 207):
                self._take(answer.json["receipts"])
                self.tally.surprise(f"a wrong event was taken: {wrong.why}")
                return
            if answer.is_final:
                self.tally.refused += 1
                return

    async def call(self, webhook: Webhook) -> None:
        """As Alertmanager: again after 5xx, never after 4xx."""
        try:
            async for _ in self._tries():
                answer = await self._post(f"{HOOKS}/{webhook.monitor}", bytes_of(webhook.body), "application/json")
                if answer.status == 200:
                    self._called(webhook, int(answer.json["accepted"]), answer)
                    return
                if answer.is_final:
                    self.tally.refused += max(1, webhook.alerts)
                    if not webhook.is_wrong:
                        self.tally.surprise(f"{webhook.monitor}: refused with {answer.status}: {_said(answer)}")
                    return
                self._receipts.doubt_hook(webhook.alerts)
        except asyncio.CancelledError:
            self._receipts.doubt_hook(webhook.alerts)
            raise

    def _called(self, webhook: Webhook, accepted: int, answer: Answer) -> None:
        self.tally.accepted += accepted
        self._receipts.take_hook(accepted)
        if webhook.is_wrong or accepted != webhook.alerts:
            self.tally.surprise(f"{webhook.monitor}: {accepted} of {webhook.alerts} alerts taken: {_said(answer)}")

    async def write_straight(self, record: Straight) -> None:
        """One bad record into Kafka, acknowledged there; a fault is let be, as a careless producer does."""
        message = Message(record.topic, record.key, record.value, [("content-type", STRUCTURED.encode())])
        try:
            place = await asyncio.to_thread(_written_straight, self._kafka(), message)
        except Fault:
            return
        self.tally.straight += 1
        self._receipts.straight(*place)

    def _take(self, receipts: Sequence[dict[str, Any]]) -> None:
        self.tally.accepted += len(receipts)
        for receipt in receipts:
            self._receipts.take(receipt)

    async def _tries(self) -> AsyncIterator[None]:
        """The first at once, then with growing waits, for as long as the caller asks."""
        delay_s = RETRY_FIRST_S
        yield
        while True:
            self.tally.retries += 1
            await asyncio.sleep(delay_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
            delay_s = min(RETRY_LAST_S, 2 * delay_s)
            yield

    async def _post(self, path: str, body: bytes, content_type: str) -> Answer:
        try:
            async with self._session.post(
                self._url() + path,
                data=body,
                headers={"content-type": content_type},
                timeout=aiohttp.ClientTimeout(total=ANSWER_S_MAX),
            ) as response:
                return Answer(response.status, await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return Answer(0, None)


def _written(events: Sequence[Event]) -> tuple[bytes, str]:
    if len(events) == 1:
        return bytes_of(events[0].body), STRUCTURED
    return bytes_of([event.body for event in events]), BATCH


def _written_straight(kafka: Publisher, message: Message) -> tuple[str, int, int]:
    settled: list[Any] = []
    kafka.send(message, lambda error, record: settled.append(error or (record.topic(), record.partition(), record.offset())))
    kafka.close(ANSWER_S_MAX)
    if not settled or not isinstance(settled[0], tuple):
        raise TransientFault(f"Kafka: {settled[0] if settled else 'no acknowledgement'}")
    topic, partition, offset = settled[0]
    return topic, partition, offset


def _said(answer: Answer) -> str:
    return str(answer.json)[:300]
