"""Lines, CSV records, JSON objects and days out of dropped files."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from connectors import files
from connectors.text import has_mojibake, repaired

Records = Callable[[bytes], list[tuple[int, object]]]


@pytest.fixture
def records(tmp_path: Path) -> Records:
    def read(raw: bytes) -> list[tuple[int, object]]:
        path = tmp_path / "any.csv"
        path.write_bytes(raw)
        found = files.csv_records(files.lines(path, line_bytes_max=40), line_bytes_max=40)
        return [
            (record.number, record.fields.reason if isinstance(record.fields, files.Unreadable) else record.fields)
            for record in found
        ]

    return read


def test_byte_order_mark_blank_lines_and_crlf_leave_no_trace(records: Records) -> None:
    assert records(b"\xef\xbb\xbfa,b\r\n\r\n1,2") == [(1, ["a", "b"]), (3, ["1", "2"])]


def test_quoted_line_break_is_part_of_its_field(records: Records) -> None:
    assert records(b'a,"b\nc",d\n1,2,3\n') == [(1, ["a", "b\nc", "d"]), (3, ["1", "2", "3"])]


def test_unclosed_quote_costs_its_own_line_only(records: Records) -> None:
    assert records(b'a,"b\n1,2\n3,"4"\n') == [(1, "csv_invalid"), (2, ["1", "2"]), (3, ["3", "4"])]
    assert records(b'a,"b\n' + b"1,2\n" * 30)[:2] == [(1, "csv_invalid"), (2, ["1", "2"])]
    assert len(records(b'a,"b\n' + b"1,2\n" * 30)) == 31


def test_line_above_the_limit_costs_itself_only(records: Records) -> None:
    assert records(b"x" * 41 + b"\n1,2\n") == [(1, "row_too_long"), (2, ["1", "2"])]
    assert records(b"x" * 5000 + b"\n1,2\n") == [(1, "row_too_long"), (2, ["1", "2"])]
    assert records(b"x" * 40 + b"\r\n1,2\n") == [(1, ["x" * 40]), (2, ["1", "2"])]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "json_invalid"), ('{"a": NaN}', "json_invalid"), ("[1]", "not_an_object"), ("[" * 100_000, "json_invalid")],
)
def test_line_that_is_no_json_object_is_unreadable(text: str, reason: str) -> None:
    found = files.json_object(text)
    assert isinstance(found, files.Unreadable)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("gtr_2021-01-28.csv", datetime(2021, 1, 28, tzinfo=UTC)),
        ("calls_2026-08.jsonl", datetime(2026, 8, 1, tzinfo=UTC)),
        ("2020-01-01_to_2021-02-03.csv", datetime(2021, 2, 3, tzinfo=UTC)),
        ("no_2021-13-40.csv", datetime(1970, 1, 1, tzinfo=UTC)),
        ("none.csv", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_extracts_day_is_in_the_name_or_the_day_of_writing(tmp_path: Path, name: str, day: datetime) -> None:
    path = tmp_path / name
    path.touch()
    os.utime(path, (0, 0))
    assert files.extract_time(path, None) == day
    assert files.extract_time(path, date(2000, 1, 2)) == datetime(2000, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("canals â€“ old", "canals – old"),
        ("TEMÃ\x81TICA", "TEMÁTICA"),
        ("â€œArtâ€\x9d", "“Art”"),
        ("ExcellenceÂ\xa0", "Excellence\xa0"),
        ("œuvre â€“ mixed", None),
    ],
)
def test_mojibake_is_undone_where_the_whole_text_can_be(text: str, meant: str | None) -> None:
    assert has_mojibake(text)
    assert repaired(text) == meant


@pytest.mark.parametrize("text", ["Ascii", "culture d'égalité", "Queen’s – “quoted”", "水库", "âge", "5 €"])
def test_text_that_is_as_meant_shows_no_mojibake(text: str) -> None:
    assert not has_mojibake(text)
