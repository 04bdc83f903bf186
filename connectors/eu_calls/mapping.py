"""A call of the EU portal's list -> `research.call.registered`. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.eu_calls.settings import EuCallsSettings
from connectors.text import has_mojibake, repaired
from engine.filedrop import Finding, Mapped, Refused, Unusable, event_id, is_subject
from schemas.contract import AMOUNT_MAX, Fact, instant_text

SOURCE = "/connectors/eu_calls"
REGISTER = "sedia"
KEY_PREFIX = "eu"
STATUSES = frozenset({"forthcoming", "open", "closed"})
ID_CHARS_MAX = 200

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)


def call(row: Mapping[str, Any], time: datetime, settings: EuCallsSettings) -> Mapped | Refused:
    """One call as the list of `time` has it. Members that are not named here are not looked at."""
    key = ""
    try:
        key = f"{KEY_PREFIX}:{_identifier(row)}"
        return _mapped(key, row, time, settings)
    except Unusable as fault:
        return fault.refused(key)


def _mapped(key: str, row: Mapping[str, Any], time: datetime, settings: EuCallsSettings) -> Mapped:
    findings: list[Finding] = []
    data = {
        "register_name": REGISTER,
        "source_status": _status(row, settings, findings),
        "title": _title(row, findings),
        "programme": _meant(row, "programme", findings),
        "opens_at": None,
        "closes_at": _closes_at(row, settings, findings),
        "budget": _budget(row, findings),
        "deadline_model": _deadline_model(row, findings),
    }
    told = (f"{found.rule} {found.value}" for found in findings)
    digest = event_id(key, *(str(value) for value in data.values()), *told)
    fact = Fact("research.call.registered", event_id(key, digest, instant_text(time)), SOURCE, key, time, data)
    return Mapped(key, digest, (fact,), tuple(findings))


def _identifier(row: Mapping[str, Any]) -> str:
    """The topic's id, which applicants use; the portal's reference where there is none."""
    identifier = _text(row, "topicId") or _text(row, "reference")
    if not identifier:
        raise Unusable("identifier_missing", "the call has neither topicId nor reference", "/topicId", "")
    if len(identifier) > ID_CHARS_MAX or not is_subject(identifier):
        message = f"an identifier has at most {ID_CHARS_MAX} printable characters"
        raise Unusable("identifier_invalid", message, "/topicId", identifier)
    return identifier


def _text(row: Mapping[str, Any], member: str) -> str:
    return _as_given(row, member).strip()


def _as_given(row: Mapping[str, Any], member: str) -> str:
    value = row.get(member)
    if value is None:
        return ""
    if not isinstance(value, str):
        message = f"{member} is a {type(value).__name__}, a text was expected"
        raise Unusable("text_invalid", message, f"/{member}", value)
    return value


def _meant(row: Mapping[str, Any], member: str, findings: list[Finding]) -> str:
    """The text as it was meant: mojibake is repaired where the whole text can be, and told either way."""
    text = _as_given(row, member)  # stripped later: a no-break space may be half of a character
    if not has_mojibake(text):
        return text.strip()
    meant = repaired(text)
    if meant is None:
        message = f"{member} holds mojibake that cannot be undone; it is kept as it came"
        findings.append(Finding("mojibake", "warning", message, f"/{member}", text))
        return text.strip()
    message = f"{member} had been read as Windows-1252; undone"
    findings.append(Finding("mojibake_repaired", "info", message, f"/{member}", text))
    return meant.strip()


def _title(row: Mapping[str, Any], findings: list[Finding]) -> str:
    title = _meant(row, "title", findings)
    if not title:
        findings.append(Finding("title_missing", "warning", "the call has no title", "/title"))
    return title


def _status(row: Mapping[str, Any], settings: EuCallsSettings, findings: list[Finding]) -> str:
    word = _text(row, "callStatus")
    status = word.casefold()
    if status not in STATUSES:
        message = f"{word!r} is none of the portal's status words (forthcoming, open, closed)"
        raise Unusable("status_unknown", message, "/callStatus", word)
    if status == "closed" and settings.lists_open_only:
        message = "a closed call in a list of open and forthcoming ones"
        findings.append(Finding("closed_in_open_list", "warning", message, "/callStatus", word))
    return status


def _closes_at(row: Mapping[str, Any], settings: EuCallsSettings, findings: list[Finding]) -> datetime | None:
    text = _text(row, "deadline")
    if not text:
        findings.append(Finding("deadline_missing", "warning", "the call has no deadline", "/deadline"))
        return None
    try:
        if _DAY.match(text):
            at = datetime.combine(date.fromisoformat(text), settings.deadline_time, ZoneInfo(settings.deadline_zone))
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Unusable("deadline_invalid", f"the deadline {text!r} is not a date as YYYY-MM-DD", "/deadline", text)


def _budget(row: Mapping[str, Any], findings: list[Finding]) -> int | None:
    """The most one grant may get (budgetMax): the list does not say what the whole call has."""
    least, most = _amount(row, "budgetMin"), _amount(row, "budgetMax")
    if most is None:
        findings.append(Finding("budget_missing", "info", "the call has no budget", "/budgetMax"))
    elif least is not None and least > most:
        message = f"budgetMin {least} is above budgetMax {most}"
        findings.append(Finding("budget_range", "warning", message, "/budgetMin", str(least)))
    return most


def _amount(row: Mapping[str, Any], member: str) -> int | None:
    value = row.get(member)
    if value is None or value == "":
        return None
    is_whole = type(value) is int or (type(value) is float and value.is_integer())
    if not is_whole or not 0 <= value <= AMOUNT_MAX:
        raise Unusable("budget_invalid", f"{member} is not a whole amount from 0 to 10^15", f"/{member}", value)
    return int(value)


def _deadline_model(row: Mapping[str, Any], findings: list[Finding]) -> str:
    model, stage = _text(row, "deadlineModel"), _text(row, "stage")
    if not model:
        findings.append(Finding("deadline_model_missing", "info", "the call has no deadline model", "/deadlineModel"))
    elif stage and stage != model:
        message = f"stage says {stage!r}, deadlineModel says {model!r}; deadlineModel is taken"
        findings.append(Finding("stage_contradicts_model", "warning", message, "/stage", stage))
    return model
