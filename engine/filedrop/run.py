"""One file's way: publish and await the acks, then one transaction that books rows and digests, batch by batch.

A kill between the two publishes that batch again under the same ids: duplicates to whoever reads them.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from engine import failpoints
from engine.errors import TransientFault
from engine.filedrop.books import UNKNOWN, Books, Connect, Mark, opened
from engine.filedrop.report import REPORT_ROWS_MAX, Report
from engine.filedrop.seam import (
    FileConnector,
    FileRefused,
    Finding,
    Mapped,
    Outbox,
    Refused,
    Taken,
    event_id,
    finding_fact,
    finding_of,
    is_subject,
    message_of,
    storable,
)
from engine.kafka import Message
from schemas.cloudevents import CloudEventError
from schemas.contract import instant_text
from schemas.registry import ContractError, Registry

FILE_BYTES_MAX = 1 << 30
READ_BYTES = 1 << 20

RefusedTo = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Options:
    """`again` reads a finished file anew; records already published stay unchanged."""

    batch_rows_max: int = 1_000
    file_bytes_max: int = FILE_BYTES_MAX
    again: bool = False


def run_file(
    connector: FileConnector,
    path: Path,
    *,
    publisher: Outbox,
    connect: Connect,
    registry: Registry,
    options: Options = Options(),
    progress: Callable[[Report], None] = lambda _: None,
    refused_to: RefusedTo | None = None,
) -> Report:
    """Take one file. A finished one is told from its stored report; one refused as a whole counts as one refused row.

    `refused_to` gets every refused row of the file, with the row itself. Raises AlreadyRunning, TransientFault (the
    file grew, the broker is away: run again) and EnvironmentFault.
    """
    look = path.stat()
    if look.st_size > options.file_bytes_max:
        message = f"it has {look.st_size} bytes, at most {options.file_bytes_max} are taken; split it"
        unread = _File(connector, path, "", registry, refused_to)
        return unread.refuse(FileRefused("file_too_large", message), publisher)
    file = _File(connector, path, _sha256(path), registry, refused_to)
    with opened(connect, connector.account) as books:
        is_finished = file.recall(books, again=options.again)
        if is_finished and refused_to is None:
            return file.told_again()
        try:
            drop = connector.open(path)
        except FileRefused as refusal:
            return file.refuse(refusal, publisher)
        records = drop.taken()
        while batch := list(islice(records, options.batch_rows_max)):
            file.take(batch, publisher, books)
            progress(file.report)
        if is_finished:
            return file.told_again()
        if _look(path.stat()) != _look(look):
            raise TransientFault(f"{path.name} changed while it was read; run again once it is complete")
        file.finish(drop.closing(), publisher, books)
    return file.report.since(file.before)


def settled(paths: Sequence[Path], sleep: Callable[[float], None], settle_s: float) -> list[Path]:
    """Those that did not change between two looks; one still growing is left for the next run."""
    if not paths:
        return []
    first = {path: _look(path.stat()) for path in paths}
    sleep(settle_s)
    return [path for path in paths if path.exists() and _look(path.stat()) == first[path]]


def waiting(connector: FileConnector, folder: Path) -> list[Path]:
    """A folder's files for a connector, oldest first by what they speak of. Hidden files are nobody's."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in connector.suffixes and path.is_file()]
    visible = (path for path in found if not path.name.startswith("."))
    return sorted(visible, key=lambda path: (connector.time_of(path), path.name))


