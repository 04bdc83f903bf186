"""The portal's list as JSON lines."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from connectors import files
from connectors.eu_calls import mapping
from connectors.eu_calls.settings import EuCallsSettings
from engine.filedrop import Finding, Refused, Taken


class EuCallsConnector:
    """The file drop: one JSON object a line."""

    source = mapping.SOURCE
    account = "eu_calls"
    suffixes = (".jsonl", ".ndjson")

    def __init__(self, settings: EuCallsSettings) -> None:
        self._settings = settings

    def time_of(self, path: Path) -> datetime:
        return files.extract_time(path, self._settings.extracted_on)

    def open(self, path: Path) -> "EuCallsDrop":
        files.refuse_foreign(path)
        lines = files.lines(path, line_bytes_max=self._settings.row_bytes_max)
        return EuCallsDrop(lines, self.time_of(path), self._settings)


class EuCallsDrop:
    """One list on its way through."""

    def __init__(self, lines: Iterator[files.Line], time: datetime, settings: EuCallsSettings) -> None:
        self._lines, self._time, self._settings = lines, time, settings

    def taken(self) -> Iterator[Taken]:
        for line in self._lines:
            if not line.text.strip():
                continue
            row = files.json_object(line.text, line_bytes_max=self._settings.row_bytes_max)
            if isinstance(row, files.Unreadable):
                yield Taken(line.number, self._time, Refused(row.reason, row.message), line.text)
            else:
                yield Taken(line.number, self._time, mapping.call(row, self._time, self._settings), row)

    def closing(self) -> Sequence[Finding]:
        return ()
