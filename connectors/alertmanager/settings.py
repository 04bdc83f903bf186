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

    refresh_s: RefreshS | None = Field(
        14_400, description="s between a monitor's repeats of a firing alert (its repeat_interval); null: it does not repeat"
    )
    refresh_s_of: dict[str, RefreshS | None] = Field({}, description="the same for one monitor: name to s or null")
    severities: dict[str, Severity] = Field(SEVERITY_WORDS, description="value of the label `severity`, case aside, to ours")
    severity_default: Severity = Field("warning", description="severity of an alert whose label has no such value")
    clock_ahead_s_max: float = Field(default=60.0, ge=0, description="s that a monitor's clock may be ahead of ours")
    body_bytes_max: int = Field(default=4 << 20, gt=0, description="bytes of one webhook body")
    alerts_max: int = Field(default=10_000, gt=0, description="alerts in one body")
    retry_after_s: int = Field(default=10, gt=0, description="s, told to the monitor while we cannot take its word")

    def refresh_of(self, monitor: str) -> int | None:
        return self.refresh_s_of.get(monitor, self.refresh_s)