class _File:
    """A file on its way through; `report` is the file's whole account, `before` what earlier runs had done of it."""

    def __init__(
        self, connector: FileConnector, path: Path, digest: str, registry: Registry, refused_to: RefusedTo | None
    ) -> None:
        self._connector, self._path, self._digest, self._registry = connector, path, digest, registry
        self._refused_to = refused_to
        self._place = f"{connector.account}/file/{digest[:16] or event_id(path.name)}"
        self._seen: dict[str, tuple[str, int]] = {}
        self._rows = 0
        self._rows_done = 0
        self.before = Report()
        self.report = Report()

    def recall(self, books: Books, *, again: bool) -> bool:
        """Where an earlier run had come to; whether it had come to the end."""
        rows_done, report, is_finished = books.recall(self._digest, storable(self._path.name))
        if is_finished and again:
            return False
        self._rows_done, self.before, self.report = rows_done, report, report.copy()
        return is_finished

    def told_again(self) -> Report:
        """A finished file's report: nothing published, what was published is unchanged."""
        self.report.notes.append(f"{self._path.name}: this content was taken before; nothing is published again")
        return self.report.since(self.before)

    def refuse(self, refusal: FileRefused, publisher: Outbox) -> Report:
        """The file as a whole. It is not booked as finished, so a repaired connector may try it again."""
        refused = Refused(refusal.reason, f"{self._path.name}: {refusal}", value=self._path.name)
        report = Report(read=1, refused=Counter({refusal.reason: 1}), findings=Counter({refusal.reason: 1}))
        report.rows.append(self._line(0, refused))
        report.notes.append(refused.message)
        self._tell(0, refused, None)
        publisher.publish([self._finding(finding_of(refused), self._place, self._connector.time_of(self._path))])
        return report

    def take(self, batch: Sequence[Taken], publisher: Outbox, books: Books) -> None:
        """Judge, publish, book. Records booked by an earlier run are only read for what they say of later ones."""
        judged = [self._judged(taken) for taken in batch]
        done = min(max(self._rows_done - self._rows, 0), len(judged))
        self._rows += len(judged)
        for taken, _ in judged[:done]:
            if isinstance(taken.outcome, Refused):
                self._tell(taken.row, taken.outcome, taken.raw)
        fresh = judged[done:]
        if not fresh:
            return
        marks = books.marks([taken.outcome.key for taken, _ in fresh if isinstance(taken.outcome, Mapped)])
        changed: dict[str, Mark] = {}
        messages: list[Message] = []
        for taken, facts in fresh:
            messages += self._counted(taken, facts, marks, changed)
        publisher.publish(messages)
        failpoints.passing("published")
        books.save(self._digest, self._rows, self.report, changed, end=False)
        failpoints.passing("stored")

    def finish(self, findings: Sequence[Finding], publisher: Outbox, books: Books) -> None:
        """What the whole file shows, then the end."""
        publisher.publish(self._findings(findings, self._place, self._connector.time_of(self._path)))
        failpoints.passing("published")
        books.save(self._digest, self._rows, self.report, {}, end=True)

    def _judged(self, taken: Taken) -> tuple[Taken, list[Message]]:
        """The contract is the last judge; of two records with one key in a file the first stands."""
        outcome = taken.outcome
        if isinstance(outcome, Refused):
            return taken, []
        try:
            messages = [message_of(self._registry, fact) for fact in outcome.facts]
        except (ContractError, CloudEventError) as error:
            refused = Refused("contract_invalid", str(error), error.pointer, key=outcome.facts[0].key)
            return taken._replace(outcome=refused), []
        digest, row = self._seen.setdefault(outcome.key, (outcome.digest, taken.row))
        if digest != outcome.digest:
            message = f"row {row} has the same key and other content; it stands, row {taken.row} does not"
            refused = Refused("key_repeated", message, value=outcome.key, key=outcome.facts[0].key)
            return taken._replace(outcome=refused), []
        return taken, messages

    def _counted(self, taken: Taken, facts: list[Message], marks: dict[str, Mark], changed: dict[str, Mark]) -> list[Message]:
        """Count one record; what is to be published for it."""
        outcome = taken.outcome
        self.report.read += 1
        if isinstance(outcome, Refused):
            return self._refused(taken, outcome)
        known = marks.get(outcome.key, UNKNOWN)
        entity = outcome.facts[0].key
        if known.digest != outcome.digest and known.at > taken.time:
            message = f"a record of {instant_text(known.at)} is known; this one of {instant_text(taken.time)} is older"
            return self._refused(taken, Refused("older_than_known", message, key=entity, severity="info"))
        marks[outcome.key] = changed[outcome.key] = Mark(outcome.digest, max(known.at, taken.time))
        if known.digest == outcome.digest:
            self.report.unchanged += 1
            return []
        self.report.published += 1
        return facts + self._findings(outcome.findings, entity, taken.time)

    def _refused(self, taken: Taken, refused: Refused) -> list[Message]:
        self.report.refused[refused.reason] += 1
        if len(self.report.rows) < REPORT_ROWS_MAX:
            self.report.rows.append(self._line(taken.row, refused))
        self._tell(taken.row, refused, taken.raw)
        subject = refused.key if is_subject(refused.key) else f"{self._place}/row/{taken.row}"
        return self._findings((finding_of(refused), *refused.findings), subject, taken.time)

    def _findings(self, findings: Sequence[Finding], subject: str, time: datetime) -> list[Message]:
        self.report.findings.update(finding.rule for finding in findings)
        return [self._finding(finding, subject, time) for finding in findings]

    def _finding(self, finding: Finding, subject: str, time: datetime) -> Message:
        return message_of(self._registry, finding_fact(finding, self._connector.source, subject, time))

    def _line(self, row: int, refused: Refused) -> dict[str, Any]:
        texts = {"key": refused.key, "reason": refused.reason, "pointer": refused.pointer, "message": refused.message}
        return {"file": storable(self._path.name), "row": row} | {name: storable(text) for name, text in texts.items()}

    def _tell(self, row: int, refused: Refused, raw: object) -> None:
        if self._refused_to is not None:
            self._refused_to({**self._line(row, refused), "record": raw})


def _look(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
