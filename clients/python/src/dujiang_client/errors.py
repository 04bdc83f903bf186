"""What can go wrong, for a caller to tell apart:

DujiangError
├── Refused            the gateway answered with a problem; nothing of the request counts
│   └── HistoryExpired   what the cursor points at is not kept any more; `earliest` is where one can go on
├── Unreachable        no answer that helps, after all tries; whether the request took effect is not known
└── SignatureInvalid   a webhook that does not prove where it comes from
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: a stable code, a JSON pointer to it, and words for people."""

    reason: str
    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Problem details (RFC 9457). Branch on `kind`, the stable end of `type`; the texts are for people."""

    kind: str
    status: int
    title: str
    detail: str
    next: str = ""
    instance: str = ""
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, members: Mapping[str, Any], status: int) -> "Problem":
        """From the JSON object; whatever is missing or of another form is left out."""
        errors = members.get("errors")
        faults = [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
        return cls(
            kind=_kind(_text(members, "type")),
            status=status,
            title=_text(members, "title"),
            detail=_text(members, "detail"),
            next=_text(members, "next"),
            instance=_text(members, "instance"),
            faults=tuple(Fault(_text(one, "reason"), _text(one, "pointer"), _text(one, "detail")) for one in faults),
        )


class DujiangError(Exception):
    """Whatever this package raises, but for wrong arguments (ValueError)."""


class Refused(DujiangError):
    """The gateway's refusal. `retry_after_s` says when to come again, where that helps."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        place = "".join(f"; {fault.pointer or 'request'}: {fault.detail}" for fault in problem.faults[:3])
        super().__init__(f"{problem.status} {problem.kind or problem.title}: {problem.detail}{place}".strip())
        self.problem = problem
        self.retry_after_s = retry_after_s


class HistoryExpired(Refused):
    """410: events after the cursor are gone. To go on from `earliest` is to accept the gap."""

    def __init__(self, problem: Problem, earliest: str | None) -> None:
        super().__init__(problem)
        self.earliest = earliest


class Unreachable(DujiangError):
    """The last attempt's failure is the cause."""


class SignatureInvalid(DujiangError):
    """Do not act on this delivery; answer 401."""


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _kind(uri: str) -> str:
    return "" if uri == "about:blank" else uri.replace("/", ":").rpartition(":")[2]
