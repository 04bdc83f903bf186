"""The audit of one run: the partners' receipts against the log itself, the history and the quarantine.

The ledger says what the workers believe. This reads every record that the run put into the steps' topics and asks who
published it and what has become of it, from the receipts' side and from the log's.
"""

import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition
from psycopg import Cursor

from dujiang.demo.account import snapshot
from dujiang.demo.receipts import COLUMNS, Receipts
from dujiang.wiring import STEPS, Services
from engine.database import NULL
from engine.kafka import new_consumer
from engine.options import KafkaOptions
from engine.records import Place
from engine.timers import SOURCE as TIMERS
from sinks.history.rows import identity_of

HOOKS = "/connectors/alertmanager"
READ_AT_ONCE = 5_000
SILENCE_S_MAX = 10.0

_TABLES = """
CREATE TEMP TABLE receipt (kind text, identity uuid, topic text, partition int, record_offset bigint) ON COMMIT DROP;
CREATE TEMP TABLE log (kind text, identity uuid, topic text, partition int, record_offset bigint) ON COMMIT DROP
"""
_INDEXES = """
CREATE INDEX ON receipt (topic, partition, record_offset); CREATE INDEX ON receipt (identity);
CREATE INDEX ON log (topic, partition, record_offset); ANALYZE receipt; ANALYZE log
"""
# Each answers with a number that must be 0.
_CHECKS = {
    "events with a receipt are not in the history": (
        "SELECT count(DISTINCT identity) FROM receipt WHERE kind = 'receipt'"
        " AND NOT EXISTS (SELECT FROM event_history h WHERE h.identity = receipt.identity)"
    ),
    "receipts name a place in the log that holds another event or none": (
        "SELECT count(*) FROM receipt r WHERE kind = 'receipt' AND NOT EXISTS (SELECT FROM log l WHERE l.identity = r.identity"
        " AND (l.topic, l.partition, l.record_offset) = (r.topic, r.partition, r.record_offset))"
    ),
    "receipts name the same place": (
        "SELECT count(*) - count(DISTINCT (topic, partition, record_offset)) FROM receipt WHERE kind IN ('receipt', 'straight')"
    ),
    "records of the partners stand in the log that nobody sent": (
        "SELECT count(*) FROM log l WHERE kind = 'partner' AND NOT EXISTS (SELECT FROM receipt r WHERE kind = 'receipt'"
        " AND (l.topic, l.partition, l.record_offset) = (r.topic, r.partition, r.record_offset))"
        " AND NOT EXISTS (SELECT FROM receipt r WHERE kind = 'doubt' AND r.identity = l.identity)"
    ),
    "bad records went neither to quarantine nor away": (
        "SELECT count(*) FROM receipt r WHERE kind = 'straight' AND NOT EXISTS (SELECT FROM quarantine q"
        " WHERE (q.topic, q.partition, q.record_offset) = (r.topic, r.partition, r.record_offset))"
    ),
    "records of the log are neither in the history nor in quarantine": (
        "SELECT count(*) FROM log l WHERE NOT EXISTS (SELECT FROM event_history h WHERE h.identity = l.identity)"
        " AND NOT EXISTS (SELECT FROM quarantine q"
        " WHERE (q.topic, q.partition, q.record_offset) = (l.topic, l.partition, l.record_offset))"
    ),
}


class Parties(NamedTuple):
    """Whose records are whose: sources of the partners, names of their monitors."""

    sources: Collection[str]
    monitors: Collection[str]


class Findings(NamedTuple):
    """What speaks against the run, and what was found in any case."""

    reasons: list[str]
    notes: list[str]


def audit(
    services: Services,
    options: KafkaOptions,
    receipts: Receipts,
    parties: Parties,
    before: Mapping[Place, int],
    ends: Mapping[Place, int],
) -> Findings:
    """Judge the records between two ends of the log. The receipts' file is closed."""
    mine = {step.topic for step in STEPS.values()}
    span = {place: (before.get(place, 0), end) for place, end in ends.items() if place[0] in mine}
    wanted = sum(end - start for start, end in span.values())
    consumer = new_consumer(options, "demo-audit")
    try:
        with snapshot(services) as connection, connection.cursor() as cursor:
            cursor.execute(_TABLES)
            _load(cursor, "receipt", receipts.path.open(encoding="utf-8"))
            kinds: Counter[str] = Counter()
            _load(cursor, "log", _lines(_records(consumer, span), parties, kinds))
            cursor.execute(_INDEXES)
            reasons = _checked(cursor)
    finally:
        consumer.close()
    read = sum(kinds.values())
    if read != wanted:
        reasons.append(f"the log holds {read} records of this run, its offsets say {wanted}")
    if not receipts.hooked <= kinds["hook"] <= receipts.hooked + receipts.hooks_doubted:
        reasons.append(f"webhooks were told {receipts.hooked} alerts accepted, the log holds {kinds['hook']}")
    return Findings(reasons, [_note(read, kinds)])


def _checked(cursor: Cursor[Any]) -> list[str]:
    found = []
    for what, query in _CHECKS.items():
        cursor.execute(query)
        (count,) = cursor.fetchone() or (0,)
        if count:
            found.append(f"{count} {what}")
    return found


def _note(read: int, kinds: Counter[str]) -> str:
    told = ("partner", "hook", "timer", "unreadable", "other")
    return f"this run: {read} records in the log: " + ", ".join(f"{kinds[name]} {name}" for name in told)


def _load(cursor: Cursor[Any], table: str, lines: Iterator[str]) -> None:
    with cursor.copy(f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN") as copy:
        for line in lines:
            copy.write(line)


def _lines(records: Iterator[Any], parties: Parties, kinds: Counter[str]) -> Iterator[str]:
    for record in records:
        kind, identity = _kind_of(record.value(), parties)
        kinds[kind] += 1
        yield f"{kind}\t{identity}\t{record.topic()}\t{record.partition()}\t{record.offset()}\n"


def _kind_of(value: bytes | None, parties: Parties) -> tuple[str, str]:
    """Who published it, and its identity."""
    try:
        event = json.loads(value or b"")
        source, event_id, subject = event["source"], event["id"], event.get("subject", "")
        identity = identity_of(source, event_id)
    except (ValueError, KeyError, TypeError):
        return "unreadable", NULL
    if source == TIMERS:
        return "timer", identity
    if source == HOOKS and subject.partition("/")[0] in parties.monitors:
        return "hook", identity
    return ("partner" if source in parties.sources else "other"), identity


def _records(consumer: Consumer, span: Mapping[Place, tuple[int, int]]) -> Iterator[Any]:
    """Everything between the offsets. Stops early when the broker has been silent for SILENCE_S_MAX."""
    left = {place: end for place, (start, end) in span.items() if start < end}
    if not left:
        return
    consumer.assign([TopicPartition(*place, span[place][0]) for place in left])
    heard = time.monotonic()
    while left and time.monotonic() - heard < SILENCE_S_MAX:
        for record in consumer.consume(READ_AT_ONCE, 0.2):
            if record.error() is not None:
                continue
            heard = time.monotonic()
            place = (record.topic(), record.partition())
            end = left.get(place)
            if end is None or record.offset() >= end:
                continue
            if record.offset() == end - 1:
                del left[place]
            yield record
