"""What the connector can be told."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import REFRESH_S_MAX, Severity

_WORDS: dict[Severity, tuple[str, ...]] = {
    "critical": ("critical", "crit", "page", "emergency", "fatal", "disaster"),
    "high": ("high", "error", "err", "major"),
    "warning": ("warning", "warn", "average", "medium", "moderate"),
    "low": ("low", "minor"),
    "info": ("info", "information", "informational", "notice", "debug", "none"),
}
SEVERITY_WORDS: dict[str, Severity] = {word: level for level, words in _WORDS.items() for word in words}

RefreshS = Annotated[int, Field(gt=0, le=REFRESH_S_MAX)]


class AlertmanagerSettings(BaseModel):
    """`refresh_s` is the monitor's repeat_interval: three of them without a word and a firing alert expires.

    `refresh_s_of` overrides it for a monitor by name; null means the monitor does not repeat. `severities` maps the
    label `severity`, case aside.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    refresh_s: RefreshS | None = 14_400
    refresh_s_of: dict[str, RefreshS | None] = {}
    severities: dict[str, Severity] = SEVERITY_WORDS
    severity_default: Severity = "warning"
    clock_ahead_s_max: float = Field(default=60.0, ge=0)
    body_bytes_max: int = Field(default=4 << 20, gt=0)
    alerts_max: int = Field(default=10_000, gt=0, description="alerts in one body")
    retry_after_s: int = Field(default=10, gt=0, description="told to the monitor while we cannot take its word")

    def refresh_of(self, monitor: str) -> int | None:
        return self.refresh_s_of.get(monitor, self.refresh_s)
