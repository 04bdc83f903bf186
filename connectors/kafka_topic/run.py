"""From the partner's topic into ours, batch by batch: judge, publish and await every acknowledgement, then move the position.

A kill in between publishes the batch again under the same ids and keys: readers drop repeats by (source, id). Nothing is
lost, since a position never moves before Kafka has what stands below it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any

import structlog

from connectors.kafka_topic.mapping import Accepted, Given, Judge, answer, finding
from connectors.kafka_topic.positions import Move, Positions, opened
from connectors.kafka_topic.settings import KafkaTopicSettings
from connectors.kafka_topic.source import Bounds, Feed
from engine import failpoints
from engine.clock import Clock
from engine.errors import EnvironmentFault, Fault
from engine.filedrop import Outbox
from engine.filedrop.books import AlreadyRunning, Connect
from engine.kafka import Message
from monitoring.metrics import ConnectorMetrics
from schemas.registry import Registry

POLL_S = 0.5
LOOK_S = 30.0  # between two looks for new partitions
PAUSE_FIRST_S = 0.5
PAUSE_LAST_S = 15.0

log = structlog.get_logger("connector.kafka_topic")


class RecordsLost(EnvironmentFault):
    """The partner's Kafka deleted records before they were read, or its topic was made anew."""


@dataclass
class Done:
    """Of one run: read = published + refused."""

    published: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        return self.published + self.refused.total()


@dataclass
class Health:
    """What a supervisor may ask for while a run goes on."""

    fault: str | None = "the topic was not opened yet"  # None: it is read

    def told(self) -> dict[str, Any]:
        """Ready: the topic is being read."""
        return {"ready": self.fault is None, "fault": self.fault}


@dataclass(frozen=True)
class Parts:
    """What a run stands on. `rights` gives the judge of now: asked before each batch, so a change of rights holds soon.

    `heard` is told of each batch of which something was taken; its fault repeats the batch.
    """

    settings: KafkaTopicSettings
    registry: Registry
    publisher: Outbox
    connect: Connect
    rights: Callable[[], Judge]
    heard: Callable[[], None]
    clock: Clock
    metrics: ConnectorMetrics
    health: Health = field(default_factory=Health)
    open_feed: Callable[[KafkaTopicSettings], AbstractContextManager[Feed]] = Feed


def run(parts: Parts, stop: Event, *, until_end: bool = False, skip_lost: bool = False) -> Done:
    """Until `stop`, or the end that the topic had at the start. After a fault it begins again from the positions.

    Raises RecordsLost and AlreadyRunning, which waiting does not mend; with `until_end` every fault.
    """
    done = Done()
    of_topic = parts.settings.partner, parts.settings.topic
    parts.metrics.begin(*of_topic)
    pause_s = PAUSE_FIRST_S
    while not stop.is_set():
        read = done.read
        try:
            _carry(parts, stop, done, until_end=until_end, skip_lost=skip_lost)
            return done
        except (RecordsLost, AlreadyRunning):
            raise
        except Fault as fault:
            if until_end:
                raise
            parts.health.fault = str(fault)
            kind = "environment" if isinstance(fault, EnvironmentFault) else "transient"
            parts.metrics.faults.labels(*of_topic, kind).inc()
            pause_s = PAUSE_FIRST_S if done.read > read else min(PAUSE_LAST_S, 2 * pause_s)
            log.warning("connector_waits", topic=parts.settings.topic, fault=str(fault), remedy=fault.remedy, pause_s=pause_s)
            stop.wait(pause_s)
    return done


def _carry(parts: Parts, stop: Event, done: Done, *, until_end: bool, skip_lost: bool) -> None:
    settings = parts.settings
    with opened(parts.connect, settings.partner, settings.topic) as positions, parts.open_feed(settings) as feed:
        bounds = feed.bounds()
        at = _standing(settings.topic, bounds, positions, skip_lost=skip_lost)
        feed.stand(at)
        lag = parts.metrics.lag_records.labels(settings.partner, settings.topic)
        quiet_s = 0.0
        while not stop.is_set():
            lag.set(feed.behind(at))
            records = feed.poll(settings.records_max, POLL_S)
            if records:
                _take(parts, records, positions, at, done)
            else:
                _pass_markers(feed, positions, at)
                if until_end and all(at[partition] >= kept.end for partition, kept in bounds.items()):
                    return
                quiet_s += POLL_S
                if quiet_s >= LOOK_S:
                    quiet_s = 0.0
                    if feed.bounds().keys() != at.keys():
                        log.info("connector_finds_partitions", topic=settings.topic)
                        at = _standing(settings.topic, feed.bounds(), positions, skip_lost=skip_lost)
                        feed.stand(at)
            parts.health.fault = None  # at the end: what cannot be taken is no sign of health


