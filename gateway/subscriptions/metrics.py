"""What is counted of readers. `monitoring.metrics.ReaderMetrics` is the one that Prometheus reads."""

from typing import Literal, Protocol

from schemas.subscriptions import Withheld

Way = Literal["pull", "stream"]


class ReaderMetrics(Protocol):
    """Counted by page."""

    def delivered(self, way: Way, count: int) -> None: ...

    def withheld(self, reason: Withheld, count: int) -> None: ...

    def reading(self, readers: int) -> None: ...


class NoReaderMetrics:
    """Counts nothing."""

    def delivered(self, way: Way, count: int) -> None:
        """Nothing."""

    def withheld(self, reason: Withheld, count: int) -> None:
        """Nothing."""

    def reading(self, readers: int) -> None:
        """Nothing."""
