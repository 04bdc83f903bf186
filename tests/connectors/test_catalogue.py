"""Connectors run on the real files, into a real Kafka and PostgreSQL. Every count was made by another program first."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from connectors.catalogue import CONNECTORS, FOLLOWING, Wish, run
from engine.clock import SystemClock
from engine.filedrop import Options, Report
from engine.kafka import new_consumer
from engine.works import WorkStopped
from schemas.catalogue import default_registry
from schemas.cloudevents import kafka_binding


class Ingest:
    """The catalogue's `run` on a stage, and what then stands in the topics."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage

    def __call__(self, name: str, path: Path, **more: Any) -> Report:
        return run(
            name,
            path,
            publisher=self._stage.publisher,
            connect=lambda: psycopg.connect(self._stage.dsn),
            registry=default_registry(),
            clock=SystemClock(),
            settle_s=0.01,
            **more,
        )

    def keys(self, topic: str) -> list[str]:
        """The subjects on a topic; every one is the record's key."""
        consumer = new_consumer(
            self._stage.options.kafka, f"{self._stage.group_prefix}-reader", **{"auto.offset.reset": "earliest"}
        )
        consumer.subscribe([topic])
        ends = {place: end for place, end in self._stage.ends().items() if place[0] == topic}
        found: list[str] = []
        begun = {place: consumer.get_watermark_offsets(_partition(place), timeout=10)[0] for place in ends}
        waited_for = sum(end - begun[place] for place, end in ends.items())
        while len(found) < waited_for:
            for message in consumer.consume(500, 1.0):
                assert message.error() is None, message.error()
                event = kafka_binding.decode(message.headers(), message.value())
                assert message.key() == (event.subject or "").encode()
                found.append(event.subject or "")
        consumer.close()
        return found


def _partition(place: tuple[str, int]) -> Any:
    from confluent_kafka import TopicPartition

    return TopicPartition(*place)


@pytest.fixture
def ingest(stage: Any) -> Ingest:
    return Ingest(stage)


@pytest.mark.services
def test_gtr_extract_is_taken_whole_and_its_dirt_told(ingest: Ingest, shared: Path) -> None:
    path = shared / "data/gtr/dev/gtr_ahrc_projects_2021-01-28.csv"
    report = ingest("gtr", path)
    assert report.as_json() == {"read": 2029, "published": 2029, "unchanged": 0, "refused": {}}
    assert report.findings == Counter(zero_length=2029, award_zero=364, share_zero_length=1)
    assert len(set(ingest.keys("research.project.event"))) == 2029
    assert len(ingest.keys("platform.finding.event")) == 2029 + 364 + 1
    again = ingest("gtr", path)
    assert again.as_json() == {"read": 2029, "published": 0, "unchanged": 2029, "refused": {}}


@pytest.mark.services
def test_eu_list_is_taken_whole_and_its_dirt_told(ingest: Ingest, shared: Path) -> None:
    report = ingest("eu_calls", shared / "data/calls-eu/dev/sedia_calls_2026-08.jsonl")
    assert report.as_json() == {"read": 441, "published": 441, "unchanged": 0, "refused": {}}
    assert report.findings == Counter(
        budget_missing=116, mojibake_repaired=31, deadline_model_missing=15, closed_in_open_list=4
    )
    assert len(set(ingest.keys("research.call.event"))) == 441


@pytest.mark.services
def test_eu_sample_contradicts_itself(ingest: Ingest, shared: Path) -> None:
    report = ingest("eu_calls", shared / "data/calls-eu/sedia_calls_full_sample25.jsonl")
    assert report.as_json() == {"read": 25, "published": 25, "unchanged": 0, "refused": {}}
    assert report.findings["stage_contradicts_model"] == 24


@pytest.mark.services
def test_alertmanager_capture_is_replayed_alert_by_alert(ingest: Ingest, shared: Path) -> None:
    path = shared / "data/alertmanager/dev/webhook_v4_captured_a_0.25.0.jsonl"
    report = ingest("alertmanager", path, wish=Wish(monitor="am"))
    assert report.as_json() == {"read": 54, "published": 54, "unchanged": 0, "refused": {}}
    assert report.findings == Counter(group_truncated=3)
    keys = ingest.keys("infra.alert.event")
    assert len(keys) == 54
    assert set(keys) == {f"am/{fingerprint}" for fingerprint in _fingerprints(path)}


