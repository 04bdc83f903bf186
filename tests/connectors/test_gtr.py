"""GtR rows as facts, refusals and findings."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from connectors.gtr import mapping
from connectors.gtr.settings import GtrSettings
from connectors.gtr.source import GtrConnector
from engine.filedrop import FileRefused, Mapped, Refused, message_of
from schemas.catalogue import default_registry

DAY = datetime(2024, 3, 1, tzinfo=UTC)
ROW = {
    "ProjectReference": "AH/X000001/1",
    "Title": "Rivers",
    "LeadROName": "University of Example",
    "StartDate": "2022-01-01",
    "EndDate": "2025-06-30",
    "AwardPounds": "250000.0",
    "Status": "Active",
    "Region": "Nowhere",
}


def mapped(**cells: str) -> Mapped:
    outcome = mapping.project(ROW | cells, DAY)
    assert isinstance(outcome, Mapped)
    return outcome


def refused(**cells: str) -> tuple[str, str, str]:
    outcome = mapping.project(ROW | cells, DAY)
    assert isinstance(outcome, Refused)
    return outcome.reason, outcome.pointer, outcome.key


def rules(outcome: Mapped) -> list[tuple[str, str, str]]:
    return [(finding.rule, finding.pointer, finding.value) for finding in outcome.findings]


def test_project_keeps_the_registers_word_and_speaks_of_the_extracts_day() -> None:
    outcome = mapped()
    fact = outcome.facts[0]
    assert (fact.name, fact.key, fact.source) == ("research.project.registered", "gtr:AH/X000001/1", "/connectors/gtr")
    assert fact.time == DAY
    assert fact.data == {
        "register_name": "gtr",
        "source_status": "Active",
        "title": "Rivers",
        "lead": "University of Example",
        "start": date(2022, 1, 1),
        "end": date(2025, 6, 30),
        "amount": 250_000,
        "currency": "GBP",
    }
    assert outcome.findings == ()
    assert message_of(default_registry(), fact).topic == "research.project.event"


def test_same_row_has_the_same_id_and_another_day_another() -> None:
    assert mapped() == mapped()
    later = mapping.project(ROW, datetime(2024, 4, 1, tzinfo=UTC))
    assert isinstance(later, Mapped)
    assert later.digest == mapped().digest
    assert later.facts[0].id != mapped().facts[0].id


def test_column_that_is_not_mapped_is_no_change() -> None:
    assert mapped(Region="Elsewhere") == mapped()


def test_end_on_the_day_of_the_start_is_not_believed() -> None:
    outcome = mapped(EndDate="2022-01-01")
    assert outcome.facts[0].data["end"] is None
    assert rules(outcome) == [("zero_length", "/EndDate", "2022-01-01")]


@pytest.mark.parametrize(("text", "whole"), [("1000.5", 1000), ("1001.5", 1002), ("0.4", 0), ("7.0001", 7)])
def test_fraction_of_a_pound_is_rounded_half_to_even_and_told(text: str, whole: int) -> None:
    outcome = mapped(AwardPounds=text)
    assert outcome.facts[0].data["amount"] == whole
    assert rules(outcome) == [("amount_fraction", "/AwardPounds", text)]


def test_award_of_zero_is_told() -> None:
    assert rules(mapped(AwardPounds="0.0")) == [("award_zero", "/AwardPounds", "0.0")]


def test_empty_texts_and_dates_are_told_and_left_empty() -> None:
    outcome = mapped(Title=" ", LeadROName="", StartDate="", EndDate="")
    assert outcome.facts[0].data["start"] is None
    assert [rule for rule, _, _ in rules(outcome)] == ["text_missing", "text_missing", "date_missing", "date_missing"]


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("ProjectReference", "", "reference_missing"),
        ("ProjectReference", "A B", "reference_invalid"),
        ("ProjectReference", "A\x07", "reference_invalid"),
        ("ProjectReference", "A" * 101, "reference_invalid"),
        ("Status", "Paused", "status_unknown"),
        ("Status", "", "status_unknown"),
        ("StartDate", "01/02/2021", "date_invalid"),
        ("StartDate", "2021-02-30", "date_invalid"),
        ("EndDate", "2021-12-31", "end_before_start"),
        ("AwardPounds", "", "amount_invalid"),
        ("AwardPounds", "-5", "amount_invalid"),
        ("AwardPounds", "1e5", "amount_invalid"),
        ("AwardPounds", "nan", "amount_invalid"),
        ("AwardPounds", "1,000", "amount_invalid"),
        ("AwardPounds", "1" * 16, "amount_invalid"),
    ],
)
def test_impossible_value_is_refused_with_its_column(column: str, text: str, reason: str) -> None:
    key = "" if column == "ProjectReference" else "gtr:AH/X000001/1"
    assert refused(**{column: text}) == (reason, f"/{column}", key)


def test_sample_is_taken_row_by_row() -> None:
    sample = next((Path(mapping.__file__).parent / "samples").glob("*.csv"))
    drop = GtrConnector(GtrSettings()).open(sample)
    outcomes = [taken.outcome for taken in drop.taken()]
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)] == [
        "end_before_start",
        "reference_missing",
        "status_unknown",
        "date_invalid",
    ]
    assert sum(isinstance(outcome, Mapped) for outcome in outcomes) == 3
    assert drop.closing() == ()


def extract(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "extract_2024-03-01.csv"
    path.write_bytes(text.encode(encoding))
    return path


HEADER = ",".join(mapping.COLUMNS)


def test_share_of_zero_length_projects_is_told_once_a_file(tmp_path: Path) -> None:
    rows = "".join(f"R/{n},T,L,2022-01-01,2022-01-0{1 if n < 2 else 2},1,Closed\n" for n in range(20))
    drop = GtrConnector(GtrSettings()).open(extract(tmp_path, f"{HEADER}\n{rows}"))
    assert sum(1 for _ in drop.taken()) == 20
    assert [(finding.rule, finding.value) for finding in drop.closing()] == [("share_zero_length", "0.1000")]


def test_file_without_a_column_is_refused_as_a_whole_naming_it(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="AwardPounds, Status"):
        GtrConnector(GtrSettings()).open(extract(tmp_path, "ProjectReference,Title,LeadROName,StartDate,EndDate\n"))


def test_file_in_utf16_is_refused_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="UTF-16"):
        GtrConnector(GtrSettings()).open(extract(tmp_path, HEADER, "utf-16"))


def test_row_of_another_width_or_encoding_costs_only_itself(tmp_path: Path) -> None:
    good = "R/1,T,L,2022-01-01,2023-01-01,1,Closed\n"
    path = extract(tmp_path, f"{HEADER}\nR/2,T,L\n{good}")
    path.write_bytes(path.read_bytes() + b"R/3,caf\xe9,L,2022-01-01,2023-01-01,1,Closed\n")
    outcomes = [taken.outcome for taken in GtrConnector(GtrSettings()).open(path).taken()]
    reasons = [outcome.reason if isinstance(outcome, Refused) else "" for outcome in outcomes]
    assert reasons == ["columns_count", "", "encoding_invalid"]
