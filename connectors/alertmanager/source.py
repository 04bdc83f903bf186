"""A capture of webhook bodies as JSON lines `{"received_at", "body"}`, replayed as if each came in at its instant."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors import files
from connectors.alertmanager import mapping
from connectors.alertmanager.settings import AlertmanagerSettings
from engine.filedrop import Finding, Refused, Taken, Unusable

LINE_OVERHEAD_BYTES_MAX = 4_096  # what a line holds beside the body: path, user agent, instant


class CaptureConnector:
    """The replay for one monitor's name. Monitors have books of their own, so one capture may serve two."""

    source = mapping.SOURCE
    suffixes = (".jsonl", ".ndjson")

    def __init__(self, settings: AlertmanagerSettings, monitor: str) -> None:
        if not mapping.MONITOR.match(monitor):
            raise ValueError(f"{monitor!r} is no monitor's name; use 1 to 63 of a-z, 0-9 and -")
        self._settings, self._monitor = settings, monitor
        self.account = f"alertmanager/{monitor}"

    def time_of(self, path: Path) -> datetime:
        """When the capture was written."""
        return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)

    def open(self, path: Path) -> "CaptureDrop":
        files.refuse_foreign(path)
        return CaptureDrop(path, self._monitor, self._settings, self.time_of(path))


class CaptureDrop:
    """One capture on its way through. A record is an alert; a line that cannot be read counts as one."""

    def __init__(self, path: Path, monitor: str, settings: AlertmanagerSettings, time: datetime) -> None:
        self._path, self._monitor, self._settings = path, monitor, settings
        self._last = time  # the instant of a line that does not tell its own

    def taken(self) -> Iterator[Taken]:
        line_bytes_max = self._settings.body_bytes_max + LINE_OVERHEAD_BYTES_MAX
        for line in files.lines(self._path, line_bytes_max=line_bytes_max):
            if not line.text.strip():
                continue
            row = files.json_object(line.text, line_bytes_max=line_bytes_max)
            if isinstance(row, files.Unreadable):
                yield Taken(line.number, self._last, Refused(row.reason, row.message), line.text)
                continue
            try:
                yield from self._alerts(line.number, row)
            except Unusable as fault:
                yield Taken(line.number, self._last, fault.refused(), row)

    def closing(self) -> Sequence[Finding]:
        return ()

    def _alerts(self, number: int, row: dict[str, Any]) -> Iterator[Taken]:
        received_at = self._received_at(row)
        body = row.get("body")
        if not isinstance(body, dict):
            raise Unusable("body_invalid", "'body' must be the webhook's JSON object", "/body")
        answers = mapping.alerts(body, self._monitor, received_at, self._settings)
        for alert, answer in zip(body["alerts"], answers, strict=True):
            yield Taken(number, received_at, answer, alert)

    def _received_at(self, row: dict[str, Any]) -> datetime:
        given = row.get("received_at")
        try:
            received_at = mapping.instant(given)
        except ValueError:
            received_at = None
        if received_at is None:
            raise Unusable("received_at_invalid", "'received_at' must be an instant as RFC 3339", "/received_at", given)
        self._last = received_at
        return received_at
