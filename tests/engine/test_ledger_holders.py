"""Who stands on the ledger's rows, and who may be ended for it."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from engine import ledger
from engine.database import Database
from engine.errors import TransientFault

pytestmark = pytest.mark.services
PLACE, OTHER, WRITER = ("t", 0), ("t", 1), "dujiang projects writer"


@pytest.fixture
def owner(database: str) -> Iterator[Database]:
    with closing(Database(database, "dujiang projects")) as owner:
        with owner.transaction() as cursor:
            for step, place in (("projects", PLACE), ("projects", OTHER), ("history", PLACE)):
                ledger.place(cursor, step, place, 0)
        yield owner


@pytest.fixture
def holder(database: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(psycopg.connect(database, application_name=WRITER)) as holder:
        yield holder


def _stand_on(holder: psycopg.Connection[Any], step: str, place: tuple[str, int]) -> None:
    with holder.cursor() as cursor:
        ledger.move(cursor, step, {place: 0}, {place: 5})


def _make_way(owner: Database, patience_s: float) -> None:
    with owner.transaction() as cursor:
        ledger.make_way(cursor, "projects", [PLACE], WRITER, patience_s)


def test_a_writer_that_stands_on_our_rows_has_its_time_and_is_ended(owner: Database, holder: psycopg.Connection[Any]) -> None:
    _stand_on(holder, "projects", PLACE)
    with pytest.raises(TransientFault, match=f"session {holder.info.backend_pid} has 60 s"):
        _make_way(owner, 60)
    assert holder.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(TransientFault, match=f"session {holder.info.backend_pid} ended"):
        _make_way(owner, 0)
    with pytest.raises(psycopg.OperationalError):
        holder.execute("SELECT 1")
    _make_way(owner, 0)
    with owner.transaction() as cursor:
        assert ledger.place(cursor, "projects", PLACE, 0) == 0  # what it did not commit never was


@pytest.mark.parametrize(("step", "place"), [("projects", OTHER), ("history", PLACE)])
def test_who_stands_on_other_rows_is_left_alone(
    owner: Database, holder: psycopg.Connection[Any], step: str, place: tuple[str, int]
) -> None:
    _stand_on(holder, step, place)
    _make_way(owner, 0)
    holder.commit()


def test_a_persons_session_is_left_alone(owner: Database, holder: psycopg.Connection[Any]) -> None:
    holder.execute("SET application_name = 'psql'")
    _stand_on(holder, "projects", PLACE)
    _make_way(owner, 0)
    holder.commit()
    with owner.transaction() as cursor:
        assert ledger.place(cursor, "projects", PLACE, 0) == 5
