"""Where the data stands still."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

from gateway.console.queries.rows import rows


class Paused(NamedTuple):
    """A partition that a flood of bad records paused."""

    step: str
    topic: str
    partition: int
    opened_at: datetime
    message: str


def kept_carried(cursor: Cursor[Any]) -> list[str]:
    """Partners with a Kafka topic of their own, from which a connector carries."""
    cursor.execute("SELECT DISTINCT connector FROM connector_position ORDER BY connector LIMIT 100")
    return [partner for (partner,) in cursor.fetchall()]


def paused(cursor: Cursor[Any]) -> list[Paused]:
    """Partitions that stand still."""
    return rows(
        cursor,
        Paused,
        "SELECT step, topic, partition, opened_at, message FROM v_breaker WHERE opened_at IS NOT NULL"
        " ORDER BY opened_at LIMIT 100",
    )
