"""The floor: one hand-written process from Kafka to PostgreSQL, as quick as we know to write it, with an exact ledger.

confluent-kafka, msgspec, last event per key, COPY text, one upsert, ledger by compare-and-set in the same transaction; decoding
overlaps writing. No rule, no validation beyond types, no quarantine, no derived events, no duplicate check, no metrics: it
shows what the machine gives when nothing is promised but the ledger.
"""

import argparse
import gc
import signal
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
from confluent_kafka import Consumer, TopicPartition

TABLES = """
CREATE TABLE floor_status (
  project_id text PRIMARY KEY, last_type text NOT NULL, last_id text NOT NULL, source text NOT NULL,
  event_time timestamptz NOT NULL, amount bigint, milestone text, remark text,
  written_at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 60);
CREATE TABLE floor_history (
  topic text NOT NULL, part int NOT NULL, record_offset bigint NOT NULL, event_id text NOT NULL, source text NOT NULL,
  type text NOT NULL, subject text NOT NULL, event_time timestamptz NOT NULL, event text NOT NULL,
  PRIMARY KEY (topic, part, record_offset));
CREATE TABLE floor_ledger (
  part int PRIMARY KEY, start_offset bigint NOT NULL, next_offset bigint NOT NULL, moved_at timestamptz NOT NULL);
"""
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Data(msgspec.Struct, gc=False):
    amount: int | None = None
    milestone_id: str | None = None
    remark: str | None = None


class Event(msgspec.Struct, gc=False):
    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Data


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--records-max", type=int, default=5_000)
    parser.add_argument("--append", action="store_true", help="history instead of state")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1_000)
    sys.setswitchinterval(0.0002)
    run(arguments, stop)


def run(arguments: argparse.Namespace, stop: threading.Event) -> None:
    connection = psycopg.connect(arguments.dsn, autocommit=True)
    connection.execute(
        "CREATE TEMP TABLE pending ON COMMIT DELETE ROWS AS SELECT project_id, last_type, last_id, source, event_time, amount,"
        " milestone, remark FROM floor_status WITH NO DATA"
    )
    positions: dict[int, int] = {}

    def assigned(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            connection.execute(
                "INSERT INTO floor_ledger VALUES (%s, 0, 0, clock_timestamp()) ON CONFLICT DO NOTHING", (partition.partition,)
            )
            row = connection.execute("SELECT next_offset FROM floor_ledger WHERE part = %s", (partition.partition,)).fetchone()
            assert row is not None
            positions[partition.partition] = partition.offset = row[0]
        consumer.assign(partitions)

    consumer = Consumer(
        {
            "bootstrap.servers": arguments.bootstrap,
            "group.id": arguments.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "queued.min.messages": 100_000,
            "queued.max.messages.kbytes": 131_072,
            "fetch.message.max.bytes": 4 * 1_048_576,
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.subscribe([arguments.topic], on_assign=assigned)
    decode = msgspec.json.Decoder(Event).decode
    build = _append_lines if arguments.append else _state_lines
    write = _write_append if arguments.append else _write_state
    writer = ThreadPoolExecutor(1)
    flying: Future[None] | None = None
    while not stop.is_set():
        first = consumer.poll(0.1)
        if first is None:
            continue
        messages = [first, *consumer.consume(arguments.records_max - 1, 0)]
        start = dict(positions)
        touched: set[int] = set()
        events = []
        for message in messages:
            partition = message.partition()
            positions[partition] = message.offset() + 1
            touched.add(partition)
            value = message.value()
            events.append((decode(value), message, value))
        lines = build(events)
        moves = [(positions[partition], partition, start[partition]) for partition in touched]
        if flying is not None:
            flying.result()
        flying = writer.submit(write, connection, lines, moves)
    if flying is not None:
        flying.result()
    consumer.close()


def _state_lines(events: list[Any]) -> list[str]:
    last = {event.subject: event for event, _, _ in events}
    return [
        f"{key}\t{event.type}\t{event.id}\t{event.source}\t{event.time}"
        f"\t{chr(92) + 'N' if event.data.amount is None else event.data.amount}"
        f"\t{event.data.milestone_id or chr(92) + 'N'}\t{(event.data.remark or '').translate(_ESCAPES)}"
        for key, event in last.items()
    ]


def _append_lines(events: list[Any]) -> list[str]:
    return [
        f"{message.topic()}\t{message.partition()}\t{message.offset()}\t{event.id}\t{event.source}\t{event.type}\t{event.subject}"
        f"\t{event.time}\t{value.decode().translate(_ESCAPES)}"
        for event, message, value in events
    ]


def _move(connection: psycopg.Connection[Any], moves: list[tuple[int, int, int]]) -> None:
    following, partitions, expected = zip(*moves, strict=True)
    moved = connection.execute(
        "UPDATE floor_ledger SET next_offset = m.next, moved_at = clock_timestamp() FROM"
        " unnest(%s::bigint[], %s::int[], %s::bigint[]) AS m(next, part, expected)"
        " WHERE floor_ledger.part = m.part AND floor_ledger.next_offset = m.expected",
        (list(following), list(partitions), list(expected)),
    )
    assert moved.rowcount == len(moves)


def _write_state(connection: psycopg.Connection[Any], lines: list[str], moves: list[tuple[int, int, int]]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy("COPY pending FROM STDIN") as copy:
            copy.write(("\n".join(lines) + "\n").encode())
        cursor.execute(
            "INSERT INTO floor_status (project_id, last_type, last_id, source, event_time, amount, milestone, remark)"
            " SELECT * FROM pending ON CONFLICT (project_id) DO UPDATE SET last_type = excluded.last_type,"
            " last_id = excluded.last_id, source = excluded.source, event_time = excluded.event_time,"
            " amount = excluded.amount, milestone = excluded.milestone, remark = excluded.remark, written_at = now()"
        )
        _move(connection, moves)


def _write_append(connection: psycopg.Connection[Any], lines: list[str], moves: list[tuple[int, int, int]]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(
            "COPY floor_history (topic, part, record_offset, event_id, source, type, subject, event_time, event) FROM STDIN"
        ) as copy:
            copy.write(("\n".join(lines) + "\n").encode())
        _move(connection, moves)


if __name__ == "__main__":
    main()
