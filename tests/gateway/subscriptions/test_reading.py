"""A reader's pages: everything once, in order, and only what he may see."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EnvironmentFault, TransientFault
from gateway.problems import Problem
from gateway.subscriptions import cursors, reading
from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.reading import Page, Selection, begin, next_page
from gateway.subscriptions.records import readable
from schemas.catalogue import default_registry
from schemas.cloudevents import json_format, kafka_binding
from schemas.registry import Registry
from schemas.subscriptions import Place, Reader, Subscription, begun
from tests.gateway.subscriptions.memory import ANNOUNCED, SUSPENDED, MemoryLog, body_of

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
FIRST, SECOND = Place("research.project.event", 0), Place("research.project.event", 1)
EVERYTHING = Reader((("subscribe:*", "clearance:restricted"),), is_stated=True)
TOPIC = ["research.project.event"]


def selection(types: Sequence[str] = (), filters: Sequence[Any] = (), source: str | None = None) -> Selection:
    made = Subscription(UUID(int=1), "agency", "PULL", begun("PULL", "partner", NOW), NOW, NOW)
    return Selection.of(replace(made, types=tuple(types), filters=filters, source=source))


def read(
    log: MemoryLog,
    chosen: Selection,
    reader: Reader = EVERYTHING,
    positions: Positions | None = None,
    limit: int = 100,
) -> Page:
    return asyncio.run(next_page(log, chosen, reader, positions or {FIRST: 0, SECOND: 0}, limit))


def ids(page: Page) -> list[str]:
    return [str(passed.event.attributes["id"]) for passed in page.events]


def problem_of(work: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as raised:
        work()
    return raised.value


def test_events_come_in_the_order_of_their_partition_and_the_positions_stand_behind_them(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, body_of("a"), body_of("b"), body_of("c"))
    page = read(memory_log, selection())
    assert (ids(page), page.positions, page.has_more) == (["a", "b", "c"], {FIRST: 3, SECOND: 0}, False)


@given(
    first=st.integers(0, 12),
    second=st.integers(0, 12),
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=5),
)
@settings(deadline=None)
def test_pages_of_any_size_give_every_event_once_and_each_partition_in_order(
    first: int, second: int, limits: list[int]
) -> None:
    log = MemoryLog(default_registry())
    log.write(FIRST, *(body_of(f"1-{number:02}") for number in range(first)))
    log.write(SECOND, *(body_of(f"2-{number:02}") for number in range(second)))
    positions, seen = {FIRST: 0, SECOND: 0}, []
    for turn in range(first + second + 1):
        page = read(log, selection(), positions=positions, limit=limits[turn % len(limits)])
        seen += ids(page)
        # What a reader sends back is a cursor.
        positions = cursors.decode(cursors.encode(page.positions))
    assert sorted(seen) == sorted([f"1-{n:02}" for n in range(first)] + [f"2-{n:02}" for n in range(second)])
    for partition in "12":
        of_partition = [event for event in seen if event.startswith(partition)]
        assert of_partition == sorted(of_partition)


def test_a_busy_partition_does_not_keep_the_others_waiting(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, *(body_of(f"1-{number}") for number in range(50)))
    memory_log.write(SECOND, body_of("2-0"))
    pages = [read(memory_log, selection(), limit=1) for _ in range(2)]
    assert {ids(page)[0] for page in pages} == {"1-0", "2-0"}


def test_types_source_and_filters_must_all_pass_and_the_positions_move_over_the_others(memory_log: MemoryLog) -> None:
    memory_log.write(
        FIRST,
        body_of("type", type="gov.stiib.research.project.resumed.v1", data={}),
        body_of("source", source="/partners/other"),
        body_of("filter", subject="Q-1"),
        body_of("all"),
    )
    chosen = selection([SUSPENDED], [{"prefix": {"subject": "P-"}}], "/partners/institute-7")
    page = read(memory_log, chosen)
    assert (ids(page), page.positions[FIRST], page.withheld) == (["all"], 4, {"right": 0, "classification": 0})


def test_what_is_no_event_of_its_topic_reaches_nobody(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, b"{", b"[]", body_of("stray", type=ANNOUNCED), body_of("odd", type="com.example.odd"), body_of("a"))
    assert ids(read(memory_log, selection())) == ["a"]


def test_what_a_reader_may_not_see_is_counted_and_not_shown(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, body_of("a"), body_of("b", dataclassification="restricted"), body_of("c"))
    cleared = Reader((("subscribe:*", "clearance:internal"),), is_stated=True)
    page = read(memory_log, selection(), cleared)
    assert (ids(page), page.withheld, page.positions[FIRST]) == (["a", "c"], {"right": 0, "classification": 1}, 3)


def test_a_filter_cannot_find_out_what_stands_in_a_withheld_event(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, body_of("b", dataclassification="restricted", subject="P-secret"))
    cleared = Reader((("subscribe:*", "clearance:internal"),), is_stated=True)
    guesses = [{"exact": {"subject": subject}} for subject in ("P-secret", "P-other")]
    guesses += [{"data": {"/reason": reason}} for reason in ("audit", "other")]
    found = [read(memory_log, selection([SUSPENDED], [guess]), cleared) for guess in guesses]
    assert [(ids(page), page.withheld["classification"]) for page in found] == [([], 1)] * 4


def test_a_filter_on_data_selects_among_what_may_be_seen(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, *(body_of(reason, data={"reason": reason}) for reason in ("audit", "flood", "fire")))
    memory_log.write(FIRST, body_of("binary", data=None))
    page = read(memory_log, selection([SUSPENDED], [{"data": {"/reason": {"in": ["flood", "fire"]}}}]))
    assert (ids(page), page.positions[FIRST]) == (["flood", "fire"], 4)


def test_a_right_that_was_lost_is_counted_only_for_types_that_were_asked_for(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, body_of("a"))
    lost = Reader((("subscribe:gov.stiib.infra.*", "clearance:internal"),), is_stated=True)
    assert read(memory_log, selection([SUSPENDED]), lost).withheld == {"right": 1, "classification": 0}
    assert read(memory_log, selection(), lost).withheld == {"right": 0, "classification": 0}


def test_a_page_without_matches_ends_all_the_same_and_says_that_there_is_more(
    memory_log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EXAMINED_MAX", 20)
    memory_log.write(FIRST, *(body_of(f"{number}") for number in range(30)))
    page = read(memory_log, selection(filters=[{"exact": {"id": "29"}}]))
    assert (ids(page), page.has_more, page.positions[FIRST]) == ([], True, 20)


def test_a_page_of_large_events_ends_when_it_is_large(memory_log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_BYTES_MAX", 2_000)
    memory_log.write(FIRST, *(body_of(f"{number}", data={"reason": "x" * 900}) for number in range(5)))
    page = read(memory_log, selection())
    assert (ids(page), page.has_more) == (["0", "1"], True)


def test_an_indented_record_becomes_one_line_of_json(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, body_of("a").replace(b", ", b",\r\n  "))
    (passed,) = read(memory_log, selection()).events
    assert json.loads(passed.event.body) == json.loads(body_of("a"))
    assert len(passed.event.body.splitlines()) == 1


def test_a_binary_record_comes_as_structured_json(registry: Registry) -> None:
    event = json_format.decode(body_of("a"))
    record = kafka_binding.encode_binary(event, "P-1")
    found = readable(registry, "research.project.event", record.headers, record.value)
    assert found is not None
    assert json_format.decode(found.body) == event


def test_a_reader_begins_at_his_cursor_else_at_the_start_else_at_the_beginning(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, *(body_of(f"{number}") for number in range(5)))
    memory_log.write(SECOND, *(body_of(f"{number}") for number in range(5)))
    found = asyncio.run(begin(memory_log, TOPIC, {FIRST: 1, SECOND: 2}, cursors.encode({FIRST: 4})))
    assert (found[FIRST], found[SECOND], found[Place("research.project.event", 2)]) == (4, 2, 0)
    assert {place.topic for place in found} == {"research.project.event"}


def test_a_cursor_that_retention_has_passed_is_gone_and_the_next_one_keeps_what_holds(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, *(body_of(f"{number}") for number in range(5)))
    memory_log.write(SECOND, *(body_of(f"{number}") for number in range(5)))
    memory_log.earliest[FIRST] = 3
    problem = problem_of(lambda: asyncio.run(begin(memory_log, TOPIC, {}, cursors.encode({FIRST: 2, SECOND: 4}))))
    earliest = cursors.decode(problem.more["earliest_cursor"])
    assert (problem.kind.slug, earliest[FIRST], earliest[SECOND]) == ("cursor_gone", 3, 4)


def test_retention_that_passes_a_slow_reader_on_his_way_is_told_as_well(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, *(body_of(f"{number}") for number in range(5)))
    memory_log.earliest[FIRST] = 3
    assert problem_of(lambda: read(memory_log, selection())).kind.slug == "cursor_gone"


def test_a_cursor_ahead_of_the_log_is_refused(memory_log: MemoryLog) -> None:
    problem = problem_of(lambda: asyncio.run(begin(memory_log, TOPIC, {}, cursors.encode({FIRST: 1}))))
    assert problem.kind.slug == "cursor_invalid"


@pytest.mark.parametrize("fault", [TransientFault("Kafka: away"), EnvironmentFault("Kafka: refused topic x", "grant it")])
def test_a_kafka_that_is_away_is_a_problem_that_passes_and_says_nothing_of_our_insides(
    memory_log: MemoryLog, fault: TransientFault | EnvironmentFault
) -> None:
    memory_log.fault = fault
    problem = problem_of(lambda: read(memory_log, selection()))
    assert (problem.kind.slug, problem.kind.status, problem.kind.retry_after_s) == ("log_away", 503, 5)
    assert "topic x" not in problem.detail.en
