"""Every event stands once in the history, whatever comes again and however batches are cut."""

import random
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest

from engine.database import FEW, in_one_text
from engine.ports import Row
from schemas.contract import Fact
from sinks.history import HistorySink
from sinks.history.rows import COLUMNS, line_of

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
            assert sink.prepare(rows)(cursor) == repeats
            connection.commit()
        assert sink.prepare([])(cursor) == set()
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


def test_few_and_many_are_stored_alike(database: str) -> None:
    instants = [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(2026, 3, 2, 8, 0, 0, 1, UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, timezone(timedelta(hours=-12))),
    ]
    recorded_ms = [-1, 0, 1_772_438_400_123, 9_999_999_999_999, -1 << 62]
    texts = ["a", "\\", "项目", "𐍈" * 40, "x" * 1_000]
    rows = [
        _odd(text, f"{text} {at}", at, recorded) for at in instants for text, recorded in zip(texts, recorded_ms, strict=True)
    ]
    assert in_one_text(COLUMNS, [line_of(bytes(16), row) for row in rows]) is not None
    stored = []
    with psycopg.connect(database, autocommit=True) as connection, connection.cursor() as cursor:
        for others in (0, FEW):
            with connection.transaction(force_rollback=True):
                assert HistorySink().prepare([*rows, *(_row(number, number) for number in range(others))])(cursor) == set()
                # As text: Python has no instant before its own year 1.
                cursor.execute("SELECT (to_jsonb(event_history) - 'stored_at')::text FROM event_history")
                stored.append({row[0] for row in cursor.fetchall() if "调度" in row[0]})
    assert stored[0] == stored[1]
    assert len(stored[0]) == len(rows)


@pytest.mark.parametrize("others", [0, FEW])
def test_what_text_would_have_to_escape_is_stored_as_it_came(database: str, others: int) -> None:
    text = 'a\tb\nc\rd\\N "项目"'
    row = _odd(text, text, datetime(2026, 3, 2, tzinfo=UTC), 0)
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        assert HistorySink().prepare([row, *(_row(number, number) for number in range(others))])(cursor) == set()
        cursor.execute("SELECT event_id, event_source, subject, event FROM event_history WHERE topic = '调度'")
        assert cursor.fetchall() == [(text, f"/{text}", f"P {text}", f"= {text}")]


def test_a_batch_that_was_prepared_beside_another_finds_what_that_one_stored(database: str) -> None:
    size = FEW + 100
    sink, other = HistorySink(), HistorySink()
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        other.prepare([_row(number, number) for number in range(10)])(cursor)
        connection.commit()
        one = sink.prepare([_row(number, number) for number in range(size)])
        two = sink.prepare([_row(number, number) for number in range(size // 2, size + size // 2)])
        for end in (connection.rollback, connection.rollback, connection.commit):  # tried again, as after an outage
            assert one(cursor) == set(range(10))
            end()
        assert two(cursor) == set(range(size - size // 2))
        connection.commit()
        assert (
            cursor.execute("SELECT count(*), count(DISTINCT event_id) FROM event_history").fetchone() == (size + size // 2,) * 2
        )


def _odd(text: str, event_id: str, at: datetime, recorded_ms: int) -> Row:
    fact = Fact("n", event_id, f"/{text}", f"P {text}", at, None)
    return Row("调度", 7, 1 << 40, recorded_ms, fact, "t.v1", f"= {text}".encode())
