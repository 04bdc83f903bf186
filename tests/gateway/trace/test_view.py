"""What the books come to, for a publisher and for a subscriber: function calls."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from gateway.publisher import Acked
from gateway.trace.view import Fate, Found, Quarantined, Read, Receipt, Stored, Taken, processed, published, received

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
PLACE = Acked("research.call.event", 2, 10)
ELSEWHERE = Acked("research.call.event", 2, 4)
ANNOUNCED = "gov.stiib.research.call.announced.v1"
STORED = Stored(PLACE, AT, ANNOUNCED, {"subject": "C-1"})
RESTRICTED = STORED._replace(attributes={"subject": "C-1", "dataclassification": "restricted"})
BROKEN = Quarantined(PLACE, "calls", AT, ANNOUNCED, "contract_broken", "/data/title", "'title' is missing", "waiting")
PASSED = [Read("calls", 0, 11), Read("history", 0, 11)]
ID = UUID(int=7)


def outcomes(found: Found) -> dict[str, str]:
    return {one["step"]: one["outcome"] for one in processed(found)}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            Found(stored=STORED, reads=[Read("calls", 0, 10), Read("history", 0, 11)]),
            {"calls": "pending", "history": "applied"},
        ),
        (Found(stored=STORED, reads=PASSED), {"calls": "handled", "history": "applied"}),
        (Found(stored=STORED, reads=PASSED, rejections={"calls": "late"}), {"calls": "rejected", "history": "applied"}),
        # Refused by its contract: no step has it. Refused by one step: the history has it all the same.
        (Found(quarantined=BROKEN, reads=PASSED), {"calls": "quarantined", "history": "quarantined"}),
        (Found(stored=STORED, quarantined=BROKEN, reads=PASSED), {"calls": "quarantined", "history": "applied"}),
        # The gateway's receipt names this place, the history has the event at an earlier one.
        (
            Found(Receipt(AT, PLACE), Stored(ELSEWHERE, AT, ANNOUNCED, {}), reads=PASSED),
            {"calls": "duplicate", "history": "duplicate"},
        ),
        (Found(stored=STORED, reads=[Read("calls", 11, 20)]), {}),  # a step that began behind it
    ],
)
def test_what_steps_made_of_it(found: Found, told: dict[str, str]) -> None:
    assert outcomes(found) == told


def test_a_quarantined_record_says_where_it_is_wrong_and_what_is_done_about_it() -> None:
    assert processed(Found(quarantined=BROKEN, reads=PASSED[:1])) == [
        {
            "step": "calls",
            "outcome": "quarantined",
            "reason": "contract_broken",
            "pointer": "/data/title",
            "message": "'title' is missing",
            "state": "waiting",
        }
    ]


def test_a_publisher_sees_how_many_and_never_who() -> None:
    fates = [Fate(True, "acknowledged"), Fate(True, "failed"), Fate(False, "failed"), Fate(False, "withheld")]
    told = published(Found(Receipt(AT, PLACE), STORED, fates=fates, taken=[Taken(ID, True)]), "r")
    assert told is not None
    assert told["delivered"] == {"acknowledged": 2, "retrying": 1, "dead_lettered": 0}
    assert str(ID) not in repr(told)
    assert told["accepted"] == {"at": AT, "by": "gateway", "receipt": "r", "topic": PLACE.topic, "partition": 2, "offset": 10}


def test_a_request_under_way_has_no_place_yet() -> None:
    told = published(Found(Receipt(None, None)), None)
    assert told is not None
    assert (told["accepted"], told["processed"]) == (None, [])
    assert published(Found(), None) is None


def attempt(outcome: str) -> dict[str, Any]:
    return {"attempt": 1, "outcome": outcome}


PASSED_OVER = Taken(ID, True, start_offset=0, next_offset=11)


@pytest.mark.parametrize(
    ("taken", "evaluated", "state"),
    [
        (replace(PASSED_OVER, attempts=[attempt("failed"), attempt("acknowledged")]), "matched", "acknowledged"),
        (replace(PASSED_OVER, attempts=[attempt("failed")], is_outstanding=True), "matched", "retrying"),
        (replace(PASSED_OVER, is_outstanding=True), "matched", "waiting"),
        (replace(PASSED_OVER, attempts=[attempt("dead_lettered")], letter="waiting"), "matched", "dead_letter"),
        (replace(PASSED_OVER, letter="discarded"), "matched", "dead_letter"),
        (PASSED_OVER, "not_selected", None),
        (replace(PASSED_OVER, next_offset=10), "pending", None),
    ],
)
def test_a_subscriber_sees_its_own_subscription(taken: Taken, evaluated: str, state: str | None) -> None:
    [told] = received(Found(stored=STORED, taken=[taken]), None)
    assert (told["evaluated"], told["state"]) == (evaluated, state)


@pytest.mark.parametrize(
    ("stored", "scopes", "is_stated", "is_told"),
    [
        (STORED, (["subscribe:gov.stiib.research.*"],), True, True),
        (STORED, (["subscribe:gov.stiib.infra.*"],), True, False),
        (STORED, (["subscribe:gov.stiib.research.*", "only:subject=C-1"],), True, True),
        (STORED, (["subscribe:gov.stiib.research.*", "only:subject=C-2"],), True, False),
        (RESTRICTED, (["subscribe:gov.stiib.research.*"],), True, False),
        (RESTRICTED, (["subscribe:gov.stiib.research.*", "clearance:restricted"],), True, True),
        (RESTRICTED, (["subscribe:gov.stiib.research.*", "clearance:restricted"],), False, False),
    ],
)
def test_that_an_event_exists_is_told_only_to_those_who_may_receive_it(
    stored: Stored, scopes: tuple[list[str], ...], is_stated: bool, is_told: bool
) -> None:
    found = Found(stored=stored, taken=[replace(PASSED_OVER, is_stated=is_stated)])
    assert bool(received(found, scopes)) is is_told


def test_what_the_ordering_token_was_not_granted_is_not_told_as_passed_over() -> None:
    for granted, is_told in (("subscribe:gov.stiib.research.*", True), ("subscribe:gov.stiib.infra.*", False)):
        found = Found(stored=STORED, taken=[replace(PASSED_OVER, is_stated=True, granted=(granted,))])
        assert bool(received(found, (["subscribe:*"],))) is is_told


def test_an_event_before_the_subscription_began_is_none_of_its_business() -> None:
    assert received(Found(stored=STORED, taken=[replace(PASSED_OVER, start_offset=11)]), None) == []
