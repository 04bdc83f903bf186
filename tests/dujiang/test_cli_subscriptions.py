"""An operator looks at subscriptions and holds them, by command."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.subscriptions import register
from engine.subscriptions.readings import Reading, note_readings
from schemas.subscriptions import NotAllowed, Order, Place, Subscription, begun
from tests.conftest import Stage

pytestmark = pytest.mark.services

Cli = Callable[..., Any]
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
ID = UUID(int=7)
SUSPENDED = "gov.stiib.research.project.suspended.v1"


@pytest.fixture
def cursor(stage: Stage) -> Iterator[psycopg.Cursor[Any]]:
    """Sees each command's outcome, and holds nothing that one waits for."""
    with psycopg.connect(stage.dsn, autocommit=True) as connection, connection.cursor() as made:
        register.add(
            made,
            Subscription(ID, "agency-1", "PULL", begun("PULL", "partner", NOW), NOW, NOW, types=(SUSPENDED,)),
            {Place("research.project.event", 0): 7},
        )
        yield made


@pytest.fixture
def subscriptions(dujiang: Cli, stage: Stage) -> Cli:
    def run(*arguments: str) -> Any:
        return dujiang("subscriptions", *arguments, kafka__bootstrap=stage.bootstrap, database__dsn=stage.dsn)

    return run


def test_a_list_shows_each_with_its_owner_and_state(subscriptions: Cli, cursor: psycopg.Cursor[Any]) -> None:
    (shown,) = subscriptions("list", "--json").rows
    assert shown == {
        "subscription": str(ID),
        "owner": "agency-1",
        "protocol": "PULL",
        "state": "enabled",
        "reason": "created",
        "by": "partner",
        "since": "2026-03-01 08:00:00+00:00",
        "types": [SUSPENDED],
        "expires_at": None,
        "revision": 1,
    }
    assert subscriptions("list", "--owner", "agency-2").err.startswith("no subscriptions")


def test_one_is_shown_with_its_positions(subscriptions: Cli, cursor: psycopg.Cursor[Any]) -> None:
    (shown,) = subscriptions("show", str(ID)).rows
    assert (shown["id"], shown["positions"]) == (
        str(ID),
        [{"topic": "research.project.event", "partition": 0, "start_offset": 7, "next_offset": 7}],
    )
    assert (shown["reading"], shown["last_read_at"]) == ("never_read", None)


def test_one_is_shown_with_how_far_its_readers_are(subscriptions: Cli, cursor: psycopg.Cursor[Any]) -> None:
    place = Place("research.project.event", 0)
    cursor.execute(
        "INSERT INTO log_end VALUES (%s, %s, 12) ON CONFLICT (topic, partition) DO UPDATE SET end_offset = 12", place
    )
    note_readings(cursor, {ID: Reading({place: 9}, NOW)})
    (shown,) = subscriptions("show", str(ID)).rows
    assert (shown["reading"], shown["unread"], shown["last_read_at"]) == ("read", 3, "2026-03-01 08:00:00+00:00")
    [read] = shown["places"]
    assert (read["consumer"], read["topic"], read["partition"], read["next_offset"], read["unread"]) == ("", *place, 9, 3)


def test_a_hold_stays_until_an_operator_lifts_it(subscriptions: Cli, cursor: psycopg.Cursor[Any]) -> None:
    paused = subscriptions("pause", str(ID), "--note", "核查中")
    assert (paused.status, paused.out.strip()) == (0, f"{ID}: paused, revision 2")
    by_partner = register.move(cursor, ID, Order("resume", "resumed", "partner"), NOW)
    assert by_partner == NotAllowed("held_by_operator", "paused", "resume")
    assert subscriptions("disable", str(ID), "--note", "目的已消失").out.strip() == f"{ID}: disabled, revision 3"
    assert subscriptions("resume", str(ID)).out.strip() == f"{ID}: enabled, revision 4"


def test_what_cannot_be_says_why(subscriptions: Cli, cursor: psycopg.Cursor[Any]) -> None:
    unknown = subscriptions("pause", str(UUID(int=8)), "--note", "x")
    assert (unknown.status, "no subscription" in unknown.err) == (1, True)
    register.move(cursor, ID, Order("expire", "expired", "platform"), NOW)
    refused = subscriptions("resume", str(ID))
    assert (refused.status, f"{ID} is expired, so it cannot resume" in refused.err.replace("\n", " ")) == (1, True)
    assert subscriptions("pause", str(ID), "--note", "").status == 2
