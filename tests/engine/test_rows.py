"""Rows in bulk: few go by one statement, many by COPY, and what is stored is the same."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from dujiang.wiring import STORES
from engine import timers
from engine.database import FEW, Database, StoreRefused, copy_text, upsert_rows
from engine.ports import Entity, Rejection
from schemas.contract import Fact
from schemas.projects import Milestone, MilestoneStatus, NoData, Project, State
from schemas.structs import data_of_fact

pytestmark = pytest.mark.services
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = (
    "plain",
    "",
    "\\N",
    "N\\",
    "\\",
    "\\\\N",
    "\\t",
    "a\tb",
    "a\nb",
    "a\rb",
    "a\\\tb",
    "\\\n",
    "\\x41",
    "'; DROP TABLE timer; --",
    '"quoted" %s {}',
    "杜江堰",
    "\x0b\x1f\u2028",
)


@pytest.fixture
def written(database: str) -> Iterator[Database]:
    with closing(Database(database, "test")) as written:
        yield written


@pytest.mark.parametrize("count", [len(TEXTS), FEW + 1])
def test_texts_come_back_as_they_were(written: Database, count: int) -> None:
    # Each text alone, since one that is unusual decides for all rows that are written with it; and all together.
    for texts in (TEXTS, *((text,) for text in TEXTS)):
        step = repr(texts)
        keys = [f"{texts[number % len(texts)]}{number}" for number in range(count)]
        for instant in (NOON, NOON + timedelta(microseconds=1)):
            due = {key: (number, instant) for number, key in enumerate(keys)}
            with written.transaction() as cursor:
                timers.save(cursor, step, due)
                cursor.execute("SELECT key, partition, due_at, published_at FROM timer WHERE step = %s", (step,))
                assert {key: row for key, *row in cursor.fetchall()} == {key: [n, at, None] for key, (n, at) in due.items()}


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_an_entity_comes_back_as_it_was(written: Database, count: int) -> None:
    store = STORES["projects"]
    for text in TEXTS:
        entity, keys = _entity(text), [f"{text}{number}" for number in range(count)]
        for one in (Entity(Project()), entity):
            with written.transaction() as cursor:
                store.save(cursor, [(key, one) for key in keys])
            with written.statement() as cursor:
                assert store.load(cursor, keys) == dict.fromkeys(keys, one)


def test_a_row_that_says_more_than_we_know_is_refused(written: Database) -> None:
    """A field that a newer version wrote would be lost when the row is written again."""
    store = STORES["projects"]
    with written.transaction() as cursor:
        store.save(cursor, [("P-1", _entity("x"))])
        cursor.execute('UPDATE project_status SET milestones = \'[["M1", "2026-03-01", "planned", 5]]\'')
    with pytest.raises(ValueError, match="at most length 3"), written.statement() as cursor:
        store.load(cursor, ["P-1"])


def test_a_row_made_by_sql_is_read(written: Database) -> None:
    store = STORES["projects"]
    with written.transaction() as cursor:
        store.save(cursor, [("P-1", _entity("x"))])
        cursor.execute(
            "UPDATE project_status SET"
            " paid_by_year = jsonb_build_array(jsonb_build_array(extract(year FROM date '2026-03-01'), 7)),"
            " milestones = jsonb_build_array(jsonb_build_array('M1', date '2026-03-01', 'reported')), parked = '[ ]'"
        )
    with written.statement() as cursor:
        project = store.load(cursor, ["P-1"])["P-1"].state
    assert project.paid_by_year == ((2026, 7),)
    assert project.milestones == (Milestone("M1", NOON.date(), MilestoneStatus.REPORTED),)
    assert project.parked == ()


def _entity(text: str) -> Entity[Project]:
    project = Project(
        state=State.EXECUTING,
        title=text,
        lead=f"{text}x",
        contract_amount=-7,
        start=NOON.date(),
        milestones=tuple(Milestone(text, NOON.date(), status) for status in MilestoneStatus),
        paid_by_year=((2026, 5),),
        is_extended=True,
        suspended_at=NOON,
        changed_by=f"s {text}",
        parked=(Fact("research.project.started", "e", text, "k", NOON, data_of_fact(NoData, {})),),
    )
    seen = bytes(range(0, 256, 4)) + b"\\\\\\N\t\n\0"
    return Entity(project, seen, 3, 2, 1, (Rejection(text, "why"),), NOON)


@pytest.mark.parametrize("count", [1, FEW + 1])
def test_a_value_that_its_column_cannot_hold_is_refused(written: Database, count: int) -> None:
    lines = [f"step\t{copy_text(str(number))}\t{1 << 40}\t{NOON.isoformat()}\t\\N" for number in range(count)]
    with pytest.raises(StoreRefused, match="integer"), written.transaction() as cursor:
        upsert_rows(cursor, "timer", ("step", "key"), ("step", "key", "partition", "due_at", "published_at"), lines)
