"""What Grafana would send: a panel's queries with its variables and macros filled in."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from monitoring.dashboards.declared import Dashboard, Prom, Sql, asked

Rows = list[dict[str, Any]]


def sql_of(query: Sql, dashboard: Dashboard, **values: str) -> str:
    """Within the dashboard's own time; a variable without a value is empty, as at first."""
    return asked(query, dashboard.hours, **values)


def promql_of(query: Prom) -> str:
    """Over five minutes, an hour shown, all steps."""
    return query.text.replace("$__rate_interval", "5m").replace("$__range", "1h").replace("$step", ".*")


def read(connection: psycopg.Connection[Any], text: str) -> Rows:
    """The rows, by column."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(text)  # type: ignore[call-overload]
        found: Rows = cursor.fetchall()
        return found
