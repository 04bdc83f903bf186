"""What the gateway counts. `monitoring.metrics.GatewayMetrics` is the one that Prometheus reads."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class GatewayMetrics(Protocol):
    """Reasons are the slugs of the catalogue of problems: few, and never a partner's words."""

    def accepted(self, count: int) -> None: ...

    def event_ages_s(self, partner: str, ages_s: Sequence[float]) -> None: ...

    def refused(self, reason: str, count: int = 1) -> None: ...

    def publish_seconds(self, seconds: float) -> None: ...

    def promises(self, promises: Mapping[str, tuple[float, float]]) -> None: ...


class NoMetrics:
    """Counts nothing."""

    def accepted(self, count: int) -> None:
        """Nothing."""

    def event_ages_s(self, partner: str, ages_s: Sequence[float]) -> None:
        """Nothing."""

    def refused(self, reason: str, count: int = 1) -> None:
        """Nothing."""

    def publish_seconds(self, seconds: float) -> None:
        """Nothing."""

    def promises(self, promises: Mapping[str, tuple[float, float]]) -> None:
        """Nothing."""
