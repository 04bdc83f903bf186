"""The Faust applications of `tutorial`, as Faust's user guide writes them: a Record, a topic, an agent.

python -m benchmarks.peers.faust_app each|take|table --bootstrap … --topic … --group … --dsn … --data …
"""

import os

os.environ.setdefault("FAUST_LOOP", "uvloop")

import argparse
from collections.abc import AsyncIterator
from typing import Any

import faust
import psycopg

from benchmarks.peers.traffic import row_of
from benchmarks.peers.tutorial import TABLE

_UPSERT = """
INSERT INTO status (project_id, version, last_type, last_id, source, event_time, amount, milestone, remark)
VALUES (%(project_id)s, %(version)s, %(last_type)s, %(last_id)s, %(source)s, %(event_time)s, %(amount)s, %(milestone)s,
  %(remark)s)
ON CONFLICT (project_id) DO UPDATE SET version = excluded.version, last_type = excluded.last_type, last_id = excluded.last_id,
  source = excluded.source, event_time = excluded.event_time, amount = excluded.amount, milestone = excluded.milestone,
  remark = excluded.remark
"""


class ProjectEvent(faust.Record, serializer="json"):  # type: ignore[misc, call-arg]  # faust is untyped here
    id: str
    source: str
    type: str
    subject: str
    time: str
    data: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("each", "take", "table"))
    for name in ("bootstrap", "topic", "group", "dsn", "data"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    app = faust.App(
        arguments.group,
        broker=f"kafka://{arguments.bootstrap}",
        store="memory://",
        datadir=arguments.data,
        topic_replication_factor=1,
        topic_partitions=8,
        web_enabled=False,
        # Without SQL the clock reads the commits, and 2.8 s, the default, would be coarse.
        broker_commit_interval=0.5 if arguments.mode == "table" else 2.8,
    )
    events = app.topic(arguments.topic, key_type=bytes, value_type=ProjectEvent)
    {"each": _each, "take": _take, "table": _table}[arguments.mode](app, events, arguments.dsn)
    app.finalize()
    faust.Worker(app, loglevel="WARN").execute_from_commandline()


def _each(app: Any, events: Any, dsn: str) -> None:
    @app.agent(events)  # type: ignore[untyped-decorator]
    async def store(stream: AsyncIterator[ProjectEvent]) -> None:
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        async for event in stream:
            await connection.execute(_UPSERT.encode(), row_of(vars_of(event)))


def _take(app: Any, events: Any, dsn: str) -> None:
    @app.agent(events)  # type: ignore[untyped-decorator]
    async def store(stream: Any) -> None:
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        async for batch in stream.take(500, within=1):
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(_UPSERT.encode(), [row_of(vars_of(event)) for event in batch])


def _table(app: Any, events: Any, _dsn: str) -> None:
    projects = app.Table(TABLE, partitions=8)

    @app.agent(events)  # type: ignore[untyped-decorator]
    async def count(stream: AsyncIterator[ProjectEvent]) -> None:
        async for event in stream:
            row = row_of(vars_of(event))
            known = projects.get(event.subject)
            paid = known["disbursed"] if known else 0
            if event.type.endswith(".funds.disbursed.v1"):
                paid += event.data["amount"]
            projects[event.subject] = row | {"version": known["version"] + 1 if known else 1, "disbursed": paid}


def vars_of(event: ProjectEvent) -> dict[str, Any]:
    """The event as parsed JSON again."""
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.time,
        "data": event.data,
    }


if __name__ == "__main__":
    main()
