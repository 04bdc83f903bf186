"""How far each step is, and how quick: the ledger beside the logs' ends, looked at by one task for all pages."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from psycopg import Cursor

from engine.errors import Fault, TransientFault
from engine.ledger import Account, accounts
from engine.options import KafkaOptions
from engine.records import Place
from gateway.console.reads import Reader
from schemas.topics import TOPICS

EVERY_S: Final = 3.0
WINDOW_S: Final = 30.0
KAFKA_S: Final = 5.0
BEHIND_S: Final = 10.0

log = structlog.get_logger("console")


class Sample(NamedTuple):
    """One look. `ends` None: Kafka did not answer, so lag is not known."""

    at_s: float
    accounts: Sequence[Account]
    ends: Mapping[Place, int] | None

    @property
    def unaccounted(self) -> int:
        """Records lost or counted twice; 0 always."""
        return 0 if self.ends is None else sum(abs(account.unaccounted) for account in self.accounts)


class Flow(NamedTuple):
    """A step in a topic: its account, and records a second; None until two looks are apart."""

    account: Account
    rate: float | None

    @property
    def is_behind(self) -> bool:
        """What waits is more than BEHIND_S of work at the present pace; a few records always are under way."""
        return self.account.lag > BEHIND_S * (self.rate or 0.0)


class Sampler:
    """`run` looks until it is cancelled; pages read what is there."""

    def __init__(
        self,
        own: Reader,
        ends: Callable[[], Mapping[Place, int]],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own, self._ends, self._clock_s = own, ends, clock_s
        self._samples: deque[Sample] = deque(maxlen=int(WINDOW_S / EVERY_S) + 1)

    async def run(self) -> None:
        """A look that fails is told once to the log and tried again."""
        was_away = False
        while True:
            try:
                await self.look()
                was_away = False
            except Fault as fault:
                if not was_away:
                    log.warning("console_look_failed", fault=str(fault))
                was_away = True
            await asyncio.sleep(EVERY_S)

    async def look(self) -> Sample:
        """One look, kept. Raises a Fault of the database."""
        ends: Mapping[Place, int] | None
        try:
            ends = await asyncio.to_thread(self._ends)
        except Fault:
            ends = None
        at_s = self._clock_s()
        known = ends or {}

        def ask(cursor: Cursor[Any]) -> list[Account]:
            return accounts(cursor, known)

        sample = Sample(at_s, await self._own.read(ask), ends)
        self._samples.append(sample)
        return sample

    @property
    def latest(self) -> Sample | None:
        return self._samples[-1] if self._samples else None

    def flows(self) -> list[Flow]:
        """Every step and topic, with the rate since the oldest look that is kept."""
        if not self._samples:
            return []
        last, first = self._samples[-1], self._samples[0]
        before = {(account.step, account.topic): account.published - account.lag for account in first.accounts}
        span_s = last.at_s - first.at_s
        found = []
        for account in last.accounts:
            earlier = before.get((account.step, account.topic))
            rate = None if earlier is None or span_s <= 0 else max(0.0, (account.published - account.lag - earlier) / span_s)
            found.append(Flow(account, rate))
        return found

    def inflow(self) -> dict[str, float]:
        """Records a second that each topic took since the oldest look that is kept; empty until it is known."""
        if not self._samples:
            return {}
        last, first = self._samples[-1], self._samples[0]
        span_s = last.at_s - first.at_s
        if span_s <= 0 or last.ends is None or first.ends is None:
            return {}
        found: dict[str, float] = defaultdict(float)
        for place, end in last.ends.items():
            found[place[0]] += max(0, end - first.ends.get(place, end)) / span_s
        return dict(found)


class LogEnds:
    """The end offset of every partition, by one client that stays."""

    def __init__(self, options: KafkaOptions) -> None:
        self._admin = AdminClient(
            {
                "bootstrap.servers": options.bootstrap,
                "client.id": f"{options.client_id}-console",
                "log_level": 0,
                **options.security,
            }
        )

    def __call__(self) -> dict[Place, int]:
        """Blocks KAFKA_S at most. Raises TransientFault."""
        try:
            known = self._admin.list_topics(timeout=KAFKA_S).topics
            wanted = {
                TopicPartition(name, partition): OffsetSpec.latest()
                for name in TOPICS
                if name in known
                for partition in known[name].partitions
            }
            futures = self._admin.list_offsets(wanted, request_timeout=KAFKA_S) if wanted else {}
            return {(at.topic, at.partition): int(future.result(KAFKA_S).offset) for at, future in futures.items()}
        except (KafkaException, TimeoutError) as error:
            raise TransientFault(f"Kafka: {error}") from error
