"""What grows is filled as the events expect it, and the model of many workers keeps to what can be reckoned by hand."""

import json
from dataclasses import replace
from datetime import datetime

import psycopg
import pytest

from benchmarks.scale.cells import Cell, compared, growth_in_words
from benchmarks.scale.fills import fill_history, fill_projects, payments, project_id
from benchmarks.scale.queues import Clock, Log, Station
from benchmarks.scale.service import LARGE_BATCH, SMALL_BATCH, split
from benchmarks.scale.simulation import AS_SHIPPED, DATABASE_CORES, MOVES, WORKERS, Case, Times, in_words, ladder, simulated
from schemas.catalogue import default_registry

TIMES = Times(worker_us=20, worker_batch_us=0, database_us=10, database_batch_us=0, broker_us=1, wal_bytes=200, commit_us=1_000)
ROOMY = Case(partitions=1_000, connections=10_000, databases=8, brokers=10)


# --- the model --------------------------------------------------------------------------------------------------------------


def test_one_worker_does_what_its_core_can():
    outcome = simulated(TIMES, ROOMY, 1)
    assert outcome.rate == pytest.approx(1e6 / 20, rel=0.02)
    assert (outcome.limit, outcome.workers_busy) == ("workers", 1.0)


def test_a_worker_that_is_quicker_than_what_follows_takes_as_long_as_that_all_together():
    """Two batches overlap and no more: the next is handed over when the one before is committed."""
    quick = replace(TIMES, worker_us=1, wal_bytes=0)
    batch_s = ROOMY.batch * (10 + 1) / 1e6 + ROOMY.batch * 450 / 1_250e6 + 0.001
    assert simulated(quick, ROOMY, 1).rate == pytest.approx(ROOMY.batch / batch_s, rel=0.02)


def test_few_workers_add_up():
    assert simulated(TIMES, ROOMY, 10).rate == pytest.approx(10 * 1e6 / 20, rel=0.02)


def test_database_cores_end_the_growth_when_they_are_few():
    outcome = simulated(TIMES, replace(ROOMY, databases=1), 50)
    assert outcome.rate == pytest.approx(DATABASE_CORES * 1e6 / 10, rel=0.02)
    assert (outcome.limit, outcome.database_busy) == ("database cores", 1.0)


def test_each_further_database_adds_its_cores():
    outcome = simulated(TIMES, replace(ROOMY, databases=3), 90)
    assert outcome.rate == pytest.approx(3 * DATABASE_CORES * 1e6 / 10, rel=0.02)
    assert outcome.limit == "database cores"


def test_disk_ends_the_growth_when_the_log_fills_it():
    outcome = simulated(TIMES, replace(ROOMY, log_mb_s=20.0), 100)
    assert outcome.rate == pytest.approx(ROOMY.databases * 20e6 / 200, rel=0.15)
    assert outcome.limit == "log's disk"


def test_broker_and_link_end_the_growth_when_they_are_one():
    narrow = replace(TIMES, broker_us=0.1)
    outcome = simulated(narrow, replace(ROOMY, databases=64, brokers=1), 200)
    assert outcome.rate == pytest.approx(1_250e6 / 450, rel=0.02)
    assert outcome.limit == "brokers' links"
    slow = replace(TIMES, broker_us=8)
    outcome = simulated(slow, replace(ROOMY, databases=64, brokers=1), 200)
    assert outcome.rate == pytest.approx(8 * 1e6 / 8, rel=0.02)
    assert outcome.limit == "broker cores"


def test_commits_delay_a_worker_whose_batches_are_small():
    slow = simulated(TIMES, replace(ROOMY, batch=100, flush_ms=5.0), 1)
    assert slow.rate == pytest.approx(100 / 0.006, rel=0.1)
    assert slow.limit == "delay of commits"


def test_workers_without_a_partition_or_a_connection_do_nothing():
    few = simulated(TIMES, replace(ROOMY, partitions=1), 50)  # one for each database
    assert (few.rate, few.limit) == (simulated(TIMES, ROOMY, 8).rate, "partitions")
    refused = simulated(
        TIMES, replace(ROOMY, connections=9), 50
    )  # three for the superuser, three each for two at each database
    assert (refused.rate, refused.limit) == (simulated(TIMES, ROOMY, 16).rate, "connections")


def test_full_station_is_the_limit_though_some_workers_have_no_partition():
    assert simulated(TIMES, replace(ROOMY, partitions=20, databases=1), 50).limit == "database cores"


def test_ladder_moves_one_limit_after_the_other_until_all_workers_work():
    times = replace(TIMES, worker_us=100)
    rungs = ladder(times)
    assert [simulated(times, case, WORKERS[-1]).limit for case in rungs] == [
        "partitions",
        "connections",
        "partitions",
        "connections",
        "database cores",
        "workers",
    ]
    assert rungs[:3] == [AS_SHIPPED, Case(partitions=64), Case(partitions=64, connections=200)]
    assert simulated(times, rungs[-1], WORKERS[-1]).rate == pytest.approx(WORKERS[-1] * 1e6 / 100, rel=0.1)


