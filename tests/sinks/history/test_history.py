"""Every event stands once in the history, whatever comes again and however batches are cut."""

import random
from datetime import UTC, datetime

import psycopg
import pytest

from engine.database import FEW
from engine.ports import Row
from schemas.contract import Fact
from sinks.history import HistorySink

pytestmark = pytest.mark.services


def _row(number: int, offset: int) -> Row:
    at = datetime(2026, 3, 2, 8, 0, 0, 123_000, UTC)
    fact = Fact("research.review.started", f"e{number}", "/a\\b", f"P-{number}", at, None)
    return Row(
        "research.project.event",
        0,
        offset,
        1_772_438_400_123 + offset,
        fact,
        "gov.stiib.t.v1",
        f'{{"n":"{number}\\n"}}'.encode(),
    )


@pytest.mark.parametrize("size", [FEW // 2, FEW + 100])
def test_the_first_of_repeats_stays(database: str, size: int) -> None:
    draw = random.Random(1)  # noqa: S311 - a sample, the same each time
    sink, offset = HistorySink(), 0
    stored: dict[int, int] = {}  # event number -> offset
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        # new, new, overlapping, new, whole again, new, new, overlapping
        for start in (0, size, 3 * size // 2, 10 * size, 10 * size, 20 * size, 30 * size, 61 * size // 2):
            rows, repeats = [], set()
            for position in range(size):
                number = start + (draw.randrange(position) if position and draw.random() < 0.05 else position)
                if stored.setdefault(number, offset) != offset:
                    repeats.add(position)
                rows.append(_row(number, offset))
                offset += 1
            assert sink.write(cursor, rows) == repeats
            connection.commit()
        assert sink.write(cursor, []) == set()
        found = cursor.execute("SELECT event_id, record_offset FROM event_history").fetchall()
        assert dict(found) == {f"e{number}": offset for number, offset in stored.items()}
        assert len(found) == len(stored)
        repeated = cursor.execute("SELECT topic, event_source, sum(events)::int FROM event_repeat GROUP BY 1, 2").fetchall()
        assert repeated == [("research.project.event", "/a\\b", offset - len(stored))]
        row = cursor.execute(
            "SELECT event_source, subject, event_time, recorded_at, event FROM event_history WHERE event_id = 'e7'"
        ).fetchone()
        expected = _row(7, stored[7])
        at = datetime.fromtimestamp(expected.timestamp_ms / 1000, UTC)
        assert row == ("/a\\b", "P-7", expected.fact.time, at, expected.value.decode())
