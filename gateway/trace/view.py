"""What the books say about one event, put together for whoever asks. Pure: rows come in, the answer goes out.

A publisher sees what became of its own event and how many subscribers got it, never who. A subscriber sees its own
subscriptions. Whether an event exists at all is told to nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from gateway.publisher import Acked
from schemas.subscriptions import Reader
from schemas.subscriptions.rights import classification_of
from schemas.topics import TOPICS

HISTORY = "history"  # the step that keeps every event (sinks/history)
Made = Literal["pending", "quarantined", "duplicate", "rejected", "applied", "handled"]


class Receipt(NamedTuple):
    """What the gateway wrote down; `place` None while the request is under way."""

    settled_at: datetime | None
    place: Acked | None


class Stored(NamedTuple):
    """The event in the history: the first of its repeats."""

    place: Acked
    recorded_at: datetime
    wire_type: str
    attributes: Mapping[str, object]


class Quarantined(NamedTuple):
    """Its record in the quarantine."""

    place: Acked
    step: str
    failed_at: datetime
    wire_type: str | None
    reason: str
    pointer: str
    message: str
    state: str


class Read(NamedTuple):
    """A step's place in the event's partition."""

    step: str
    start_offset: int
    next_offset: int


class Fate(NamedTuple):
    """How one subscription's last attempt ended, and whether any was acknowledged."""

    is_acknowledged: bool
    last: str


@dataclass(frozen=True)
class Taken:
    """What one subscription of the asker's has to do with the event. Positions are those of the event's partition."""

    subscription_id: UUID
    is_stated: bool
    start_offset: int | None = None
    next_offset: int | None = None
    number: int | None = None
    is_outstanding: bool = False
    attempts: Sequence[Mapping[str, Any]] = ()
    letter: str | None = None  # the state of its dead letter
    granted: Sequence[str] = ()  # scopes of the token that ordered it


@dataclass(frozen=True)
class Found:
    """All that the books know about one (source, id)."""

    receipt: Receipt | None = None
    stored: Stored | None = None
    quarantined: Quarantined | None = None
    reads: Sequence[Read] = ()
    rejections: Mapping[str, str] = field(default_factory=dict)  # step to reason
    fates: Sequence[Fate] = ()
    taken: Sequence[Taken] = ()

    @property
    def place(self) -> Acked | None:
        """Where the event's record stands. The gateway's word comes first: what it was told is what it asks about."""
        if self.receipt is not None and self.receipt.place is not None:
            return self.receipt.place
        kept = self.stored or self.quarantined
        return kept.place if kept else None


def published(found: Found, receipt_id: str | None) -> dict[str, Any] | None:
    """The publisher's part; None: nothing of this event was ever accepted, or it is forgotten."""
    if found.receipt is None and found.place is None:
        return None
    return {"accepted": _accepted(found, receipt_id), "processed": processed(found), "delivered": _delivered(found.fates)}


def _accepted(found: Found, receipt_id: str | None) -> dict[str, Any] | None:
    place = found.place
    if place is None:
        return None
    if found.receipt is not None and found.receipt.place is not None:
        by, at = "gateway", found.receipt.settled_at
    else:
        kept = found.stored.recorded_at if found.stored else None
        by, at = "kafka", kept or (found.quarantined.failed_at if found.quarantined else None)
    return {"at": at, "by": by, "receipt": receipt_id, **place._asdict()}


def processed(found: Found) -> list[dict[str, Any]]:
    """What each step made of the record, as far as ledger, quarantine and history tell."""
    place = found.place
    if place is None:
        return []
    return [_processed(found, place, read) for read in found.reads if read.start_offset <= place.offset]


def _processed(found: Found, place: Acked, read: Read) -> dict[str, Any]:
    told: dict[str, Any] = {"step": read.step, "outcome": _outcome(found, place, read), "reason": None}
    if told["outcome"] == "rejected":
        told["reason"] = found.rejections[read.step]
    elif told["outcome"] == "quarantined" and found.quarantined is not None:
        kept = found.quarantined
        told |= {"reason": kept.reason, "pointer": kept.pointer, "message": kept.message, "state": kept.state}
    return told


def _outcome(found: Found, place: Acked, read: Read) -> Made:
    stored, quarantined = found.stored, found.quarantined
    if read.next_offset <= place.offset:
        return "pending"
    is_stored_here = stored is not None and stored.place == place
    if is_stored_here and read.step == HISTORY:
        return "applied"
    # What breaks its contract is refused by every step and is in no history; what one step refuses is that step's alone.
    if quarantined is not None and quarantined.place == place and (quarantined.step == read.step or not is_stored_here):
        return "quarantined"
    if stored is not None and not is_stored_here:
        return "duplicate"
    return "rejected" if read.step in found.rejections else "handled"


def _delivered(fates: Sequence[Fate]) -> dict[str, int]:
    waiting = [fate.last for fate in fates if not fate.is_acknowledged]
    return {
        "acknowledged": sum(fate.is_acknowledged for fate in fates),
        "retrying": waiting.count("failed"),
        "dead_lettered": waiting.count("dead_lettered"),
    }


def received(found: Found, scopes: tuple[Sequence[str], ...] | None) -> list[dict[str, Any]]:
    """The subscriber's part: subscriptions that have a book on the event, and those that passed it over while they might
    have had it. Of an event that the asker may not receive nothing is told but what was once delivered.
    """
    shown = []
    for taken in found.taken:
        evaluated = _evaluated(found, taken, scopes)
        if evaluated is not None:
            attempts = [dict(attempt) for attempt in taken.attempts]
            state = {"evaluated": evaluated, "state": _state(taken), "number": taken.number, "attempts": attempts}
            shown.append({"id": str(taken.subscription_id), **state})
    return shown


def _evaluated(found: Found, taken: Taken, scopes: tuple[Sequence[str], ...] | None) -> str | None:
    if taken.attempts or taken.is_outstanding or taken.letter:
        return "matched"
    stored, place = found.stored, found.place
    if stored is None or place is None or taken.start_offset is None or taken.next_offset is None:
        return None
    topic = TOPICS.get(place.topic)
    if topic is None or taken.start_offset > place.offset:
        return None
    reader = Reader(scopes, taken.is_stated).narrowed(taken.granted)
    classification = classification_of(topic.classification, stored.attributes.get("dataclassification"))
    if reader.withholds(stored.wire_type, classification, stored.attributes) is not None:
        return None
    return "pending" if taken.next_offset <= place.offset else "not_selected"


def _state(taken: Taken) -> str | None:
    if taken.is_outstanding:
        return "retrying" if taken.attempts else "waiting"
    if taken.attempts:
        last = str(taken.attempts[-1]["outcome"])
        return _STATES.get(last, last)
    return "dead_letter" if taken.letter else None


_STATES = {"dead_lettered": "dead_letter", "failed": "retrying"}
