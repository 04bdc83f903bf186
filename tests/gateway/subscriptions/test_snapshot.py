"""A subscription that begins with a snapshot: latest state, watermark, tail. Nothing lost, nothing double."""

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.subscriptions import backfills, register
from gateway.problems import Problem
from gateway.subscriptions import cursors
from gateway.subscriptions.backfill import Backfills
from gateway.subscriptions.cursors import Positions
from gateway.subscriptions.reading import Selection, begin, next_page
from schemas.catalogue import default_registry
from schemas.subscriptions import Order, Place, Reader
from schemas.subscriptions.snapshot import SEAM, Snapshot
from tests.conftest import Stage
from tests.gateway.subscriptions.cast import Partner
from tests.gateway.subscriptions.memory import ANNOUNCED, SUSPENDED, MemoryLog, body_of
from tests.gateway.subscriptions.test_reading import EVERYTHING, FIRST, SECOND, TOPIC, selection

REGISTRY = default_registry()
RESUMED = "gov.stiib.research.project.resumed.v1"
COMPLETED = "gov.stiib.platform.snapshot.completed.v1"
Written = tuple[int, str, str]  # partition, subject, type


class MemorySnapshots:
    """What the store would keep."""

    def __init__(self, ends: Mapping[Place, int]) -> None:
        self.ends = ends
        self.listed: dict[Place, Sequence[int]] = {}
        self.told: list[tuple[int, int | None]] = []
        self.is_over = False

    async def snapshot(self, _: UUID) -> Snapshot:
        return Snapshot(self.ends, dict(self.listed))

    async def note_snapshot(self, _: UUID, place: Place, offsets: Sequence[int]) -> None:
        self.listed.setdefault(place, offsets)

    async def note_backfill(self, _: UUID, done: int, total: int | None) -> None:
        self.told.append((done, total))

    async def end_backfill(self, _: UUID, total: int) -> None:
        self.told.append((total, total))
        self.is_over = True


class Walk:
    """A reader with nothing but a cursor, who meets a new gateway at every page."""

    def __init__(self, log: MemoryLog, chosen: Selection | None = None, reader: Reader = EVERYTHING) -> None:
        self.log = log
        self.chosen = chosen or selection()
        self.reader = reader
        self.ends = {place: len(log.records[place]) for place in (FIRST, SECOND)}
        self.store = MemorySnapshots(self.ends)
        self.starts: Positions = dict.fromkeys((FIRST, SECOND), 0) | {SEAM: 0}
        self.cursor: str | None = None
        self.events: list[dict[str, Any]] = []

    async def page(self, limit: int) -> bool:
        """One page; whether there was anything in it."""
        positions = await begin(self.log, TOPIC, self.starts, self.cursor)
        if SEAM in positions:
            reading = Backfills(self.log, self.store, REGISTRY.prefix)  # type: ignore[arg-type]
            while (snapshot := await reading.of(self.chosen, self.reader)) is None:
                pass
            page = await reading.page(self.chosen, self.reader, snapshot, positions, limit)
        else:
            page = await next_page(self.log, self.chosen, self.reader, positions, limit)
        self.events += [json.loads(passed.event.body) for passed in page.events]
        self.cursor = cursors.encode(page.positions)
        return bool(page.events) or page.has_more

    async def to_the_end(self, limit: int = 100) -> list[dict[str, Any]]:
        while await self.page(limit):
            pass
        return self.events


def write(log: MemoryLog, written: Sequence[Written], name: str) -> None:
    for number, (partition, subject, wire) in enumerate(written):
        data = {"reason": "x"} if wire == SUSPENDED else {}
        log.write(
            (FIRST, SECOND)[partition], body_of(f"{name}{number:03}", subject=f"{subject}{partition}", type=wire, data=data)
        )


def ids(events: Sequence[Mapping[str, Any]]) -> list[str]:
    return [event["id"] for event in events]