def _standing(topic: str, bounds: Mapping[int, Bounds], positions: Positions, *, skip_lost: bool) -> dict[int, int]:
    """The next offset of every partition; those never read begin at the first record kept. Raises RecordsLost."""
    known = positions.known()
    lost = {
        partition: (known[partition], kept)
        for partition, kept in bounds.items()
        if partition in known and not kept.first <= known[partition] <= kept.end
    }
    if lost and not skip_lost:
        places = ", ".join(f"p{partition}@{next_} of {kept.first} to {kept.end}" for partition, (next_, kept) in lost.items())
        raise RecordsLost(
            f"{topic}: the records to read next are not there: {places}",
            "ask the partner whether the topic was shortened or made anew, and for the events that are missing; then start"
            " once with --skip-lost",
        )
    if lost:
        log.warning("connector_skips_lost", topic=topic, partitions=sorted(lost))
    begun = {partition: kept.first for partition, kept in bounds.items() if partition in lost or partition not in known}
    positions.begin(begun)
    return {partition: begun.get(partition, known.get(partition, kept.first)) for partition, kept in bounds.items()}


def _pass_markers(feed: Feed, positions: Positions, at: dict[int, int]) -> None:
    """Behind the last record may stand markers of transactions: offsets that no record has, and nothing to lose."""
    passed = {partition: end for partition, end in feed.ends().items() if end > at[partition]}
    if passed:
        positions.move({partition: Move(at[partition], end, 0, 0) for partition, end in passed.items()})
        at.update(passed)


def _take(parts: Parts, records: list[Given], positions: Positions, at: dict[int, int], done: Done) -> None:
    judge = parts.rights()
    messages: list[Message] = []
    moves: dict[int, Move] = {}
    times: list[datetime] = []
    refusals: Counter[str] = Counter()
    for record in records:
        judged = answer(record, judge)
        is_taken = isinstance(judged, Accepted)
        if isinstance(judged, Accepted):
            messages.append(judged.message)
            if judged.time is not None:
                times.append(judged.time)
        else:
            refusals[judged.reason] += 1
            messages.append(finding(parts.registry, parts.settings.partner, record, judged))
        before = moves.get(record.partition, Move(at[record.partition], 0, 0, 0))
        counts = (before.published + is_taken, before.refused + (not is_taken))
        moves[record.partition] = Move(before.before, record.offset + 1, *counts)
    failpoints.passing("decided")
    parts.publisher.publish(messages)
    failpoints.passing("published")
    if refusals.total() < len(records):
        parts.heard()
    positions.move(moves)
    failpoints.passing("committed")
    at.update({partition: move.after for partition, move in moves.items()})
    done.published += len(records) - refusals.total()
    done.refused += refusals
    _count(parts, len(records) - refusals.total(), times, refusals)
    if refusals:
        log.warning("connector_refused", topic=parts.settings.topic, records=refusals.total(), reasons=sorted(refusals))


def _count(parts: Parts, published: int, times: Sequence[datetime], refusals: Counter[str]) -> None:
    metrics, of_topic, now = parts.metrics, (parts.settings.partner, parts.settings.topic), parts.clock.now()
    metrics.published.labels(*of_topic).inc(published)
    # A clock that is ahead makes nothing fresher than fresh.
    metrics.event_ages_s(*of_topic, [max(0.0, (now - time).total_seconds()) for time in times])
    for reason, records in refusals.items():
        metrics.refused.labels(*of_topic, reason).inc(records)
    metrics.last_carried_timestamp_seconds.labels(*of_topic).set_to_current_time()
