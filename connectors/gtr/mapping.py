"""A row of a GtR extract -> `research.project.registered`. Pure.

The register's status word is kept; `streams/registers.py` maps it (Active, Closed) and tells a conflict with its dates.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from engine.filedrop import Finding, Mapped, Refused, Unusable, event_id
from schemas.contract import Fact, instant_text

SOURCE = "/connectors/gtr"
REGISTER = "gtr"
CURRENCY = "GBP"
STATUSES = frozenset({"active", "closed"})
COLUMNS = ("ProjectReference", "Title", "LeadROName", "StartDate", "EndDate", "AwardPounds", "Status")
REFERENCE_CHARS_MAX = 100

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_POUNDS = re.compile(r"\d{1,15}(\.\d{1,10})?\Z", re.ASCII)


def project(row: Mapping[str, str], time: datetime) -> Mapped | Refused:
    """One project as the register knew it at `time`. Columns other than COLUMNS are not looked at."""
    cells = {column: row[column].strip() for column in COLUMNS}
    key = ""
    try:
        key = f"{REGISTER}:{_reference(cells)}"
        return _mapped(key, cells, time)
    except Unusable as fault:
        return fault.refused(key)


def _mapped(key: str, cells: dict[str, str], time: datetime) -> Mapped:
    findings: list[Finding] = []
    data = {
        "register_name": REGISTER,
        "source_status": _status(cells),
        "title": _text(cells, "Title", findings),
        "lead": _text(cells, "LeadROName", findings),
        "start": (start := _day(cells, "StartDate", findings)),
        "end": _end(cells, start, findings),
        "amount": _amount(cells, findings),
        "currency": CURRENCY,
    }
    digest = event_id(key, *(str(value) for value in data.values()), *(f"{found.rule} {found.value}" for found in findings))
    fact = Fact("research.project.registered", event_id(key, digest, instant_text(time)), SOURCE, key, time, data)
    return Mapped(key, digest, (fact,), tuple(findings))


def _reference(cells: dict[str, str]) -> str:
    reference = cells["ProjectReference"]
    if not reference:
        raise Unusable("reference_missing", "the project has no reference", "/ProjectReference")
    if len(reference) > REFERENCE_CHARS_MAX or not reference.isprintable() or " " in reference:
        message = f"a reference has at most {REFERENCE_CHARS_MAX} visible characters"
        raise Unusable("reference_invalid", message, "/ProjectReference", reference)
    return reference


def _status(cells: dict[str, str]) -> str:
    word = cells["Status"]
    if word.casefold() not in STATUSES:
        message = f"{word!r} is none of GtR's status words (Active, Closed)"
        raise Unusable("status_unknown", message, "/Status", word)
    return word


def _text(cells: dict[str, str], column: str, findings: list[Finding]) -> str:
    if not cells[column]:
        findings.append(Finding("text_missing", "info", f"{column} is empty", f"/{column}"))
    return cells[column]


def _day(cells: dict[str, str], column: str, findings: list[Finding]) -> date | None:
    text = cells[column]
    if not text:
        findings.append(Finding("date_missing", "warning", f"{column} is empty", f"/{column}"))
        return None
    try:
        if _DAY.match(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Unusable("date_invalid", f"{column} {text!r} is not a date as YYYY-MM-DD", f"/{column}", text)


def _end(cells: dict[str, str], start: date | None, findings: list[Finding]) -> date | None:
    """An end on the day of the start is the extract's fault, not the project's end: we do not know the end."""
    end = _day(cells, "EndDate", findings)
    if start is None or end is None:
        return end
    if end < start:
        raise Unusable("end_before_start", f"EndDate {end} is before StartDate {start}", "/EndDate", end)
    if end == start:
        message = f"EndDate equals StartDate {start}; the end is taken as not known"
        findings.append(Finding("zero_length", "warning", message, "/EndDate", str(end)))
        return None
    return end


def _amount(cells: dict[str, str], findings: list[Finding]) -> int:
    """Whole pounds; a fraction is rounded half to even and told."""
    text = cells["AwardPounds"]
    if not _POUNDS.match(text):
        message = f"AwardPounds {text!r} is not an amount as 14013.0, zero or more"
        raise Unusable("amount_invalid", message, "/AwardPounds", text)
    pounds = Decimal(text)
    whole = int(pounds.to_integral_value(ROUND_HALF_EVEN))
    if whole != pounds:
        findings.append(Finding("amount_fraction", "info", f"AwardPounds was rounded to {whole}", "/AwardPounds", text))
    if pounds == 0:
        findings.append(Finding("award_zero", "warning", "the award is zero", "/AwardPounds", text))
    return whole
