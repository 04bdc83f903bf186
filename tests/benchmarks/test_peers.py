"""What every peer is judged by: one row per event, one table at the end. No services."""

import json

import pytest

from benchmarks.peers.__main__ import PEERS, table
from benchmarks.peers.jvm import compiled
from benchmarks.peers.peer import UnavailableError
from benchmarks.peers.traffic import flattened, row_of
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


def test_table_relates_each_peer_to_the_floor():
    row = {
        "peer": "floor",
        "events": 10,
        "runs": [{}],
        "turns": 1,
        "rate": 100,
        "rate_low": 90,
        "rate_high": 110,
        "client_us": 1.0,
        "database_us": 2.0,
        "broker_us": 3.0,
        "peak_mib": 4,
        "rows": 5,
        "rows_wrong": 0,
        "does_less": "much",
    }
    lines = table([row, row | {"peer": "slow", "rate": 25}]).splitlines()
    assert lines[-1] == "| slow | 10 | 1 of 1 | 25 (90-110) | 0.25 | 1.0 / 2.0 / 3.0 | 4 | 0 of 5 | much |"


def test_streams_peer_without_a_compiler_says_what_is_missing(monkeypatch, tmp_path):
    source = tmp_path / "Some.java"
    source.write_text("class Some {}")
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(UnavailableError, match="javac"):
        compiled(tmp_path / "cache", source, "")
