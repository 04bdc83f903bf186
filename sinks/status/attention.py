"""How many alerts fire, and how many of them nobody took in time: counted from their view, for metrics.

An alert becomes late as time passes and not by an event, so the table is asked now and then.
"""

from threading import Event
from typing import Any, Final

import structlog
from psycopg import Cursor

from engine.database import Database
from engine.looks import keep_looking
from monitoring.metrics import AlertMetrics
from schemas.alerts import SEVERITIES

EVERY_S: Final = 10.0

log = structlog.get_logger("attention")


def keep_counted(dsn: str, stopping: Event, metrics: AlertMetrics) -> None:
    """Until `stopping`. While a look fails the figures stay as they were: that the database is away is told elsewhere."""
    database = Database(dsn, "dujiang alert counts")

    def look() -> None:
        with database.transaction() as cursor:
            count(cursor, metrics)

    keep_looking({"alerts": look}, stopping, _tell, every_s=EVERY_S)
    database.close()


def _tell(_: str, fault: Exception) -> None:
    log.warning("alert_counts_failed", fault=str(fault))


def count(cursor: Cursor[Any], metrics: AlertMetrics) -> None:
    """Every severity as it stands now; those of which nothing fires are 0."""
    rows = cursor.execute(
        "SELECT severity, count(*), count(*) FILTER (WHERE is_acknowledged_late) FROM v_alert"
        " WHERE condition = 'firing' GROUP BY severity"
    ).fetchall()
    found = {severity: (firing, late) for severity, firing, late in rows}
    for severity in SEVERITIES:
        firing, late = found.get(severity, (0, 0))
        metrics.firing.labels(severity).set(firing)
        metrics.overdue.labels(severity).set(late)