@pytest.mark.services
def test_capture_that_repeats_itself_is_unchanged_where_it_does(ingest: Ingest, tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "connectors/alertmanager/samples/made_up.jsonl"
    assert ingest("alertmanager", sample).as_json() == {
        "read": 6,
        "published": 4,
        "unchanged": 1,
        "refused": {"labels_invalid": 1},
    }
    longer = tmp_path / "longer.jsonl"
    longer.write_text(sample.read_text() + sample.read_text())
    assert ingest("alertmanager", longer).as_json() == {
        "read": 12,
        "published": 0,
        "unchanged": 10,
        "refused": {"labels_invalid": 2},
    }


@pytest.mark.services
def test_folder_is_taken_oldest_first_and_refused_rows_are_written_with_themselves(ingest: Ingest, tmp_path: Path) -> None:
    header = "ProjectReference,Title,LeadROName,StartDate,EndDate,AwardPounds,Status\n"
    (tmp_path / "a_2024-02-01.csv").write_text(f"{header}R/1,New,L,2022-01-01,2026-01-01,1,Active\n")
    (tmp_path / "b_2024-01-01.csv").write_text(f"{header}R/1,Old,L,2022-01-01,2026-01-01,1,Active\nR/2,X,L,,,1,Odd\n")
    (tmp_path / "c_2024-03-01.csv").write_text("no,columns\n")
    told = tmp_path / "refused.jsonl"
    report = ingest("gtr", tmp_path, report_to=told)
    assert report.as_json() == {
        "read": 4,
        "published": 2,
        "unchanged": 0,
        "refused": {"columns_missing": 1, "status_unknown": 1},
    }
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [(line["file"], line["row"], line["key"], line["reason"], line["record"]) for line in lines] == [
        ("b_2024-01-01.csv", 3, "gtr:R/2", "status_unknown", "R/2,X,L,,,1,Odd"),
        ("c_2024-03-01.csv", 0, "", "columns_missing", None),
    ]


def test_folder_without_a_file_for_the_connector_is_told(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with capture_logs() as told:
        report = run("gtr", tmp_path, publisher=None, connect=None, registry=default_registry(), clock=SystemClock())  # type: ignore[arg-type]
    assert report.as_json() == {"read": 0, "published": 0, "unchanged": 0, "refused": {}}
    assert [(line["event"], line["folder"], line["wanted"]) for line in told] == [("no file to take", str(tmp_path), "*.csv")]


def test_catalogue_names_every_folder() -> None:
    folders = {path.parent.name for path in (Path(__file__).parents[2] / "connectors").glob("*/mapping.py")}
    assert set(CONNECTORS) | FOLLOWING == folders
    assert not set(CONNECTORS) & FOLLOWING
    for connector in CONNECTORS.values():
        assert connector.description
        assert ("webhook" in connector.kinds) == (connector.hook is not None)


def _fingerprints(path: Path) -> set[str]:
    bodies = (json.loads(line)["body"] for line in path.read_text().splitlines())
    return {alert["fingerprint"] for body in bodies for alert in body["alerts"]}


@pytest.mark.services
def test_run_that_is_cancelled_between_batches_goes_on_from_there(ingest: Ingest, stage: Any) -> None:
    path = Path(__file__).parents[2] / "connectors" / "gtr" / "samples" / "made_up_2024-03-01.csv"
    seen: list[int] = []

    def cancel(report: Report) -> None:
        seen.append(report.read)
        raise WorkStopped("li", report.read, None)

    with pytest.raises(WorkStopped):
        ingest("gtr", path, options=Options(batch_rows_max=2), progress=cancel)
    assert seen == [2]
    assert stage.rows("SELECT rows_done, finished_at FROM connector_file") == [(2, None)]
    whole = ingest("gtr", path, options=Options(batch_rows_max=2), progress=lambda report: seen.append(report.read))
    assert seen[1:] == sorted(seen[1:])
    assert whole.read == stage.rows("SELECT rows_done FROM connector_file WHERE finished_at IS NOT NULL")[0][0]
    keys = ingest.keys("research.project.event")
    assert len(keys) == len(set(keys))
