"""What every peer is judged by: one row per event, one table at the end. No services."""

import json
from dataclasses import replace

import pytest

from benchmarks.peers import quix
from benchmarks.peers.__main__ import PEERS, summaries, table
from benchmarks.peers.jvm import compiled, unpacked
from benchmarks.peers.measure import Run, rows_wrong
from benchmarks.peers.peer import UnavailableError
from benchmarks.peers.traffic import Final, flattened, row_of
from benchmarks.traffic import status_events


def test_row_numbers_an_event_within_its_project():
    events = list(status_events(40, 2))
    versions: dict[str, list[int]] = {}
    for event in events:
        row = row_of(json.loads(event.value))
        versions.setdefault(row["project_id"], []).append(row["version"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in versions.values())


def test_flat_event_carries_the_row_and_a_field_for_each_of_its_columns():
    event = next(iter(status_events(1, 1)))
    flat = json.loads(flattened(event).value)
    assert flat["payload"] == row_of(json.loads(event.value))
    assert [column["field"] for column in flat["schema"]["fields"]] == list(flat["payload"])


def test_every_peer_but_dujiang_says_what_it_does_less():
    assert {name for name, peer in PEERS.items() if len(peer.less) < 10} == {"dujiang"}


def test_rows_have_medians_the_range_and_the_worst_end_state():
    runs = [_run("dujiang", rate, rows_wrong=wrong) for rate, wrong in ((50, 0), (30, 1), (60, 0))]
    (row,) = summaries([PEERS["dujiang"]], runs, turns=3)
    assert (row["rate"], row["rate_low"], row["rate_high"], row["rows_wrong"]) == (50, 30, 60, 1)
    assert (row["worker_us"], row["of_floor"]) == (1.0, None)


def test_rows_relate_each_peer_to_the_floor():
    rows = summaries([PEERS["floor"], PEERS["quix"]], [_run("floor", 100), _run("quix", 25)], turns=1)
    assert [(row["peer"], row["of_floor"]) for row in rows] == [("floor", 1.0), ("quix", 0.25)]


def test_peer_without_a_finished_run_has_no_row_and_a_failed_run_is_counted():
    rows = summaries([PEERS["floor"], PEERS["quix"]], [_run("floor", 100)], turns=2)
    assert [(row["peer"], row["runs"], row["runs_failed"]) for row in rows] == [("floor", 1, 1)]


def test_table_says_what_each_peer_does_less():
    peer = replace(PEERS["quix"], less="much")
    (row,) = table(summaries([peer], [_run("quix", 25, rows_wrong=2)], turns=2)).splitlines()[2:]
    assert row == "| quix | 10 | 1 of 2 | 25 (25-25) | - | 1.0 / 2.0 / 3.0 | 4 | 2 of 5 | much |"


def _run(peer: str, rate: int, rows_wrong: int = 0) -> Run:
    return Run(peer, 10, 1.0, rate, worker_us=1.0, database_us=2.0, broker_us=3.0, peak_mib=4, rows=5, rows_wrong=rows_wrong)


def test_end_state_counts_rows_that_are_wrong_missing_or_needless():
    wanted = {"a": Final(1, 5, 5), "b": Final(2, None, 7), "c": Final(1, 1, 1)}
    found = {"a": Final(1, 5, 0), "b": Final(1, None, 0), "d": Final(1, 1, 0)}
    assert rows_wrong(wanted, found, ("version", "amount")) == 3


def test_locked_quix_is_the_one_that_is_named():
    assert f"quixstreams=={quix.VERSION} " in quix.LOCK.read_text()


def test_archive_of_another_digest_is_refused_and_removed(tmp_path):
    archive = tmp_path / "peers/archives/some/group/plugin/1.0/plugin-1.0-plugin.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"not what was asked for")
    with pytest.raises(UnavailableError, match="SHA-256"):
        unpacked(tmp_path, "some.group", "plugin", "1.0", "0" * 64)
    assert not archive.exists()


def test_streams_peer_without_a_compiler_says_what_is_missing(monkeypatch, tmp_path):
    source = tmp_path / "Some.java"
    source.write_text("class Some {}")
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(UnavailableError, match="javac"):
        compiled(tmp_path / "cache", source, "")
