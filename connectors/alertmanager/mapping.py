"""A webhook body, version 4 -> one `infra.monitor.received` an alert. Pure.

Format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. The event's time is the instant the
body was received: each firing message is evidence that the alert still fires.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.alertmanager.settings import AlertmanagerSettings
from engine.filedrop import Finding, Mapped, Refused, Unusable, event_id
from schemas.alerts import Severity
from schemas.contract import TEXT_CHARS_MAX, Fact, instant_text

SOURCE = "/connectors/alertmanager"
VERSION = "4"
MONITOR = re.compile(r"[a-z0-9-]{1,63}\Z", re.ASCII)
STATUSES = ("firing", "resolved")  # a tuple: what a sender gives may be unhashable

_FINGERPRINT = re.compile(r"[!-~]{1,128}\Z", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)
_ZERO_TIME = "0001-01-01T"
_FNV_OFFSET, _FNV_PRIME, _U64 = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


def alerts(
    body: Mapping[str, Any], monitor: str, received_at: datetime, settings: AlertmanagerSettings
) -> list[Mapped | Refused]:
    """What each alert of a body says, in its order; a broken one does not stop the others.

    A repeat of the same word has the same id: firing by fingerprint, start and instant of receipt; resolved by
    fingerprint, start and end, since Alertmanager repeats a resolved alert in its group's next message. Raises Unusable
    for the body.
    """
    listed = _listed(body, settings)
    group = _group_findings(body, monitor)
    answers: list[Mapped | Refused] = []
    for index, alert in enumerate(listed):
        answers.append(_answer(alert, index, monitor, received_at, settings, () if index else group))
    return answers


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """As Prometheus' model.LabelSet.Fingerprint: FNV-1a, 64 bits, over sorted names and values, each ended by 0xFF."""
    digest = _FNV_OFFSET
    for name in sorted(labels, key=str.encode):
        for byte in b"%b\xff%b\xff" % (name.encode(), labels[name].encode()):
            digest = ((digest ^ byte) * _FNV_PRIME) & _U64
    return f"{digest:016x}"


def instant(text: object) -> datetime | None:
    """RFC 3339, nanoseconds cut to microseconds; None for Go's zero time and for nothing. Raises ValueError."""
    if text is None or text == "":
        return None
    if not isinstance(text, str) or not _INSTANT.match(text):
        raise ValueError("not an instant as RFC 3339")
    if text.startswith(_ZERO_TIME):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant outside of the calendar") from None


def _listed(body: Mapping[str, Any], settings: AlertmanagerSettings) -> list[Any]:
    version = body.get("version")
    if version != VERSION:
        message = f"version {version!r}: only webhook bodies of version '4' are known"
        raise Unusable("version_unsupported", message, "/version", version)
    listed = body.get("alerts")
    if not isinstance(listed, list) or not listed:
        raise Unusable("alerts_missing", "'alerts' must be a list of at least one alert", "/alerts")
    if len(listed) > settings.alerts_max:
        message = f"{len(listed)} alerts, at most {settings.alerts_max} are taken; set max_alerts or group_by"
        raise Unusable("alerts_too_many", message, "/alerts", len(listed))
    return listed


def _group_findings(body: Mapping[str, Any], monitor: str) -> tuple[Finding, ...]:
    """What was cut off cannot be known: of a truncated group only the listed alerts fire or resolve."""
    cut = body.get("truncatedAlerts", 0)
    if type(cut) is not int or cut <= 0:
        return ()
    message = f"{cut} alerts of the group are not in the message; raise max_alerts or group by more labels"
    subject = f"{monitor}/group/{event_id(str(body.get('groupKey', '')))[:16]}"
    return (Finding("group_truncated", "warning", message, "/truncatedAlerts", str(cut), subject),)


def _answer(
    alert: object,
    index: int,
    monitor: str,
    received_at: datetime,
    settings: AlertmanagerSettings,
    group: tuple[Finding, ...],
) -> Mapped | Refused:
    key = ""
    try:
        members = _members(alert)
        labels = _labels(members)
        findings = list(group)
        key = f"{monitor}/{_fingerprint(members, labels, findings)}"
        return _mapped(key, members, labels, received_at, settings, monitor, findings)
    except Unusable as fault:
        fault.pointer = f"/alerts/{index}{fault.pointer}"
        return fault.refused(key, group)