def latest(events: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    return {(event["type"], event["subject"]): event["id"] for event in events if event["type"] != COMPLETED}


written = st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abc"), st.sampled_from([SUSPENDED, RESUMED])), max_size=25)


@settings(max_examples=80, deadline=None)
@given(before=written, during=st.lists(written, min_size=1, max_size=4), limit=st.integers(1, 7), is_filtered=st.booleans())
def test_snapshot_watermark_and_tail_are_the_whole_history_without_what_was_overtaken(
    before: list[Written], during: list[list[Written]], limit: int, is_filtered: bool
) -> None:
    log = MemoryLog(REGISTRY)
    write(log, before, "b")
    chosen = selection(filters=[{"not": {"suffix": {"id": "3"}}}] if is_filtered else [])
    walk = Walk(log, chosen)

    async def read() -> list[dict[str, Any]]:
        for round_number, more in enumerate(during):  # published while the snapshot is read
            write(log, more, f"d{round_number}")
            await walk.page(limit)
        return await walk.to_the_end(limit)

    events = asyncio.run(read())
    everything = [
        json.loads(one.event.body) for place in (FIRST, SECOND) for one in log.records[place] if one.event is not None
    ]
    passing = [event for event in everything if not (is_filtered and event["id"].endswith("3"))]
    seam = [event["type"] for event in events].index(COMPLETED)
    assert sorted(ids(events[:seam])) == sorted(latest([one for one in passing if one["id"][0] == "b"]).values())
    assert sorted(ids(events[seam + 1 :])) == sorted(one["id"] for one in passing if one["id"][0] == "d")
    assert latest(events) == latest(passing)
    assert len(ids(events)) == len(set(ids(events)))


def test_the_watermark_states_the_position(memory_log: MemoryLog) -> None:
    write(memory_log, [(0, "a", SUSPENDED), (0, "a", SUSPENDED), (1, "b", SUSPENDED)], "b")
    events = asyncio.run(Walk(memory_log).to_the_end())
    assert ids(events)[:2] in (["b001", "b002"], ["b002", "b001"])
    assert (events[2]["type"], events[2]["subject"], events[2]["data"]) == (
        COMPLETED,
        str(UUID(int=1)),
        {"positions": {"research.project.event": {"0": 2, "1": 1}}, "events": 2},
    )


def test_how_far_it_is_is_told_from_the_look_to_the_watermark(memory_log: MemoryLog) -> None:
    write(memory_log, [(0, "a", SUSPENDED), (0, "b", SUSPENDED), (1, "c", SUSPENDED)], "b")
    walk = Walk(memory_log)

    async def read() -> None:
        while COMPLETED not in [event["type"] for event in walk.events]:
            assert not walk.store.is_over
            await walk.page(1)

    asyncio.run(read())
    assert walk.store.is_over
    assert walk.store.told == [(0, None), (0, 3), (1, 3), (2, 3), (3, 3)]  # by another gateway for each page


def test_an_older_event_that_one_may_see_stands_for_a_newer_one_that_one_may_not(memory_log: MemoryLog) -> None:
    memory_log.write(FIRST, body_of("open"), body_of("closed", dataclassification="restricted"))
    reader = Reader((("subscribe:*", "clearance:internal"),), is_stated=True)
    events = asyncio.run(Walk(memory_log, reader=reader).to_the_end())
    assert ids(events)[:1] == ["open"]


def test_a_right_that_ends_between_list_and_page_ends_what_comes(memory_log: MemoryLog) -> None:
    write(memory_log, [(0, "a", SUSPENDED), (0, "b", SUSPENDED)], "b")
    walk = Walk(memory_log)

    async def read() -> list[str]:
        await walk.page(1)
        walk.reader = Reader(((),), is_stated=True)
        return ids(await walk.to_the_end())

    assert asyncio.run(read())[:1] == ["b000"]
    assert [event["type"] for event in walk.events] == [SUSPENDED, COMPLETED]


def test_what_retention_takes_from_a_snapshot_is_a_410_and_its_cursor_goes_on_in_it(memory_log: MemoryLog) -> None:
    write(memory_log, [(0, "a", SUSPENDED), (0, "b", SUSPENDED), (0, "c", SUSPENDED)], "b")
    walk = Walk(memory_log)

    async def read() -> list[str]:
        await walk.page(1)
        memory_log.earliest[FIRST] = 2
        with pytest.raises(Problem) as raised:
            await walk.page(1)
        walk.cursor = raised.value.more["earliest_cursor"]
        return ids(await walk.to_the_end())

    assert asyncio.run(read())[:2] == ["b000", "b002"]
    assert walk.events[-1]["type"] == COMPLETED


# --- on a real Kafka and PostgreSQL ---


@pytest.fixture
def agency(subscribers: Any, directory: Any) -> Partner:
    return Partner(subscribers, directory.register("agency-1", "subscribe:*", "clearance:internal"))


def of_project(number: int, name: str) -> bytes:
    return body_of(f"{name}-{number:04}", subject=f"P-{number % 20}")


def written_twice(found: list[str]) -> list[str]:
    return sorted({one for one in found if found.count(one) > 1})


@pytest.mark.services
def test_what_is_published_meanwhile_is_in_the_snapshot_or_in_the_tail(agency: Partner, stage: Stage) -> None:
    stage.send([of_project(number, "old") for number in range(400)])
    stop = threading.Event()
    sent: list[int] = []

    def publish() -> None:
        while not stop.is_set() and len(sent) < 3_000:
            stage.send([of_project(len(sent) + index, "new") for index in range(10)])
            sent.extend(range(10))

    publishing = threading.Thread(target=publish)
    publishing.start()
    stage.until(lambda: len(sent) >= 50)
    made = agency.subscribe(SUSPENDED, start="snapshot").json
    found: list[str] = []
    cursor = None
    while not any(one.endswith("-snapshot") for one in found):
        page = agency.pull(made["id"], cursor, limit=7, wait=1).json
        found += [event["id"] for event in page["events"]]
        cursor = page["cursor"]
    stop.set()
    publishing.join()
    tail, _ = agency.pull_all(made["id"], cursor)
    seam = next(index for index, one in enumerate(found) if one.endswith("-snapshot"))
    assert seam == 20  # one for each project
    assert written_twice(found + tail) == []
    newest = {f"P-{number % 20}": f"new-{number:04}" for number in range(len(sent))}
    seen = {f"P-{int(one[-4:]) % 20}": one for one in found + tail if one.startswith("new")}
    assert seen == newest
    # Behind a project's event in the snapshot every later one is there.
    for project in range(20):
        ours = [int(one[-4:]) for one in found + tail if one.startswith("new") and int(one[-4:]) % 20 == project]
        assert ours == list(range(ours[0], len(sent), 20))


@pytest.mark.services
def test_a_stream_goes_on_in_the_middle_and_at_the_watermark(agency: Partner, stage: Stage) -> None:
    stage.send([of_project(number, "old") for number in range(60)])
    made = agency.subscribe(SUSPENDED, start="snapshot", protocol="SSE").json["id"]
    with agency.stream(made) as stream:
        stage.until(lambda: len(stream.came.events()) == 21)
        frames = stream.came.events()
    stage.send([of_project(60, "new")])
    all_ids = [json.loads(frame["data"])["id"] for frame in frames]
    assert sorted(all_ids[:20]) == [f"old-{number:04}" for number in range(40, 60)]
    for at in (4, 19, 20):
        with agency.stream(made, frames[at]["id"]) as again:
            stage.until(lambda again=again, at=at: len(again.came.events()) == 21 - at)  # type: ignore[misc]
            came = again.came.ids()
            assert sorted(came) == sorted([*all_ids[at + 1 :], "new-0060"])
            assert came[-2:] == [*all_ids[max(at + 1, 20) :], "new-0060"][-2:]


@pytest.mark.services
def test_the_list_is_kept_and_a_second_reader_gets_the_same(agency: Partner, stage: Stage) -> None:
    stage.send([of_project(number, "old") for number in range(25)])
    made = agency.subscribe(SUSPENDED, start="snapshot").json
    assert made["start"] == "snapshot"
    first, _ = agency.pull_all(made["id"])
    stage.send([of_project(number, "new") for number in range(25)])
    again, _ = agency.pull_all(made["id"], made["cursor"])
    assert sorted(again[:21]) == sorted(first)
    assert len(again) == 21 + 25
    assert stage.rows("SELECT count(*) FROM subscription_snapshot WHERE offsets IS NULL") == [(0,)]


@pytest.mark.services
def test_a_type_that_is_added_in_the_middle_begins_behind_the_watermark(agency: Partner, stage: Stage) -> None:
    call = {"type": ANNOUNCED, "subject": "C-1", "data": {"title": "x", "opens": "2026-03-01", "closes": "2026-04-01"}}
    stage.send([of_project(0, "old"), of_project(1, "old"), body_of("before", **call)])
    made = agency.subscribe(SUSPENDED, start="snapshot").json
    page = agency.pull(made["id"], limit=1, wait=5).json
    agency.send("PUT", f"/subscriptions/{made['id']}", made | {"types": [SUSPENDED, ANNOUNCED]})
    stage.send([body_of("after", **call)])
    rest, _ = agency.pull_all(made["id"], page["cursor"])
    assert [one[:3] for one in rest if not one.endswith("-snapshot")] == ["old", "aft"]
    assert rest[1].endswith("-snapshot")


@pytest.mark.services
def test_a_backfill_is_long_work_that_a_cancel_pauses_and_a_resume_ends(agency: Partner, stage: Stage) -> None:
    stage.send([of_project(number, "old") for number in range(20)])
    made = agency.subscribe(SUSPENDED, start="snapshot").json["id"]
    works = "SELECT id, kind, title, started_by, done, total, state FROM v_work ORDER BY id"
    first = agency.pull(made, limit=5, wait=5).json
    stage.execute("UPDATE work SET done = 5")  # the next page would say so, a second later
    assert stage.rows(works) == [(1, "backfill", made, "agency-1", 5, 20, "running")]
    with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
        assert backfills.cancel(cursor, 1, "wang", datetime.now(UTC))
        assert not backfills.cancel(cursor, 1, "wang", datetime.now(UTC))
    assert stage.rows(works) == [(1, "backfill", made, "agency-1", 5, 20, "cancelled")]
    stage.until(lambda: agency.pull(made, first["cursor"]).status == 409)
    told = agency.pull(made, first["cursor"]).json
    assert (told["state"], told["state_reason"]) == ("paused", "snapshot_cancelled")
    note = agency.send("GET", f"/subscriptions/{made}").json["note"]
    assert note.startswith("the snapshot was cancelled after 5 of 20 events; nothing is lost")
    assert agency.send("POST", f"/subscriptions/{made}/resume").kind == "held_by_operator"
    with psycopg.connect(stage.dsn) as connection, connection.cursor() as cursor:
        register.move(cursor, UUID(made), Order("resume", "resumed", "operator"), datetime.now(UTC))
    stage.until(lambda: agency.pull(made, first["cursor"], limit=1).status == 200)
    rest, _ = agency.pull_all(made, first["cursor"])
    seen = [event["id"] for event in first["events"]] + rest
    assert sorted(seen) == sorted([*(f"old-{number:04}" for number in range(20)), f"{made}-snapshot"])
    assert [row[4:] for row in stage.rows(works)] == [(5, 20, "cancelled"), (20, 20, "done")]
    agency.pull_all(made)  # once more from the start: no further work
    assert len(stage.rows(works)) == 2


@pytest.mark.services
def test_a_backfill_of_a_subscription_that_is_paused_waits_and_of_one_that_goes_is_cancelled(
    agency: Partner, stage: Stage
) -> None:
    stage.send([of_project(number, "old") for number in range(20)])
    made = agency.subscribe(SUSPENDED, start="snapshot").json["id"]
    agency.pull(made, limit=5, wait=5)
    agency.send("POST", f"/subscriptions/{made}/pause")
    stage.execute("UPDATE work SET beat_at = now() - interval '1 hour'")
    assert stage.rows("SELECT state FROM v_work") == [("waiting",)]
    agency.send("DELETE", f"/subscriptions/{made}")
    assert stage.rows("SELECT state, ended_at IS NULL FROM v_work") == [("cancelled", False)]


@pytest.mark.services
def test_kafka_itself_gives_none(agency: Partner) -> None:
    refused = agency.subscribe(SUSPENDED, start="snapshot", protocol="KAFKA")
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/start")
