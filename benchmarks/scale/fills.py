"""Rows that were there before: projects in progress, and the history of a past."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg

from benchmarks.harness import say
from benchmarks.traffic import PREFIX, Event

ROWS_A_STATEMENT = 1_000_000
_REMARK = (
    "Progress as planned; the consortium met its partners, results were recorded and the next period was agreed. "
    "No change of budget, staff or scope is asked for in this period."
)
_PROJECTS = """
INSERT INTO project_status (project_id, state, title, lead, call_id, contract_no, contract_amount, currency, start_on, end_on,
  disbursed, milestones, is_extended, is_retried, register_name, source_status, parked, changed_at, changed_by, applied,
  duplicates, superseded, rejected, seen)
SELECT %s || '-' || to_char(number, 'FM00000000'), 'executing', 'A project of the benchmark', 'ORG-12', 'C-7', 'C-1', 900000,
  'CNY', '2024-02-01', '2026-08-01', 300000, '[["M1","2024-09-01","accepted"],["M2","2025-03-01","planned"]]', false, false, '',
  '', '[]', '2024-03-01', 'bench', 8, 0, 0, '[]', decode(repeat('00', 64), 'hex')
FROM generate_series(%s::bigint, %s::bigint) AS number
"""
_HISTORY = """
INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject, event_time,
  recorded_at, event)
SELECT md5('filled' || number)::uuid, 'bench.filled', mod(number, 8), number / 8, 'gov.stiib.research.project.started.v1',
  '/partners/institute-1', 'F-' || number, 'F-' || mod(number, 1000000),
  '2023-01-01'::timestamptz + number * interval '1 second', now(), repeat('{"a":"so long as an event is"}', 16)
FROM generate_series(%s::bigint, %s::bigint) AS number
"""


def fill_projects(dsn: str, first: int, last: int, mark: str = "P") -> None:
    """Projects number `first` to `last`, a contract each and room for payments."""
    _fill(dsn, _PROJECTS, "project_status", first, last, mark)


def project_id(number: int) -> str:
    """Of a filled project."""
    return f"P-{number:08d}"


def fill_history(dsn: str, first: int, last: int) -> None:
    """Events number `first` to `last` of other projects, about 450 bytes each."""
    _fill(dsn, _HISTORY, "event_history", first, last)


def _fill(dsn: str, statement: str, table: str, first: int, last: int, *values: str) -> None:
    began = time.monotonic()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for start in range(first, last + 1, ROWS_A_STATEMENT):
            connection.execute(statement.encode(), (*values, start, min(last, start + ROWS_A_STATEMENT - 1)))
        connection.execute(f"VACUUM ANALYZE {table}".encode())
    say(f"{last:,} rows in {table} after {time.monotonic() - began:.0f} s")


def payments(count: int, projects: int, touched: int, turn: int) -> Iterator[Event]:
    """Small payments to random ones of `touched` projects, spread evenly over those filled; every one is applied.

    A later turn's lie later.
    """
    draw = Random(turn)
    began = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(days=30 * turn)
    for number in range(count):
        key = project_id(1 + int(draw.random() * touched) * projects // touched)
        instant = (began + timedelta(seconds=number)).isoformat()[:19]
        body = (
            f'{{"specversion":"1.0","id":"{key}-{turn}-{number}","source":"/partners/institute-{number % 7}",'
            f'"type":"{PREFIX}.research.funds.disbursed.v1","subject":"{key}","time":"{instant}Z",'
            f'"datacontenttype":"application/json","partitionkey":"{key}",'
            f'"data":{{"amount":10,"tranche":3,"remark":"{_REMARK}"}}}}'
        )
        yield Event(key.encode(), body.encode())