def _mapped(
    key: str,
    alert: dict[str, Any],
    labels: dict[str, str],
    received_at: datetime,
    settings: AlertmanagerSettings,
    monitor: str,
    findings: list[Finding],
) -> Mapped:
    status = alert.get("status")
    if status not in STATUSES:
        raise Unusable("status_unknown", f"status {status!r} is neither 'firing' nor 'resolved'", "/status", status)
    data = {
        "status": status,
        "severity": _severity(labels, settings, findings),
        "title": _title(alert, labels, key, findings),
        "starts_at": _starts_at(alert, received_at, settings, findings),
        "refresh_s": settings.refresh_of(monitor),
    }
    until = _ends_at(alert, findings) if status == "resolved" else instant_text(received_at)
    identity = event_id(key, status, str(alert.get("startsAt", "")), until)
    fact = Fact("infra.monitor.received", identity, SOURCE, key, received_at, data)
    return Mapped(f"{key} {identity}", status, (fact,), tuple(findings))


def _members(alert: object) -> dict[str, Any]:
    if not isinstance(alert, dict):
        raise Unusable("alert_invalid", f"an alert is a JSON object, not a {type(alert).__name__}")
    return alert


def _labels(alert: dict[str, Any]) -> dict[str, str]:
    labels = alert.get("labels", {})
    if not isinstance(labels, dict):
        raise Unusable("labels_invalid", "'labels' must be an object of texts", "/labels")
    for name, value in labels.items():
        if not isinstance(value, str):
            pointer = "/labels/" + name.replace("~", "~0").replace("/", "~1")
            raise Unusable("labels_invalid", f"a label's value is a text, not {type(value).__name__}", pointer, value)
    return labels


def _fingerprint(alert: dict[str, Any], labels: dict[str, str], findings: list[Finding]) -> str:
    given = alert.get("fingerprint")
    if given is None or given == "":
        try:
            computed = fingerprint_of(labels)
        except UnicodeEncodeError:
            raise Unusable("labels_invalid", "a label holds a lone surrogate", "/labels") from None
        message = "no fingerprint; computed from the labels as Alertmanager does"
        findings.append(Finding("fingerprint_missing", "info", message, "/fingerprint", computed))
        return computed
    if not isinstance(given, str) or not _FINGERPRINT.match(given):
        raise Unusable("fingerprint_invalid", "a fingerprint is a short visible text", "/fingerprint", given)
    return given


def _severity(labels: dict[str, str], settings: AlertmanagerSettings, findings: list[Finding]) -> Severity:
    word = labels.get("severity", "").strip()
    level = settings.severities.get(word.casefold())
    if level is not None:
        return level
    rule = "severity_unknown" if word else "severity_missing"
    message = f"the label 'severity' is {word!r}; taken as {settings.severity_default}"
    findings.append(Finding(rule, "warning", message, "/labels/severity", word))
    return settings.severity_default


def _title(alert: dict[str, Any], labels: dict[str, str], key: str, findings: list[Finding]) -> str:
    annotations = alert.get("annotations") or {}
    summary = annotations.get("summary", "") if isinstance(annotations, dict) else None
    if not isinstance(summary, str):
        raise Unusable("annotations_invalid", "'annotations' must be an object of texts", "/annotations")
    title = summary.strip() or labels.get("alertname", "").strip()
    if not title:
        findings.append(Finding("title_missing", "info", "neither a summary nor an alertname", "/annotations/summary"))
        return key
    if len(title) > TEXT_CHARS_MAX:
        message = f"the title has {len(title)} characters; cut to {TEXT_CHARS_MAX}"
        findings.append(Finding("title_cut", "info", message, "/annotations/summary"))
    return title[:TEXT_CHARS_MAX]


def _starts_at(
    alert: dict[str, Any], received_at: datetime, settings: AlertmanagerSettings, findings: list[Finding]
) -> datetime:
    """The monitor's word is kept even where its clock runs ahead of ours."""
    given = alert.get("startsAt")
    try:
        starts_at = instant(given)
    except ValueError as error:
        raise Unusable("starts_at_invalid", f"startsAt is {error}", "/startsAt", given) from None
    if starts_at is None:
        findings.append(Finding("start_missing", "warning", "no startsAt; taken as received", "/startsAt", str(given)))
        return received_at
    ahead_s = (starts_at - received_at).total_seconds()
    if ahead_s > settings.clock_ahead_s_max:
        message = f"startsAt is {ahead_s:.0f} s after its receipt; check the sender's clock"
        findings.append(Finding("clock_ahead", "warning", message, "/startsAt", str(given)))
    return starts_at


def _ends_at(alert: dict[str, Any], findings: list[Finding]) -> str:
    """As given: it tells one end from another. The event's time stays the receipt."""
    given = alert.get("endsAt")
    try:
        ends_at = instant(given)
    except ValueError as error:
        raise Unusable("ends_at_invalid", f"endsAt is {error}", "/endsAt", given) from None
    if ends_at is None:
        findings.append(Finding("end_missing", "info", "resolved without an endsAt", "/endsAt", str(given)))
        return ""
    return str(given)
