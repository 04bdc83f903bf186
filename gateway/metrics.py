"""What the gateway counts. `monitoring.metrics.GatewayMetrics` is the one that Prometheus reads."""

from typing import Protocol


class GatewayMetrics(Protocol):
    """Reasons are the slugs of the catalogue of problems: few, and never a partner's words."""

    def accepted(self, count: int) -> None: ...

    def refused(self, reason: str, count: int = 1) -> None: ...

    def publish_seconds(self, seconds: float) -> None: ...


class NoMetrics:
    """Counts nothing."""

    def accepted(self, count: int) -> None:
        """Nothing."""

    def refused(self, reason: str, count: int = 1) -> None:
        """Nothing."""

    def publish_seconds(self, seconds: float) -> None:
        """Nothing."""