def test_words_name_the_limit_that_comes_first_and_what_moves_it():
    small = replace(ROOMY, databases=1)
    words = in_words([simulated(TIMES, case, workers) for case in (ROOMY, small) for workers in (1, 5, 50)])
    assert f"| {ROOMY} | 50 | 250 | 2,500 |" in words
    assert f"{ROOMY}: no limit but the workers up to 50" in words
    assert f"{small}: database cores at 50 workers" in words
    assert MOVES["database cores"].words in words


def test_case_says_what_sets_it_apart():
    assert str(AS_SHIPPED) == "8 partitions, 100 connections, databases: 1, brokers: 3, batches of 10,000"
    assert str(replace(AS_SHIPPED, flush_ms=5.0)).endswith(", flushes of 5 ms")


def test_station_serves_first_come_first_and_as_many_at_once_as_it_has_servers():
    clock, ended = Clock(0.0, 10.0), list[tuple[str, float]]()
    station = Station(clock, 2)
    for name, seconds in (("a", 3.0), ("b", 1.0), ("c", 1.0), ("d", 5.0)):
        station.serve(seconds, lambda name=name: ended.append((name, clock.now_s)))
    clock.run()
    assert ended == [("b", 1.0), ("c", 2.0), ("a", 3.0), ("d", 7.0)]
    assert station.busy_s == 10.0


def test_flush_takes_all_that_wait_when_it_begins():
    clock, ended = Clock(0.0, 10.0), list[tuple[str, float]]()
    log = Log(clock, flush_s=1.0, bytes_s=100.0)
    for name in "abc":
        log.commit(50.0, lambda name=name: ended.append((name, clock.now_s)))
    clock.run()
    assert ended == [("a", 1.5), ("b", 3.5), ("c", 3.5)]
    assert log.busy_s == 1.5


def test_only_the_counted_time_is_busy():
    clock = Clock(2.0, 4.0)
    station = Station(clock, 1)
    for _ in range(3):
        station.serve(1.5, lambda: None)
    clock.run()
    assert station.busy_s == 2.0


def test_costs_at_two_sizes_of_batch_are_parted_by_event_and_by_batch():
    assert split(20 + 5_000 / SMALL_BATCH, 20 + 5_000 / LARGE_BATCH) == (20.0, 5_000)
    assert split(20.0, 21.0) == (21.0, 0)  # noise


# --- growth -----------------------------------------------------------------------------------------------------------------


def _cell(size: int, keys: int, total_us: float) -> Cell:
    return Cell(size, keys, 1, 1, 0.0, 0.0, 0.0, total_us, 1.0, 1, 1)


def test_ratio_is_to_the_first():
    assert [cell.ratio for cell in compared([_cell(1, 1, 40.0), _cell(2, 2, 50.0)])] == [1.0, 1.25]


def test_words_tell_growth_of_the_table_apart_from_growth_of_what_is_touched():
    cells = [
        *compared([_cell(10_000, 10_000, 40.0), _cell(1_000_000, 10_000, 44.0)]),
        *compared([_cell(10_000, 10_000, 40.0), _cell(1_000_000, 1_000_000, 60.0)])[1:],
    ]
    assert growth_in_words(cells).splitlines() == [
        "keys 10,000 -> 1,000,000, 10,000 of them touched: 40.0 -> 44.0 us an event, +10% (aim: at most +20%)",
        "keys 10,000 -> 1,000,000, all of them touched: 40.0 -> 60.0 us an event, +50% (aim: at most +20%)",
    ]


# --- what is filled ---------------------------------------------------------------------------------------------------------


def test_payments_are_good_events_in_order_per_project():
    registry = default_registry()
    last: dict[str, datetime] = {}
    for event in payments(200, projects=5, touched=5, turn=1):
        read = registry.quick(event.value)
        assert read is not None
        fact = read[0]
        assert fact.time >= last.get(fact.key, fact.time)
        assert json.loads(event.value)["subject"] == event.key.decode() == fact.key
        last[fact.key] = fact.time
    assert len(last) == 5


def test_payments_touch_as_many_projects_as_they_are_told_all_over_the_table():
    touched = {event.key.decode() for event in payments(500, projects=10_000_000, touched=10, turn=1)}
    assert touched == {project_id(1 + 1_000_000 * number) for number in range(10)}


@pytest.mark.services
def test_filled_projects_are_those_that_payments_go_to_up_to_ten_million(database: str):
    fill_projects(database, 9_999_999, 10_000_000)
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT project_id FROM project_status ORDER BY 1").fetchall()
    assert found == [(project_id(9_999_999),), (project_id(10_000_000),)]


@pytest.mark.services
def test_filled_history_goes_on_where_it_ended(database: str):
    fill_history(database, 1, 3)
    fill_history(database, 4, 5)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(DISTINCT identity) FROM event_history").fetchone() == (5,)
