"""What Grafana would send: a panel's queries with its variables and macros filled in."""

import re
from typing import Any

import psycopg
from psycopg.rows import dict_row

from monitoring.dashboards.declared import ALL, Dashboard, Prom, Sql, asked

Rows = list[dict[str, Any]]


def sql_of(query: Sql, dashboard: Dashboard, **values: str) -> str:
    """Within the dashboard's own time; a variable without a value narrows nothing, as at first."""
    return asked(query, dashboard, **values)


def promql_of(query: Prom, **values: str) -> str:
    """Over five minutes, an hour shown; a variable without a value narrows nothing, as at first."""
    text = query.text.replace("$__rate_interval", "5m").replace("$__range", "1h")
    return re.sub(r"\$(\w+)", lambda found: values.get(found[1], ALL), text)


def read(connection: psycopg.Connection[Any], text: str) -> Rows:
    """The rows, by column."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(text)  # type: ignore[call-overload]
        found: Rows = cursor.fetchall()
        return found
