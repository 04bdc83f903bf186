"""Infrastructure alerts: what monitors and operators send, and the three axes that are kept apart.

Condition (the monitor's), handling (people's) and suppression (the platform's) never share a field.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import Field

from schemas.contract import Contract, Data, Instant, Text
from schemas.topics import ALERT_EVENT, ALERT_STATE

REFRESH_S_MAX = 366 * 24 * 3600


class Condition(StrEnum):
    """`resolved`: the monitor says it ended. `expired`: we stopped believing, since the monitor fell silent."""

    __hash__ = str.__hash__  # Enum's own is a Python call, on every look-up of a table

    FIRING = "firing"
    RESOLVED = "resolved"
    EXPIRED = "expired"


class Handling(StrEnum):
    """What people did."""

    __hash__ = str.__hash__  # Enum's own is a Python call, on every look-up of a table

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class Suppression(StrEnum):
    """Why nobody is pressed although it fires; windows, inhibition and flapping come on top."""

    __hash__ = str.__hash__  # Enum's own is a Python call, on every look-up of a table

    NONE = "none"
    SILENCED = "silenced"


SEVERITIES = ("info", "low", "warning", "high", "critical")
Severity = Literal["info", "low", "warning", "high", "critical"]


class Received(Data):
    """A monitor's word. `refresh_s`: how often it repeats a firing alert, null where it does not."""

    status: Literal["firing", "resolved"]
    severity: Severity
    title: Text
    starts_at: Instant
    refresh_s: Annotated[int, Field(gt=0, le=REFRESH_S_MAX)] | None


class Acknowledged(Data):
    """A person takes it on."""

    by: Text


class Closed(Data):
    """A person ends it; while it fires, only by force and with a reason."""

    by: Text
    reason: Text
    force: bool


class Silenced(Data):
    """A person asks for quiet until an instant, with a reason. The alert goes on as before, and the quiet ends by itself."""

    by: Text
    reason: Text
    until: Instant


class Unsilenced(Data):
    """A person ends the quiet early."""

    by: Text


class AlertChanged(Data):
    """Derived: an alert's present state, all axes.

    `repeats`: notifications of the episode since it was raised, without those that opened it again: `reopened`.
    """

    episodes: int
    condition: Text
    handling: Text
    suppression: Text
    closed_reason: Text | None
    severity: Text
    title: Text
    raised_at: Instant
    ended_at: Instant | None
    last_seen: Instant
    cause_id: Text
    repeats: int | None = None
    reopened: int | None = None


CONTRACTS = [
    Contract("infra.monitor.received", 1, Received, (ALERT_EVENT,)),
    Contract("infra.alert.acknowledged", 1, Acknowledged, (ALERT_EVENT,)),
    Contract("infra.alert.closed", 1, Closed, (ALERT_EVENT,)),
    Contract("infra.alert.silenced", 1, Silenced, (ALERT_EVENT,)),
    Contract("infra.alert.unsilenced", 1, Unsilenced, (ALERT_EVENT,)),
    Contract("infra.alert.changed", 1, AlertChanged, (ALERT_STATE,), is_internal=True),
]


class Episode(Struct, frozen=True, gc=False):
    """From raised to ended, re-openings included."""

    condition: Condition
    handling: Handling
    severity: str
    title: str
    raised_at: datetime
    last_seen: datetime
    closed_reason: str | None = None
    ended_at: datetime | None = None
    attention_at: datetime | None = None
    repeats: int = 0
    reopened: int = 0
    refresh_s: int | None = None
    suppression: Suppression = Suppression.NONE
    silenced_until: datetime | None = None


class Alert(Struct, frozen=True, gc=False):
    """The latest episode of a key, and how many there were."""

    episodes: int = 0
    episode: Episode | None = None
    changed_at: datetime | None = None
    changed_by: str = ""
