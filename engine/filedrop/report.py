"""What a run did, as it is printed and as connector_file keeps it."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

REPORT_ROWS_MAX = 1_000  # refused rows kept in connector_file.report; the counts are always complete


@dataclass(slots=True)
class Report:
    """What a run did: read = published + unchanged + refused. `findings` are counted apart, by rule.

    `rows` are the first refused ones: file, row, key, reason, pointer, message. `notes` are sentences for a person.
    """

    read: int = 0
    published: int = 0
    unchanged: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Keys in print order."""
        refused = dict(sorted(self.refused.items()))
        return {"read": self.read, "published": self.published, "unchanged": self.unchanged, "refused": refused}

    def add(self, other: "Report") -> None:
        """Several files as one."""
        self.read += other.read
        self.published += other.published
        self.unchanged += other.unchanged
        self.refused += other.refused
        self.findings += other.findings
        self.rows = (self.rows + other.rows)[:REPORT_ROWS_MAX]
        self.notes += other.notes

    def copy(self) -> "Report":
        """Independent of this one."""
        copied = Report()
        copied.add(self)
        return copied

    def since(self, before: "Report") -> "Report":
        """This run's part of a file's whole account: what an earlier run published is unchanged to this one."""
        return replace(
            self,
            published=self.published - before.published,
            unchanged=self.unchanged + before.published,
            findings=self.findings - before.findings,
        )

    @classmethod
    def stored(cls, kept: dict[str, Any]) -> "Report":
        """From connector_file.report."""
        return cls(
            read=kept.get("read", 0),
            published=kept.get("published", 0),
            unchanged=kept.get("unchanged", 0),
            refused=Counter(kept.get("refused", {})),
            findings=Counter(kept.get("findings", {})),
            rows=list(kept.get("rows", ())),
        )

    def kept(self) -> dict[str, Any]:
        """For connector_file.report."""
        return {**self.as_json(), "findings": dict(sorted(self.findings.items())), "rows": self.rows}
