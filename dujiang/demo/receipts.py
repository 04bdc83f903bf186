"""What the partners hold in hand: a receipt for each event that the gateway acknowledged. Kept in a file for the end's audit.

A file, since a demo may run for a day; its lines are COPY text for a temporary table.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from engine.database import NULL, copy_text
from sinks.history.rows import identity_of

COLUMNS = ("kind", "identity", "topic", "partition", "record_offset")


class Receipts:
    """Lines of three kinds. receipt: an event and its place. straight: a place only. doubt: an event whose answer never came.

    A webhook's answer names no places, so those are counted: `hooked` for sure, `hooks_doubted` perhaps.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hooked = 0
        self.hooks_doubted = 0
        self._file: IO[str] = path.open("w", encoding="utf-8")

    def take(self, receipt: Mapping[str, Any]) -> None:
        """One of the gateway's answer."""
        identity = identity_of(receipt["source"], receipt["id"])
        self._line("receipt", identity, receipt["topic"], receipt["partition"], receipt["offset"])

    def straight(self, topic: str, partition: int, offset: int) -> None:
        """Kafka's own acknowledgement."""
        self._line("straight", NULL, topic, partition, offset)

    def doubt(self, identities: Iterable[tuple[str, str]]) -> None:
        """Sent, and not known whether it was written: there may be a record that no receipt tells of."""
        for source, event_id in identities:
            self._line("doubt", identity_of(source, event_id), NULL, NULL, NULL)

    def take_hook(self, alerts: int) -> None:
        """A webhook's answer."""
        self.hooked += alerts

    def doubt_hook(self, alerts: int) -> None:
        """A webhook without one."""
        self.hooks_doubted += alerts

    def close(self) -> None:
        """Complete on disk."""
        self._file.close()

    def _line(self, kind: str, identity: str, topic: str, partition: object, offset: object) -> None:
        text = topic if topic == NULL else copy_text(topic)
        self._file.write(f"{kind}\t{identity}\t{text}\t{partition}\t{offset}\n")
