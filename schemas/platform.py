"""The platform's own events: timers and findings. No subject's rule publishes anything else."""

from typing import Literal

from schemas.contract import Contract, Data, Text
from schemas.topics import ALERT_EVENT, CALL_EVENT, FINDING_EVENT, PROJECT_EVENT

TIMER_FIRED = "platform.timer.fired"
TRANSITION_REJECTED = "platform.transition.rejected"
FINDING_REPORTED = "platform.finding.reported"


class TimerFired(Data):
    """The event's `time` is the due instant. It travels in the entity's own log, so that a replay gives the same result."""

    step: Text


class TransitionRejected(Data):
    """An event that the rules refused: it stays as evidence and changed nothing."""

    step: Text
    event_type: Text
    event_id: Text
    event_source: Text
    reason: Text
    state: Text | None


class FindingReported(Data):
    """Something in a publisher's data that a person should look at; the data was used all the same, or refused as said."""

    rule: Text
    severity: Literal["info", "warning", "error"]
    message: Text
    pointer: Text
    value: Text


CONTRACTS = [
    Contract(TRANSITION_REJECTED, 1, TransitionRejected, (FINDING_EVENT,), is_internal=True),
    Contract(TIMER_FIRED, 1, TimerFired, (PROJECT_EVENT, CALL_EVENT, ALERT_EVENT), is_internal=True),
    Contract(FINDING_REPORTED, 1, FindingReported, (FINDING_EVENT,), is_internal=True),
]
