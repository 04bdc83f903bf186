"""How a runner is: for health pages, the live view and the log. Ready means that commits go on, not that a port is open."""

from dataclasses import dataclass, field
from enum import StrEnum

from engine.records import Place

LIVE_SILENCE_S_MAX = 120.0
READY_SILENCE_S_MAX = 60.0


class Condition(StrEnum):
    """degraded: waiting helps. blocked: a person must act. paused: the breaker is open somewhere. failed: the thread ended."""

    STARTING = "starting"
    RUNNING = "running"
    DEGRADED = "degraded"
    BLOCKED = "blocked"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class RunnerStatus:
    """Written by the runner's thread, read by others; every field is replaced whole."""

    name: str
    condition: Condition = Condition.STARTING
    message: str = ""
    remedy: str = ""
    looped_s: float = 0.0
    committed_s: float = 0.0
    lag: dict[Place, int] = field(default_factory=dict)
    paused: dict[Place, str] = field(default_factory=dict)

    def is_live(self, now_s: float) -> bool:
        """The thread goes round."""
        return self.condition is not Condition.FAILED and now_s - self.looped_s < LIVE_SILENCE_S_MAX

    def is_ready(self, now_s: float) -> bool:
        """Nothing to do, or commits are recent."""
        if self.condition is not Condition.RUNNING or self.paused:
            return False
        return not any(self.lag.values()) or now_s - self.committed_s < READY_SILENCE_S_MAX

    def describe(self) -> dict[str, object]:
        """For /health/ready."""
        return {
            "name": self.name,
            "condition": self.condition,
            "message": self.message,
            "remedy": self.remedy,
            "lag": sum(self.lag.values()),
            "paused": {f"{topic} p{partition}": why for (topic, partition), why in self.paused.items()},
        }
