"""GtR extracts as CSV files: read row by row, and judged as a whole at the end."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from connectors import files
from connectors.gtr import mapping
from connectors.gtr.settings import GtrSettings
from engine.filedrop import FileRefused, Finding, Mapped, Refused, Taken


class GtrConnector:
    """The file drop. A file must have all of `mapping.COLUMNS`; further ones are ignored."""

    source = mapping.SOURCE
    account = "gtr"
    suffixes = (".csv",)

    def __init__(self, settings: GtrSettings) -> None:
        self._settings = settings

    def time_of(self, path: Path) -> datetime:
        return files.extract_time(path, self._settings.extracted_on)

    def open(self, path: Path) -> "GtrDrop":
        files.refuse_foreign(path)
        limit = self._settings.row_bytes_max
        records = files.csv_records(files.lines(path, line_bytes_max=limit), line_bytes_max=limit)
        header = next(records, None)
        columns = [] if header is None or isinstance(header.fields, files.Unreadable) else [*map(str.strip, header.fields)]
        missing = [column for column in mapping.COLUMNS if columns.count(column) != 1]
        if missing:
            raise FileRefused("columns_missing", f"the first row must name each once: {', '.join(missing)}")
        return GtrDrop(records, columns, self.time_of(path), self._settings)


class GtrDrop:
    """One extract on its way through."""

    def __init__(self, records: Iterator[files.CsvRecord], columns: list[str], time: datetime, settings: GtrSettings) -> None:
        self._records, self._columns, self._time, self._settings = records, columns, time, settings
        self._mapped = 0
        self._zero_length = 0

    def taken(self) -> Iterator[Taken]:
        for record in self._records:
            outcome = self._outcome(record.fields)
            if isinstance(outcome, Mapped):
                self._mapped += 1
                self._zero_length += any(finding.rule == "zero_length" for finding in outcome.findings)
            yield Taken(record.number, self._time, outcome, record.text)

    def closing(self) -> Sequence[Finding]:
        """A share of zero-length projects too high to be true: the extract is at fault, not the projects."""
        settings = self._settings
        if self._mapped < settings.zero_length_rows_min:
            return ()
        share = self._zero_length / self._mapped
        if share <= settings.zero_length_share_max:
            return ()
        message = f"{self._zero_length} of {self._mapped} projects end on the day they start; ask for a repaired extract"
        return (Finding("share_zero_length", "error", message, "/EndDate", f"{share:.4f}"),)

    def _outcome(self, fields: list[str] | files.Unreadable) -> Mapped | Refused:
        if isinstance(fields, files.Unreadable):
            return Refused(fields.reason, fields.message)
        if len(fields) != len(self._columns):
            return Refused("columns_count", f"{len(fields)} fields, the header has {len(self._columns)}")
        return mapping.project(dict(zip(self._columns, fields, strict=True)), self._time)
