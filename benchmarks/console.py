"""How long the console's questions take with a million projects and 10,000 alerts, each as when nobody asked before.

  python -m benchmarks.console            a line for each question: the median of five, in ms
  python -m benchmarks.console --quick    with 50,000 projects

Four projects in ten are active, each with four milestones; nothing else runs. A kept answer costs a reader none of this.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import Cursor

from benchmarks.harness import bench, say, schema
from gateway.console import queries
from gateway.console.queries import AlertFilter, ProjectFilter

PROJECTS, QUICK_PROJECTS, ALERTS = 1_000_000, 50_000, 10_000
RUNS = 5

_PROJECTS = """
INSERT INTO project_status (project_id, state, title, lead, call_id, contract_no, contract_amount, currency, start_on, end_on,
    disbursed, milestones, is_extended, is_retried, register_name, source_status, parked, changed_at, changed_by, applied,
    duplicates, superseded, rejected, seen)
SELECT 'P-' || lpad(n::text, 7, '0'),
    (ARRAY['archived', 'archived', 'closed', 'closed', 'rejected', 'under_review', 'executing', 'executing', 'executing',
           'acceptance_pending'])[1 + n %% 10],
    'Project ' || md5(n::text), 'Institute ' || n %% 5000, 'C-' || n %% 300, 'HT-' || n, 1000000, 'CNY',
    current_date - n %% 900, current_date + n %% 700 - 100, 400000,
    jsonb_build_array(
        jsonb_build_array('M1', (current_date - n %% 900 + 100)::text, 'accepted'),
        jsonb_build_array('M2', (current_date + n %% 600 - 30)::text, 'planned'),
        jsonb_build_array('M3', (current_date + n %% 700)::text, 'planned'),
        jsonb_build_array('M4', (current_date + n %% 700 + 20)::text, 'planned')),
    false, false, '', '', '[]', now() - make_interval(secs => n * 20), '/partners/x e-' || n, 10, 0, 0, '[]',
    decode(repeat(md5(n::text), 5), 'hex')
FROM generate_series(1, %(count)s) n"""
_ALERTS = """
INSERT INTO alert_status (alert_key, episodes, condition, handling, suppression, severity, title, raised_at, last_seen,
    attention_at, repeats, reopened, changed_by, applied, duplicates, superseded, rejected, seen)
SELECT 'am/' || n, 1, (ARRAY['firing', 'resolved'])[1 + n %% 2], (ARRAY['open', 'acknowledged', 'closed'])[1 + n %% 3],
    'none', (ARRAY['info', 'low', 'warning', 'high', 'critical'])[1 + n %% 5], 'node-' || n, now() - make_interval(secs => n),
    now(), now() - make_interval(secs => n), n %% 9, 0, '', 1, 0, 0, '[]', ''
FROM generate_series(1, %(count)s) n"""

QUESTIONS: dict[str, Callable[[Cursor[Any]], object]] = {
    "now: what waits": queries.needs,
    "projects: board": queries.board,
    "projects: list": lambda cursor: queries.projects(cursor, ProjectFilter()),
    "projects: executing": lambda cursor: queries.projects(cursor, ProjectFilter(state="executing")),
    "projects: overdue": lambda cursor: queries.projects(cursor, ProjectFilter(claim="overdue")),
    "projects: by words": lambda cursor: queries.projects(cursor, ProjectFilter(words="abcd12")),
    "project: one": lambda cursor: queries.project(cursor, "P-0000777"),
    "alerts: list": lambda cursor: queries.alerts(cursor, AlertFilter()),
    "search: by id": lambda cursor: queries.find_key(cursor, "P-0000777"),
    "search: rare words": lambda cursor: queries.find_words(cursor, "abcd1234"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer projects")
    count = QUICK_PROJECTS if parser.parse_args().quick else PROJECTS
    with bench() as at, schema(at) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        say(f"storing {count:,} projects and {ALERTS:,} alerts")
        connection.execute(_PROJECTS, {"count": count})
        connection.execute(_ALERTS, {"count": ALERTS})
        connection.execute("VACUUM ANALYZE project_status, alert_status")
        with connection.cursor() as cursor:
            for name, ask in QUESTIONS.items():
                print(f"{name:22} {_median_ms(ask, cursor):8.0f} ms", flush=True)


def _median_ms(ask: Callable[[Cursor[Any]], object], cursor: Cursor[Any]) -> float:
    took = []
    for _ in range(RUNS):
        began_s = time.perf_counter()
        ask(cursor)
        took.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(took)


if __name__ == "__main__":
    main()
