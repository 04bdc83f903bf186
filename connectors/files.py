"""Reading a dropped file: lines, CSV records, JSON objects, and the instant the file speaks of.

UTF-8 only, with or without a BOM; a byte that is none spoils its own record only. Memory is bounded by the limits named
here, whatever the file holds.
"""

import codecs
import csv
import json
import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from engine.filedrop import FileRefused
from schemas.contract import day_instant

LINE_BYTES_MAX = 1 << 20
RECORD_LINES_MAX = 20  # a quoted CSV field may hold line breaks; an unclosed quote must not swallow the file

# UTF-32 first: its little-endian mark starts with that of UTF-16.
_FOREIGN = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_DATE_IN_NAME = re.compile(r"(?<!\d)(\d{4})-(\d{2})(?:-(\d{2}))?(?!\d)(?!-\d)")


class Line(NamedTuple):
    """A physical line without its end. Bytes that are no UTF-8 stand as lone surrogates (`is_utf8` tells)."""

    number: int
    text: str


class Unreadable(NamedTuple):
    """Why a record cannot be read."""

    reason: str
    message: str


class CsvRecord(NamedTuple):
    """A record and the line it starts on."""

    number: int
    fields: list[str] | Unreadable
    text: str


def refuse_foreign(path: Path) -> None:
    """Raises FileRefused for UTF-16 and UTF-32, told by their byte order marks."""
    with path.open("rb") as file:
        head = file.read(4)
    for mark, name in _FOREIGN.items():
        if head.startswith(mark):
            raise FileRefused("encoding_invalid", f"the file is {name}; save it as UTF-8")


def lines(path: Path, *, line_bytes_max: int = LINE_BYTES_MAX) -> Iterator[Line]:
    """Line by line. A line above the limit is cut just above it, so that `fault_of` sees that it is too long."""
    with path.open("rb") as file:
        _skip_bom(file)
        number = 0
        while raw := file.readline(line_bytes_max + 2):
            number += 1
            if not raw.endswith(b"\n") and len(raw) == line_bytes_max + 2:
                _skip_line(file)
            yield Line(number, raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape"))


def is_utf8(text: str) -> bool:
    """Whether all of a text came from valid UTF-8."""
    return text.isascii() or not any("\udc80" <= char <= "\udcff" for char in text)


def fault_of(text: str, line_bytes_max: int) -> Unreadable | None:
    """What is wrong with a record before anybody looks into it."""
    size_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
    if size_bytes > line_bytes_max:
        return Unreadable("row_too_long", f"it is longer than {line_bytes_max} bytes")
    if not is_utf8(text):
        return Unreadable("encoding_invalid", "it is not UTF-8; write it as UTF-8")
    return None


def csv_records(source: Iterator[Line], *, line_bytes_max: int = LINE_BYTES_MAX) -> Iterator[CsvRecord]:
    """RFC 4180 records, blank lines left out. A broken one costs its first line; reading goes on with the next line."""
    ahead: deque[Line] = deque()
    while (line := _next(ahead, source)) is not None:
        if not line.text.strip():
            continue
        if (fault := fault_of(line.text, line_bytes_max)) is not None:
            yield CsvRecord(line.number, fault, line.text)
            continue
        taken = [line]
        fields = _parsed(taken)
        while fields is None and len(taken) < RECORD_LINES_MAX and (more := _next(ahead, source)) is not None:
            taken.append(more)
            fields = _parsed(taken)
        text = "\n".join(part.text for part in taken)
        if isinstance(fields, list):
            yield CsvRecord(line.number, fault_of(text, line_bytes_max) or fields, text)
            continue
        ahead.extendleft(reversed(taken[1:]))
        why = f"{fields or 'a quoted field is not closed'}; double the quotes inside a quoted field"
        yield CsvRecord(line.number, Unreadable("csv_invalid", why), line.text)


def json_object(text: str, *, line_bytes_max: int = LINE_BYTES_MAX) -> dict[str, Any] | Unreadable:
    """One JSON object."""
    if (fault := fault_of(text, line_bytes_max)) is not None:
        return fault
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        return Unreadable("json_invalid", "the JSON is nested too deeply")
    except ValueError as error:
        return Unreadable("json_invalid", f"not JSON: {error}")
    if not isinstance(value, dict):
        return Unreadable("not_an_object", f"it is a JSON {type(value).__name__}, an object was expected")
    return value


def extract_time(path: Path, extracted_on: date | None) -> datetime:
    """The instant a register's extract speaks of: as told, else the date in the file's name, else when it was written.

    `2021-01-28` in the name is that day 00:00:00Z, `2021-01` the first of the month.
    """
    if extracted_on is not None:
        return day_instant(extracted_on)
    for year, month, day in reversed(_DATE_IN_NAME.findall(path.name)):
        try:
            return datetime(int(year), int(month), int(day or 1), tzinfo=UTC)
        except ValueError:
            continue
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)


def _skip_bom(file: BinaryIO) -> None:
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
        pass


def _next(ahead: deque[Line], source: Iterator[Line]) -> Line | None:
    return ahead.popleft() if ahead else next(source, None)


def _parsed(taken: list[Line]) -> list[str] | str | None:
    """The fields; a message when no further line can mend it; None when a quoted field is still open."""
    try:
        return next(csv.reader([f"{line.text}\n" for line in taken], strict=True))
    except csv.Error as error:
        return None if "unexpected end of data" in str(error) else str(error)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
